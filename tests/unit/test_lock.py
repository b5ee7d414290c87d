"""The schedule of the lock stage, read instead of waited for."""

import threading
from collections.abc import Callable, Iterable
from typing import Any, cast

import pytest

from bootstrap import database, journal, lock, target
from bootstrap.errors import LockError, Terminated

PLACE = "db:5432/shop"


class Clock(threading.Event):
    """A stop event whose waiting only moves the clock of the lock stage."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 100.0
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.sleeps.append(round(timeout, 4))
        self.now_s += timeout
        return self.is_set()


class Base:
    """A database of which only the lock is asked; `tries` are the answers, the last one repeats."""

    target = target.Target("postgresql", PLACE)

    def __init__(
        self, tries: Iterable[bool], *, kept: bool = True, free: Iterable[bool] = ()
    ) -> None:
        self._tries = list(tries)
        self._free = list(free)
        self._kept = kept
        self.unlocked = 0
        self.tried = 0

    def try_lock(self) -> bool:
        self.tried += 1
        return self._tries.pop(0) if len(self._tries) > 1 else self._tries[0]

    def lock_is_free(self) -> bool:
        return self._free.pop(0) if self._free else True

    def await_unlock(self, timeout_s: float, stop: threading.Event) -> None:
        stop.wait(timeout_s)

    def unlock(self) -> bool:
        self.unlocked += 1
        return self._kept

    def holder(self) -> str:
        return "process 7"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(lock, "time", clock)
    return clock


@pytest.fixture
def events() -> list[journal.Event]:
    return []


@pytest.fixture
def held(clock: Clock, events: list[journal.Event]) -> Callable[..., Any]:
    """`held(base, wait_s=...)`: the lock stage, half-way in its jitter."""

    def held(
        base: Base, *, wait_s: float, rng: Callable[[], float] = lambda: 0.5, **options: Any
    ) -> Any:
        record = journal.Journal(lambda event, _: events.append(event))
        return lock.held(
            cast(database.Database, base), record, wait_s=wait_s, stop=clock, rng=rng, **options
        )

    return held


def test_the_lock_is_polled_ever_more_slowly_until_the_time_is_up(
    held: Callable[..., Any], clock: Clock
) -> None:
    base = Base([False])
    with pytest.raises(LockError) as raised, held(base, wait_s=1):
        pytest.fail("the lock was not got")
    # Twice the one before, at most 0.5; the last sleep ends at the deadline: 1 - 0.75.
    assert clock.sleeps == [0.05, 0.1, 0.2, 0.4, 0.25]
    assert raised.value.message == (
        f"the migration lock of {PLACE} was not got in 1 s; it is held by process 7; "
        "wait for that run to end, or end it"
    )
    assert raised.value.facts == {"waited_s": 1.0, "holder": "process 7"}
    assert base.unlocked == 0


@pytest.mark.parametrize(("drawn", "factor"), [(0.0, 0.5), (1.0, 1.5)])
def test_runs_that_started_together_do_not_poll_together(
    held: Callable[..., Any], clock: Clock, drawn: float, factor: float
) -> None:
    with held(Base([False, False, False, True]), wait_s=60, rng=lambda: drawn):
        pass
    assert clock.sleeps == [round(each * factor, 4) for each in (0.05, 0.1, 0.2)]


def test_without_patience_the_lock_is_tried_once(held: Callable[..., Any], clock: Clock) -> None:
    with pytest.raises(LockError, match="was not got in 0 s"), held(Base([False]), wait_s=0):
        pytest.fail("the lock was not got")
    assert clock.sleeps == []
    with held(Base([True]), wait_s=0) as is_held:
        assert is_held


def test_a_longer_wait_is_told_once(held: Callable[..., Any], events: list[journal.Event]) -> None:
    with held(Base([*[False] * 12, True]), wait_s=60):
        pass
    assert [event.message for event in events if event.name == "lock_waiting"] == [
        "the migration lock is held by process 7; waiting up to 60 s"
    ]


def test_a_request_to_end_ends_the_wait(held: Callable[..., Any], clock: Clock) -> None:
    clock.set()
    base = Base([False])
    with pytest.raises(Terminated), held(base, wait_s=60):
        pytest.fail("the lock was not got")
    assert (len(clock.sleeps), base.unlocked) == (1, 0)


@pytest.mark.parametrize(("kept", "told"), [(True, []), (False, ["warning"])])
def test_a_lock_that_was_lost_in_the_meantime_is_told(
    held: Callable[..., Any], events: list[journal.Event], kept: bool, told: list[str]
) -> None:
    base = Base([True], kept=kept)
    with held(base, wait_s=60):
        assert base.unlocked == 0
    assert base.unlocked == 1
    lost = [event for event in events if event.name == "lock_lost"]
    assert [event.level for event in lost] == told
    for event in lost:
        assert event.message == f"the migration lock of {PLACE} was lost before it was given back"


def test_the_lock_is_given_back_after_a_failure(held: Callable[..., Any]) -> None:
    base = Base([True])
    with pytest.raises(ZeroDivisionError), held(base, wait_s=60):
        raise ZeroDivisionError
    assert base.unlocked == 1


def test_a_lock_that_is_seen_to_be_held_is_not_tried(held: Callable[..., Any]) -> None:
    base = Base([False, True], free=[False, False, True])
    with held(base, wait_s=60) as is_held:
        assert is_held
    assert base.tried == 2


def test_who_finds_the_work_done_by_another_goes_on_without_the_lock(
    held: Callable[..., Any],
) -> None:
    base = Base([False], free=[False, True, True])
    asked = iter([False, True])
    with held(base, wait_s=60, settled=lambda: next(asked)) as is_held:
        assert not is_held
    assert base.unlocked == 0
    assert next(asked, None) is None

"""The schedules of sleeps, as tables with the arithmetic shown."""

import itertools
import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bootstrap import backoff
from bootstrap.backoff import Schedule
from bootstrap.settings import Settings


def first(count: int, schedule: Schedule, seed: int = 0) -> list[float]:
    return list(itertools.islice(backoff.sleeps(schedule, random.Random(seed)), count))


def test_the_default_without_its_jitter() -> None:
    schedule = Schedule(first_s=0.02, factor=1.25, cap_s=5.0)
    found = first(28, schedule)
    # fmt: off
    assert [round(sleep, 4) for sleep in found[:6]] == [
        0.02,    # 0.02
        0.025,   # 0.02 * 1.25
        0.0312,  # 0.02 * 1.25**2 = 0.03125
        0.0391,  # 0.02 * 1.25**3
        0.0488,  # 0.02 * 1.25**4
        0.061,   # 0.02 * 1.25**5
    ]
    # fmt: on
    assert round(found[24], 3) == 4.235  # 0.02 * 1.25**24
    assert found[25:] == [5.0, 5.0, 5.0]  # 0.02 * 1.25**25 = 5.294, capped


def test_the_documents_schedule_by_settings() -> None:
    settings = Settings(
        backoff_first_s=1, backoff_factor=2, backoff_cap_s=30, backoff_jitter=0, wait_tries=30
    )
    found = list(backoff.sleeps(Schedule.of(settings)))
    # min(2**n, 30) after the failed try n = 0, 1, 2 ...; nothing follows the last try.
    assert found == [1, 2, 4, 8, 16] + [30] * 24
    assert len(found) == 30 - 1


def test_the_defaults_are_the_settings() -> None:
    assert Schedule.of(Settings()) == Schedule(
        first_s=0.02, factor=1.25, cap_s=5.0, jitter=0.2, tries=0
    )


@pytest.mark.parametrize(("tries", "sleeps"), [(1, []), (2, [1]), (4, [1, 2, 4])])
def test_no_sleep_follows_the_last_try(tries: int, sleeps: list[float]) -> None:
    assert list(backoff.sleeps(Schedule(1, 2, 30, tries=tries))) == sleeps


def test_two_seeds_differ_and_one_repeats() -> None:
    schedule = Schedule.of(Settings())
    assert first(20, schedule, seed=1) != first(20, schedule, seed=2)
    assert first(20, schedule, seed=1) == first(20, schedule, seed=1)


@given(
    first_s=some.floats(0.001, 10),
    factor=some.floats(1, 3),
    cap_s=some.floats(0.001, 30),
    jitter=some.floats(0, 1),
    seed=some.integers(),
)
def test_jitter_takes_off_its_part_at_most_and_never_exceeds_the_cap(
    first_s: float, factor: float, cap_s: float, jitter: float, seed: int
) -> None:
    exact = first(40, Schedule(first_s, factor, cap_s))
    jittered = first(40, Schedule(first_s, factor, cap_s, jitter), seed)
    for full, sleep in zip(exact, jittered, strict=True):
        assert full <= cap_s
        assert full * (1 - jitter) - 1e-9 <= sleep <= full


def test_the_default_overshoots_by_little_more_than_a_fifth() -> None:
    for seed in range(200):
        slept_s = 0.0
        for sleep_s in first(60, Schedule.of(Settings()), seed):
            # What gets ready at the beginning of a sleep is found at its end. Without jitter a
            # sleep is a quarter of those before it and 0.02 s, so a fifth of all of them; with
            # jitter those before it may have been a fifth shorter.
            assert sleep_s <= 0.25 * (slept_s + sleep_s) + 0.02
            slept_s += sleep_s


def test_a_policy_retries_what_it_was_told_to_and_raises_the_last_error() -> None:
    slept: list[float] = []
    calls: list[int] = []
    policy = backoff.retrying(
        tries=4,
        first_s=0.1,
        cap_s=0.3,
        retry_on=lambda error: isinstance(error, TimeoutError),
        sleep=slept.append,
    )

    def fail() -> None:
        calls.append(1)
        raise TimeoutError(len(calls))

    with pytest.raises(TimeoutError) as caught:
        policy(fail)
    assert caught.value.args == (4,)
    # 0.1, 0.2, then 0.4 capped; up to half of each is taken off.
    for sleep, full in zip(slept, (0.1, 0.2, 0.3), strict=True):
        assert full / 2 <= sleep <= full


def test_a_policy_lets_other_errors_through_at_once() -> None:
    policy = backoff.retrying(
        tries=4, first_s=60, cap_s=60, retry_on=lambda error: isinstance(error, TimeoutError)
    )
    with pytest.raises(ZeroDivisionError):
        policy(lambda: 1 / 0)


def test_a_policy_may_sleep_on_an_event() -> None:
    stop = threading.Event()
    stop.set()
    outcomes = iter([TimeoutError(), None])

    def work() -> str:
        if error := next(outcomes):
            raise error
        return "done"

    policy = backoff.retrying(
        tries=2, first_s=60, cap_s=60, retry_on=lambda _: True, sleep=stop.wait
    )
    assert policy(work) == "done"

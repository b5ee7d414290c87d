"""The one record: what the status says after each thing that can happen, what the sinks hear."""

import threading

import pytest

from bootstrap import errors, journal

Heard = list[tuple[journal.Event, journal.Status]]


class Clock:
    """Wall-clock seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def heard() -> Heard:
    return []


@pytest.fixture
def record(clock: Clock, heard: Heard) -> journal.Journal:
    return journal.Journal(lambda event, status: heard.append((event, status)), clock=clock)


def lines(heard: Heard) -> list[str]:
    return [f"{event.level} {event.stage} {event.name}: {event.message}" for event, _ in heard]


def test_it_begins_with_the_settings(record: journal.Journal) -> None:
    assert record.status == journal.Status(started_at=1000.0, changed_at=1000.0)
    assert (record.status.phase, record.status.stage) == ("starting", "settings")


def test_a_stage_is_told_at_its_start_and_leaves_its_duration(
    record: journal.Journal, heard: Heard
) -> None:
    with record.stage("wait", "waiting for db:5432/app"):
        record.set(progress=journal.Progress("revisions", 1, 2, 0.0))
        assert (record.status.stage, record.status.reason) == ("wait", "waiting for db:5432/app")
    assert lines(heard) == ["debug wait wait_started: waiting for db:5432/app"]
    assert list(record.status.durations_s) == ["wait"]
    assert record.status.progress is None


def test_a_stage_that_fails_leaves_its_duration_too(record: journal.Journal) -> None:
    with pytest.raises(RuntimeError, match="broken"), record.stage("seed", "seeding"):
        raise RuntimeError("broken")
    assert (record.status.stage, list(record.status.durations_s)) == ("seed", ["seed"])


def test_attempts_are_counted_by_class(record: journal.Journal) -> None:
    for error_class in ("dns", "refused", "refused"):
        record.attempt(error_class)
    assert record.status.attempts == {"dns": 1, "refused": 2}


def test_ready_says_when_and_forgets_the_failure_before(
    record: journal.Journal, clock: Clock, heard: Heard
) -> None:
    record.failed(errors.LockError("held by another run"))
    clock.now = 1010.0
    record.ready("db:5432/app is ready at 0003", changed=True)
    status = record.status
    assert (status.phase, status.stage, status.reason) == (
        "ready",
        "ready",
        "db:5432/app is ready at 0003",
    )
    assert (status.slug, status.exit_code) == (None, 0)
    assert (status.checked_at, status.last_success_at, status.changed_at) == (1010.0,) * 3
    assert heard[-1][0].facts == {"changed": True}


def test_a_failure_carries_runbook_exit_code_and_facts(
    record: journal.Journal, heard: Heard
) -> None:
    record.set(stage="migrate")
    record.failed(errors.MigrationError("revision 0002 failed", revision="0002", name="of a fact"))
    status = record.status
    assert (status.phase, status.stage, status.reason) == (
        "failed",
        "migrate",
        "revision 0002 failed",
    )
    assert (status.slug, status.exit_code) == ("migrate", 4)
    assert lines(heard) == ["error migrate failed: revision 0002 failed (runbook: migrate)"]
    assert heard[0][0].facts == {
        "revision": "0002",
        "name": "of a fact",
        "slug": "migrate",
        "exit_code": 4,
    }


def test_a_loss_is_loud_once_and_again_when_its_kind_changes(
    record: journal.Journal, heard: Heard
) -> None:
    record.ready("ready at 0003")
    record.lost("db:5432/app does not answer", "timeout")
    record.lost("db:5432/app still does not answer", "timeout")
    record.lost("1 revision is pending", "migrate", pending=1)
    assert lines(heard)[1:] == [
        "warning ready lost: not ready: db:5432/app does not answer",
        "debug ready lost: not ready: db:5432/app still does not answer",
        "warning ready lost: not ready: 1 revision is pending",
    ]
    assert (record.status.phase, record.status.pending) == ("lost", 1)


def test_what_was_lost_comes_back_with_an_event_and_stays_with_a_quiet_one(
    record: journal.Journal, clock: Clock, heard: Heard
) -> None:
    record.ready("ready at 0003")
    record.lost("gone", "timeout")
    clock.now = 1020.0
    record.checked("ready at 0003 again", pending=0)
    assert (record.status.phase, record.status.last_success_at) == ("ready", 1020.0)
    clock.now = 1025.0
    record.checked("ready at 0003 still", pending=0)
    assert (record.status.checked_at, record.status.last_success_at) == (1025.0, 1025.0)
    assert lines(heard)[2:] == [
        "info ready ready: ready at 0003 again",
        "debug ready checked: ready at 0003 still",
    ]


def test_a_look_that_fails_keeps_the_time_of_the_last_good_one(
    record: journal.Journal, clock: Clock
) -> None:
    record.ready("ready at 0003")
    clock.now = 1030.0
    record.lost("gone", "timeout")
    assert (record.status.checked_at, record.status.last_success_at) == (1030.0, 1000.0)


def test_once_asked_to_end_nothing_makes_it_ready_again(
    record: journal.Journal, heard: Heard
) -> None:
    record.ready("ready at 0003")
    record.stopping("asked to end by SIGTERM")
    before = record.status
    record.checked("ready at 0003", pending=0)
    record.lost("gone", "timeout")
    record.ready("ready at 0003")
    assert record.status == before
    assert (before.phase, before.reason) == ("stopping", "asked to end by SIGTERM")
    assert lines(heard)[1:] == ["info ready stopping: asked to end by SIGTERM"]


def test_a_sink_that_is_added_later_hears_what_comes_later(record: journal.Journal) -> None:
    later: Heard = []
    record.event("first", "one")
    record.add_sink(lambda event, status: later.append((event, status)))
    record.event("second", "two", level="debug", count=2)
    assert lines(later) == ["debug settings second: two"]
    assert later[0][0].facts == {"count": 2}


def test_no_attempt_is_lost_between_threads(record: journal.Journal) -> None:
    def count() -> None:
        for _ in range(200):
            record.attempt("refused")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert record.status.attempts == {"refused": 1600}


@pytest.mark.parametrize(
    ("done", "now_s", "eta_s"),
    [
        (0, 110.0, None),  # no rate yet
        (1, 110.0, 30.0),  # 10 s a unit, 3 are left
        (2, 110.0, 10.0),  # 5 s a unit, 2 are left
        (4, 110.0, 0.0),
    ],
)
def test_the_time_left_follows_from_the_rate_so_far(
    done: int, now_s: float, eta_s: float | None
) -> None:
    progress = journal.Progress("revisions", done, 4, started_s=100.0)
    assert progress.eta_s(now_s) == eta_s

"""How a wait decides, with probers that answer as told; and how it wakes."""

import itertools
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from bootstrap import wait
from bootstrap.answer import MEANINGS, Answer, ErrorClass
from bootstrap.container import ContainerWatch, Died, Healthy, News
from bootstrap.errors import RefusedError, SettingsError, Terminated, WaitTimeoutError
from bootstrap.journal import Event, Journal, Status
from bootstrap.knock import Door
from bootstrap.settings import Settings

READY = Answer()
CLOSED = Answer("connection_refused", "connection refused")
STARTING = Answer("starting_up", "the database system is starting up")
WRONG = Answer("authentication", "password authentication failed", {"user": "app"})
NO_DATABASE = Answer("missing_database", 'database "app" does not exist', {"user": "app"})


@dataclass
class Fake:
    """Answers from a list, the last one for ever; `takes_s` seconds for each."""

    answers: Sequence[Answer | Exception]
    name: Literal["postgres", "redis", "sqlite"] = "postgres"
    identity: str = "db:5432/app"
    setting: str = "DATABASE_URL"
    takes_s: float = 0
    asked_s: list[float] = field(default_factory=list)
    closed: bool = False
    behind: list[Door] = field(default_factory=list)

    def probe(self, timeout_s: float) -> Answer:
        self.asked_s.append(time.monotonic())
        time.sleep(min(self.takes_s, timeout_s))
        answer = self.answers[min(len(self.asked_s), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def doors(self) -> list[Door]:
        return self.behind

    def close(self) -> None:
        self.closed = True


def redis(*answers: Answer) -> Fake:
    return Fake(answers, "redis", "cache:6379/0", "REDIS_URL")


class Recorder:
    """A journal that keeps every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.journal = Journal(self._keep)

    def _keep(self, event: Event, _: Status) -> None:
        self.events.append(event)

    def lines(self, *levels: str) -> list[str]:
        """What was said at these levels."""
        return [event.message for event in self.events if event.level in levels]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


QUICK = Settings(
    backoff_first_s=0.01,
    backoff_cap_s=0.02,
    backoff_jitter=0,
    wait_timeout_s=20,
    refused_grace_s=0.1,
    connect_timeout_s=5,
)


def run(
    probers: Iterable[Fake],
    recorder: Recorder | None = None,
    settings: Settings = QUICK,
    *,
    stop: threading.Event | None = None,
    container: Any = None,
    **changes: Any,
) -> wait.Waited:
    return wait.wait(
        list(probers),
        settings.replace(**changes),
        (recorder or Recorder()).journal,
        stop=stop or threading.Event(),
        container=container,
    )


# -- one target, on a clock of the test's own -----------------------------------------------------


def vigil(
    recorder: Recorder,
    prober: Fake | None = None,
    *,
    timeout_s: float = 60,
    grace_s: float = 2,
    tries: int = 0,
    pauses: Sequence[float] = (),
) -> wait.Vigil:
    """A vigil that began at 100 s; it pauses as told, then always for 1 s."""
    limits = wait.Limits(
        began_s=100, timeout_s=timeout_s, connect_timeout_s=5, grace_s=grace_s, tries=tries
    )
    return wait.Vigil(
        prober or Fake([CLOSED]),
        limits,
        recorder.journal,
        lambda: itertools.chain(pauses, itertools.repeat(1.0)),
    )


def test_the_line_of_a_target_that_is_not_ready(recorder: Recorder) -> None:
    it = vigil(recorder, pauses=[1, 1, 1, 4])
    for now_s in (101.0, 103.0, 107.0, 111.2):
        it.take(CLOSED, now_s)
    assert recorder.lines("info")[-1] == (
        "postgres at db:5432/app is not accepting connections yet; attempt 4, next try in 4.0 s "
        "(11.2 of 60 s used): connection refused"
    )
    assert recorder.events[-1].name == "not_yet"
    assert recorder.events[-1].facts == {
        "target": "db:5432/app",
        "attempts": 4,
        "error_class": "connection_refused",
        "detail": "connection refused",
        "next_try_s": 4.0,
        "used_s": 11.2,
    }


def test_about_one_line_a_second_however_many_tries(recorder: Recorder) -> None:
    it = vigil(recorder, pauses=[0.1] * 50)
    for tenth in range(1, 36):
        it.take(CLOSED, 100 + tenth / 10)
    assert [event.facts["used_s"] for event in recorder.events if event.level == "info"] == [
        1.0,
        2.0,
        3.0,
    ]
    assert len(recorder.lines("debug")) == 32


def test_a_long_sleep_is_announced_before_it(recorder: Recorder) -> None:
    vigil(recorder, pauses=[30]).take(CLOSED, 100)
    assert len(recorder.lines("info")) == 1


def test_every_failed_try_is_counted_by_its_class(recorder: Recorder) -> None:
    it = vigil(recorder)
    for now_s, answer in enumerate((CLOSED, CLOSED, STARTING, WRONG, READY)):
        it.take(answer, 100 + now_s)
    assert recorder.journal.status.attempts == {
        "connection_refused": 2,
        "starting_up": 1,
        "authentication": 1,
    }
    assert it.attempts == 5


def test_the_sleeps_are_those_of_the_schedule_and_the_last_one_ends_at_the_deadline(
    recorder: Recorder,
) -> None:
    it = vigil(recorder, timeout_s=10, pauses=[1, 2, 4, 8])
    table = [
        # now, next try
        (100.0, 101.0),  # + 1
        (101.0, 103.0),  # + 2
        (103.0, 107.0),  # + 4
        (107.0, 110.0),  # + 8 = 115, clamped to the deadline
    ]
    for now_s, next_s in table:
        it.take(CLOSED, now_s)
        assert it.next_s == next_s
        assert not it.over
    it.take(CLOSED, 110.0)
    assert it.over


def test_the_tries_are_bounded(recorder: Recorder) -> None:
    it = vigil(recorder, tries=3, pauses=[1, 2])
    it.take(CLOSED, 100)
    it.take(CLOSED, 101)
    assert not it.over
    it.take(CLOSED, 103)
    assert it.over


def test_a_refusal_is_final_after_its_grace(recorder: Recorder) -> None:
    it = vigil(recorder, grace_s=2)
    for now_s in (100.0, 100.5, 101.0, 101.5):
        it.take(WRONG, now_s)
        assert it.next_s == now_s + 0.5  # a quarter of the grace
    with pytest.raises(RefusedError) as caught:
        it.take(WRONG, 102.0)
    assert str(caught.value) == (
        "postgres at db:5432/app answers but refuses user 'app': password authentication failed; "
        "check DATABASE_URL (runbook: refused)"
    )
    assert caught.value.facts == {
        "target": "db:5432/app",
        "attempts": 5,
        "error_class": "authentication",
        "detail": "password authentication failed",
        "wait_s": 2.0,
    }
    assert recorder.lines("warning") == [
        "postgres at db:5432/app answers but refuses user 'app': password authentication failed; "
        "asking again for 2 s, in case it is still being set up"
    ]


def test_without_grace_a_refusal_is_final_at_the_second_try(recorder: Recorder) -> None:
    it = vigil(recorder, grace_s=0, pauses=[0.02])
    it.take(WRONG, 100)
    assert it.next_s == 100.02
    with pytest.raises(RefusedError):
        it.take(WRONG, 100.02)


def test_a_single_slow_refusal_is_not_final(recorder: Recorder) -> None:
    it = vigil(recorder, grace_s=2)
    it.take(WRONG, 103)
    assert not it.over


def test_the_grace_begins_with_the_first_refusal(recorder: Recorder) -> None:
    it = vigil(recorder, grace_s=2)
    it.take(CLOSED, 130)
    it.take(NO_DATABASE, 140)
    it.take(NO_DATABASE, 141.9)
    with pytest.raises(RefusedError):
        it.take(NO_DATABASE, 142)


def test_a_server_that_goes_away_in_between_begins_the_grace_anew(recorder: Recorder) -> None:
    it = vigil(recorder, grace_s=2)
    it.take(WRONG, 100)
    it.take(CLOSED, 101)
    it.take(WRONG, 102.5)
    it.take(WRONG, 104)
    with pytest.raises(RefusedError):
        it.take(WRONG, 104.5)


def test_a_refusal_at_the_deadline_is_a_refusal(recorder: Recorder) -> None:
    it = vigil(recorder, timeout_s=0)
    with pytest.raises(RefusedError):
        it.take(WRONG, 100.1)


def test_a_role_that_turns_up_within_the_grace_is_ready(recorder: Recorder) -> None:
    it = vigil(recorder, grace_s=2)
    it.take(WRONG, 100)
    it.take(READY, 100.5)
    assert it.ready
    assert recorder.lines("info") == ["postgres at db:5432/app is ready after 2 tries in 0.5 s"]


def test_a_target_that_is_ready_at_once_says_so_shortly(recorder: Recorder) -> None:
    vigil(recorder).take(READY, 100.01)
    assert recorder.lines("info") == ["postgres at db:5432/app is ready"]


@pytest.mark.parametrize(
    ("prober", "answer", "message"),
    [
        (
            Fake([]),
            NO_DATABASE,
            'postgres at db:5432/app answers but has no such database: database "app" does not '
            "exist; create it, or correct DATABASE_URL",
        ),
        (
            Fake([], setting="DATABASE_URL_FILE"),
            Answer("tls", "server does not support SSL, but SSL was required"),
            "postgres at db:5432/app answers but TLS with it fails: server does not support SSL, "
            "but SSL was required; check its certificate, and the TLS options in "
            "DATABASE_URL_FILE",
        ),
        (
            Fake([]),
            Answer("not_authorized", 'permission denied for database "app"', {"user": ""}),
            "postgres at db:5432/app answers but does not let the login in: permission denied for "
            'database "app"; allow it there, or check DATABASE_URL',
        ),
        (
            Fake([]),
            Answer("not_postgres", "it speaks HTTP"),
            "postgres at db:5432/app is no PostgreSQL server: it speaks HTTP; correct host and "
            "port in DATABASE_URL",
        ),
        (
            redis(),
            Answer("authentication", "authentication required", {"user": "default"}),
            "redis at cache:6379/0 answers but refuses user 'default': authentication required; "
            "check REDIS_URL",
        ),
        (
            Fake([], "sqlite", "/data/app.db"),
            Answer("not_a_database", "file is not a database"),
            "sqlite at /data/app.db is no SQLite database: file is not a database; correct "
            "DATABASE_URL",
        ),
        (
            Fake([], "sqlite", "/data/app.db"),
            Answer("missing_folder", "there is no folder '/data'"),
            "sqlite at /data/app.db cannot be opened: there is no folder '/data'; make the "
            "folder, or correct DATABASE_URL",
        ),
    ],
)
def test_what_a_refusal_says(
    recorder: Recorder, prober: Fake, answer: Answer, message: str
) -> None:
    it = vigil(recorder, prober, timeout_s=0)
    with pytest.raises(RefusedError) as caught:
        it.take(answer, 100)
    assert caught.value.message == message


@pytest.mark.parametrize("error_class", MEANINGS)
def test_every_class_makes_a_sentence(error_class: ErrorClass, recorder: Recorder) -> None:
    it = vigil(recorder)
    message = ""
    try:
        it.take(Answer(error_class, "cause"), 100)
    except RefusedError as error:
        message = error.message
    assert "{" not in it.cause
    assert "{" not in (message or recorder.events[-1].message)


def test_what_is_wrong_with_a_file_that_nobody_else_will_mend_is_final_at_once() -> None:
    final: set[ErrorClass] = set()
    for error_class, meaning in MEANINGS.items():
        try:
            vigil(Recorder(), grace_s=2).take(Answer(error_class, "cause"), 100)
        except RefusedError:
            assert meaning.state == "refused"
            final.add(error_class)
    assert final == {"missing_folder", "permission", "not_a_file", "not_a_database"}


# -- the whole wait -------------------------------------------------------------------------------


def test_ready_at_once_takes_one_try(recorder: Recorder) -> None:
    prober = Fake([READY])
    waited = run([prober], recorder)
    assert (waited.attempts, waited.answers) == (1, (READY,))
    assert recorder.journal.status.wait_s == waited.wait_s
    assert not prober.closed


def test_ready_after_a_while() -> None:
    waited = run([Fake([CLOSED, STARTING, READY])])
    assert (waited.attempts, waited.answers) == (3, (READY,))


def test_nothing_to_wait_for() -> None:
    assert run([]).answers == ()


def test_a_timeout_of_zero_is_one_check(recorder: Recorder) -> None:
    prober = Fake([CLOSED])
    with pytest.raises(WaitTimeoutError) as caught:
        run([prober], recorder, wait_timeout_s=0)
    assert len(prober.asked_s) == 1
    assert caught.value.message == (
        "postgres at db:5432/app was not ready after 1 try in 0.0 s: connection refused; start "
        "it, or correct host and port in DATABASE_URL"
    )
    assert recorder.journal.status.attempts == {"connection_refused": 1}


def test_several_are_each_asked_once_with_a_timeout_of_zero() -> None:
    slow = redis(CLOSED)
    slow.takes_s = 0.2
    with pytest.raises(WaitTimeoutError) as caught:
        run([Fake([STARTING]), slow], wait_timeout_s=0)
    assert caught.value.message == (
        "2 targets were not ready after 0.2 s:\n"
        "  postgres at db:5432/app, 1 try: the database system is starting up; see its log, or "
        "give it more time with BOOTSTRAPD_WAIT_TIMEOUT_S\n"
        "  redis at cache:6379/0, 1 try: connection refused; start it, or correct host and port "
        "in REDIS_URL"
    )
    targets: Any = caught.value.facts["targets"]
    assert [target["target"] for target in targets] == ["db:5432/app", "cache:6379/0"]


def test_a_last_try_is_made_at_the_deadline() -> None:
    prober = Fake([CLOSED])
    began_s = time.monotonic()
    with pytest.raises(WaitTimeoutError):
        run([prober], wait_timeout_s=0.3, backoff_first_s=10, backoff_cap_s=10)
    assert len(prober.asked_s) == 2
    assert prober.asked_s[1] - began_s >= 0.3


def test_a_probe_that_overruns_its_own_deadline_is_left_behind(recorder: Recorder) -> None:
    stuck = threading.Event()

    class Stuck(Fake):
        def probe(self, timeout_s: float) -> Answer:
            if self.asked_s:
                stuck.wait()
            return super().probe(timeout_s)

    began_s = time.monotonic()
    with pytest.raises(WaitTimeoutError) as caught:
        run([Stuck([CLOSED])], recorder, wait_timeout_s=0.1, connect_timeout_s=0.2)
    # 0.1 s until the deadline and 0.2 s for the last try, which never ends.
    assert 0.3 <= time.monotonic() - began_s < 5
    assert caught.value.facts["targets"] == [
        {
            "target": "db:5432/app",
            "attempts": 1,
            "error_class": "connection_refused",
            "detail": "connection refused",
        }
    ]
    stuck.set()


def test_only_the_target_that_is_not_ready_is_named() -> None:
    with pytest.raises(WaitTimeoutError) as caught:
        run([Fake([READY]), redis(CLOSED)], wait_timeout_s=0.1)
    assert "redis at cache:6379/0 was not ready after " in caught.value.message
    assert "postgres" not in caught.value.message


def test_the_tries_end_the_wait() -> None:
    prober = Fake([CLOSED])
    with pytest.raises(WaitTimeoutError, match=r"was not ready after 3 tries in "):
        run([prober], wait_tries=3)
    assert len(prober.asked_s) == 3


def test_all_are_asked_side_by_side() -> None:
    meeting = threading.Barrier(3, timeout=10)

    class Meeting(Fake):
        def probe(self, timeout_s: float) -> Answer:
            meeting.wait()
            return super().probe(timeout_s)

    waited = run([Meeting([READY]) for _ in range(3)])
    assert waited.attempts == 3


def test_one_that_refuses_ends_the_wait_for_the_others() -> None:
    began_s = time.monotonic()
    with pytest.raises(RefusedError, match=r"^redis at cache:6379/0 answers but refuses"):
        run([Fake([CLOSED]), redis(WRONG)])
    assert time.monotonic() - began_s < 10


def test_a_refusal_ends_the_wait_within_a_few_tries() -> None:
    prober = Fake([WRONG])
    with pytest.raises(RefusedError):
        run([prober])
    assert 2 <= len(prober.asked_s) <= 5


@pytest.mark.parametrize("others", [[], [Fake([READY])]])
def test_an_error_of_the_prober_itself_ends_the_wait(others: list[Fake]) -> None:
    with pytest.raises(SettingsError, match="unusable"):
        run([Fake([SettingsError("unusable")]), *others])
    with pytest.raises(SettingsError, match="unusable"):
        run([Fake([CLOSED, SettingsError("unusable")]), *others])


# -- waking ---------------------------------------------------------------------------------------

ASLEEP: dict[str, Any] = {"backoff_first_s": 600, "backoff_cap_s": 600, "wait_timeout_s": 600}


def soon(action: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(0.1, action)
    timer.start()
    return timer


def test_stop_ends_a_sleep_at_once() -> None:
    stop = threading.Event()
    soon(stop.set)
    with pytest.raises(Terminated) as caught:
        run([Fake([CLOSED])], stop=stop, **ASLEEP)
    assert caught.value.signum == signal.SIGTERM


@pytest.mark.parametrize("others", [[], [Fake([CLOSED])]])
def test_stop_ends_a_try_that_hangs(others: list[Fake]) -> None:
    stop = threading.Event()
    soon(stop.set)
    began_s = time.monotonic()
    with pytest.raises(Terminated):
        run([Fake([CLOSED], takes_s=30), *others], stop=stop, connect_timeout_s=30)
    assert time.monotonic() - began_s < 15


def test_stopped_before_it_began_nobody_is_asked() -> None:
    stop = threading.Event()
    stop.set()
    prober = Fake([READY])
    with pytest.raises(Terminated):
        run([prober], stop=stop)
    assert prober.asked_s == []


class FakeWatch(ContainerWatch):
    """Tells what it is told to, 0.1 s after its start."""

    def __init__(self, *news: News) -> None:
        super().__init__("pg", Recorder().journal)
        self.news = news
        self.state = "new"

    def start(self, tell: Callable[[News], None]) -> None:
        self.state = "watching"

        def tell_all() -> None:
            for item in self.news:
                tell(item)

        soon(tell_all)

    def close(self) -> None:
        self.state += ", closed"


def test_a_container_that_becomes_healthy_ends_the_sleep() -> None:
    prober = Fake([CLOSED, READY])
    watch = FakeWatch(Healthy("pg"))
    waited = run([prober], container=watch, **ASLEEP)
    assert waited.attempts == 2
    assert watch.state == "watching, closed"


def test_a_container_that_dies_ends_the_wait() -> None:
    watch = FakeWatch(Died("pg", 1, False, ("starting", "could not open file")))
    with pytest.raises(RefusedError) as caught:
        run([redis(CLOSED), Fake([CLOSED])], container=watch, **ASLEEP)
    assert caught.value.message == (
        "postgres at db:5432/app will not come up: container pg exited with code 1; correct what "
        "its log says, then start it again; its last lines:\n"
        "  starting\n"
        "  could not open file"
    )
    assert caught.value.facts == {
        "target": "db:5432/app",
        "container": "pg",
        "container_exit_code": 1,
        "log": ["starting", "could not open file"],
    }
    assert watch.state == "watching, closed"


def test_a_container_that_was_killed_for_its_memory() -> None:
    watch = FakeWatch(Died("pg", 137, True, ()))
    with pytest.raises(RefusedError) as caught:
        run([Fake([CLOSED])], container=watch, **ASLEEP)
    assert caught.value.message == (
        "postgres at db:5432/app will not come up: container pg exited with code 137, having run "
        "out of memory; correct what its log says, then start it again"
    )


def test_what_is_ready_at_once_needs_no_watch() -> None:
    watch = FakeWatch()
    run([Fake([READY])], container=watch)
    assert watch.state == "new, closed"


# -- knocking -------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
def test_a_port_that_opens_ends_the_sleep(family: socket.AddressFamily, tmp_path: Path) -> None:
    with socket.socket(family) as later:
        path = str(tmp_path / "socket")
        hosts = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
        later.bind((hosts[family], 0) if family in hosts else path)
        port = later.getsockname()[1] if family in hosts else None
        database = Fake([CLOSED, READY], behind=[Door(hosts.get(family, path), port)])
        opening = threading.Timer(0.4, later.listen)
        opening.start()
        # Of itself it would ask again after 20 s.
        waited = run([database], backoff_first_s=20, backoff_cap_s=20, backoff_jitter=0)
        opening.join()
    assert waited.attempts == 2
    assert 0.4 <= waited.wait_s < 20


def test_a_port_that_stays_closed_is_not_asked_early() -> None:
    with socket.socket() as never:
        never.bind(("127.0.0.1", 0))
        database = Fake([CLOSED, READY], behind=[Door(*never.getsockname())])
        waited = run([database], backoff_first_s=0.5, backoff_cap_s=5, backoff_jitter=0)
    assert waited.attempts == 2
    assert waited.wait_s >= 0.5


def test_a_name_that_nobody_knows_has_no_door() -> None:
    database = Fake([CLOSED, READY], behind=[Door("no-such-host.invalid", 5432)])
    assert run([database], backoff_first_s=0.2, backoff_cap_s=5, backoff_jitter=0).attempts == 2


def test_a_server_that_comes_up_is_asked_by_a_new_schedule(recorder: Recorder) -> None:
    answers = [*[CLOSED] * 5, *[STARTING] * 3, READY]
    database = Fake(answers)
    slow = QUICK.replace(backoff_first_s=0.05, backoff_factor=2, backoff_cap_s=5, backoff_jitter=0)
    run([database], recorder, slow)
    pauses = [event.facts["next_try_s"] for event in recorder.events if event.name == "not_yet"]
    assert pauses == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 0.05, 0.1, 0.2], abs=0.01)


def test_a_worker_is_started_meanwhile_only_where_the_database_was_not_ready() -> None:
    calls: list[float] = []
    slow = Fake([READY], takes_s=0.8)
    limits = Settings()
    wait.wait([slow], limits, Journal(), stop=threading.Event(), meanwhile=lambda: calls.append(1))
    assert not calls
    closed = Fake([CLOSED, READY], takes_s=0.4)
    wait.wait(
        [closed], limits, Journal(), stop=threading.Event(), meanwhile=lambda: calls.append(1)
    )
    assert len(calls) == 1


# -- imports --------------------------------------------------------------------------------------


def test_a_wait_that_succeeds_at_once_imports_nothing_heavy() -> None:
    program = """
import sys, threading
from bootstrap import answer, journal, probe, settings, wait

class Ready:
    name, identity, setting = "postgres", "db:5432/app", "DATABASE_URL"
    def probe(self, timeout_s):
        return answer.Answer()
    def close(self):
        pass

wait.wait([Ready()], settings.Settings(), journal.Journal(), stop=threading.Event())
heavy = {"tenacity", "redis", "docker", "requests", "sqlalchemy", "alembic", "sqlite3", "psycopg",
         "ssl", "asyncio", "yaml"}
print(sorted(heavy & sys.modules.keys()))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_classes_and_meanings_are_the_same_list() -> None:
    from typing import get_args

    assert tuple(MEANINGS) == get_args(ErrorClass)

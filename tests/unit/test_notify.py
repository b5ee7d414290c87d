"""What systemd hears, over a real socket of the kind that it listens on."""

import os
import select
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bootstrap import errors, journal, notify, redact, reporting, settings

MORE_TIME = "EXTEND_TIMEOUT_USEC=30000000"
NEVER_S = 3600.0


class Manager:
    """The listening end, as systemd has one for each service."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(30)

    def hear(self) -> list[str]:
        """The lines of the next message."""
        return self._socket.recv(4096).decode().split("\n")

    def hear_until(self, line: str) -> list[list[str]]:
        """All messages up to one with this line."""
        heard = [self.hear()]
        while line not in heard[-1]:
            heard.append(self.hear())
        return heard

    def silent(self) -> bool:
        """Whether no message is waiting."""
        return not select.select([self._socket], [], [], 0)[0]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = f"\0bootstrapd-{uuid.uuid4()}" if request.param == "abstract" else "notify"
    before = Path.cwd()
    # The path of a socket may have a hundred letters only, so it is short.
    os.chdir(tmp_path)
    manager = Manager(address)
    yield manager
    manager.close()
    os.chdir(before)


@pytest.fixture
def record() -> journal.Journal:
    return journal.Journal()


@pytest.fixture
def notifying(record: journal.Journal) -> Iterator[Callable[..., notify.Notifier]]:
    """`notifying(manager, watchdog_s=None, ...)`: a notifier that has started."""
    made = []

    def make(
        manager: Manager,
        *,
        watchdog_s: float | None = None,
        tick_s: float = NEVER_S,
        quiet_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> notify.Notifier:
        where = settings.NotifySocket(manager.address, watchdog_s)
        notifier = notify.Notifier(record, where, quiet_s=quiet_s, tick_s=tick_s, clock=clock)
        notifier.start()
        made.append(notifier)
        return notifier

    yield make
    for notifier in made:
        notifier.stop()


Notifying = Callable[..., notify.Notifier]


def test_the_way_of_a_service(
    manager: Manager, record: journal.Journal, notifying: Notifying
) -> None:
    notifying(manager)
    assert manager.hear() == ["STATUS=settings: starting"]
    with record.stage("wait", "waiting for db:5432/app"):
        assert manager.hear() == ["STATUS=wait: waiting for db:5432/app", MORE_TIME]
    with record.stage("pin", "checking the identity"):
        assert manager.hear() == ["STATUS=pin: checking the identity"]
    with record.stage("migrate", "3 pending"):
        assert manager.hear() == ["STATUS=migrate: 3 pending", MORE_TIME]
        record.set(progress=journal.Progress("revisions", 0, 3, 0.0))
        record.event("progress", "0 of 3")
        assert manager.hear() == ["STATUS=migrate: 0 of 3 revisions done", MORE_TIME]
    record.ready("ready at 0003")
    assert manager.hear() == ["STATUS=ready: ready at 0003", "READY=1"]
    record.lost("db:5432/app does not answer", "timeout")
    assert manager.hear() == ["STATUS=lost: db:5432/app does not answer"]
    record.checked("ready at 0003")
    assert manager.hear() == ["STATUS=ready: ready at 0003"]
    record.stopping("asked to end by SIGTERM")
    assert manager.hear() == ["STATUS=stopping: asked to end by SIGTERM", "STOPPING=1"]
    record.event("stopped", "stopped")
    assert manager.silent()


def test_what_fails_is_never_ready(
    manager: Manager, record: journal.Journal, notifying: Notifying
) -> None:
    notifying(manager)
    with record.stage("migrate", "3 pending"):
        pass
    record.failed(errors.MigrationError("revision 0002 failed:\n  syntax error"))
    assert [line for _ in range(3) for line in manager.hear()] == [
        "STATUS=settings: starting",
        "STATUS=migrate: 3 pending",
        MORE_TIME,
        "STATUS=failed: revision 0002 failed: syntax error",
    ]
    assert manager.silent()


def test_the_same_status_is_told_once(
    manager: Manager, record: journal.Journal, notifying: Notifying
) -> None:
    notifying(manager)
    record.event("one", "one")
    record.event("two", "two")
    assert manager.hear() == ["STATUS=settings: starting"]
    assert manager.silent()


def test_a_long_stage_asks_for_more_time_again_and_again(
    manager: Manager, record: journal.Journal, notifying: Notifying
) -> None:
    notifying(manager, tick_s=0.01)
    with record.stage("migrate", "3 pending"):
        manager.hear_until("STATUS=migrate: 3 pending")
        assert [manager.hear() for _ in range(3)] == [[MORE_TIME]] * 3
        record.set(progress=journal.Progress("revisions", 0, 3, 0.0))
        manager.hear_until("STATUS=migrate: 0 of 3 revisions done")
    record.ready("ready at 0003")
    manager.hear_until("READY=1")


def test_signs_of_life_come_twice_in_the_time_that_is_given(
    manager: Manager, record: journal.Journal, notifying: Notifying
) -> None:
    notifier = notifying(manager, watchdog_s=0.02)
    assert manager.hear() == ["STATUS=settings: starting", "WATCHDOG=1"]
    assert notifier._tick_s == 0.01
    record.ready("ready at 0003")
    manager.hear_until("READY=1")
    assert [manager.hear() for _ in range(3)] == [["WATCHDOG=1"]] * 3


def test_without_a_watchdog_there_are_no_signs_of_life(
    manager: Manager, record: journal.Journal, notifying: Notifying
) -> None:
    notifier = notifying(manager)
    assert manager.hear() == ["STATUS=settings: starting"]
    notifier._tick()
    assert manager.silent()


def test_a_watch_that_is_stuck_gives_no_sign_of_life(
    manager: Manager, record: journal.Journal, notifying: Notifying
) -> None:
    now_s = 100.0
    notifier = notifying(manager, watchdog_s=2 * NEVER_S, quiet_s=30.0, clock=lambda: now_s)
    # Before ready only the process counts, however long a statement takes.
    now_s += 1000.0
    notifier._tick()
    record.ready("ready at 0003")
    assert [manager.hear() for _ in range(3)] == [
        ["STATUS=settings: starting", "WATCHDOG=1"],
        ["WATCHDOG=1"],
        ["STATUS=ready: ready at 0003", "READY=1"],
    ]
    now_s += 30.0
    notifier._tick()
    assert manager.hear() == ["WATCHDOG=1"]
    now_s += 0.1
    notifier._tick()
    assert manager.silent()
    record.checked("ready at 0003")
    notifier._tick()
    assert manager.hear() == ["WATCHDOG=1"]


def test_nothing_is_told_after_the_end(
    manager: Manager, record: journal.Journal, notifying: Notifying
) -> None:
    notifier = notifying(manager, watchdog_s=0.02)
    manager.hear()
    notifier.stop()
    notifier.stop()
    while not manager.silent():
        manager.hear()
    record.ready("ready at 0003")
    assert manager.silent()
    assert "systemd" not in {thread.name for thread in threading.enumerate()}


def test_no_status_holds_a_secret(
    manager: Manager, record: journal.Journal, notifying: Notifying
) -> None:
    redact.remember("an-0dd-secret")
    notifying(manager)
    manager.hear()
    record.lost("postgresql://app:hunter2@db/app says an-0dd-secret", "refused")
    assert manager.hear() == ["STATUS=lost: postgresql://app:***@db/app says ***"]


def test_a_manager_that_is_gone_costs_one_warning(
    manager: Manager, record: journal.Journal, notifying: Notifying
) -> None:
    heard: list[str] = []
    record.add_sink(lambda event, _: heard.append(f"{event.level} {event.message}"))
    notifier = notifying(manager)
    manager.close()
    record.ready("ready at 0003")
    record.lost("gone", "timeout")
    notifier._tick()
    assert heard == [
        "info ready at 0003",
        "warning cannot tell systemd: Connection refused; going on without it",
        "warning not ready: gone",
    ]


def test_the_environment_says_where(
    manager: Manager,
    record: journal.Journal,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    shown = manager.address.replace("\0", "@")
    monkeypatch.setenv("NOTIFY_SOCKET", shown if shown[0] == "@" else str(Path(shown).absolute()))
    loaded = settings.load({"BOOTSTRAPD_STATE_DIR": str(tmp_path)})
    with reporting.reports(loaded, record, listen=False):
        assert manager.hear() == ["STATUS=settings: starting"]


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, None),
        ({"NOTIFY_SOCKET": ""}, None),
        ({"NOTIFY_SOCKET": "vsock:2:1234"}, None),
        ({"NOTIFY_SOCKET": "/run/n"}, ("/run/n", None)),
        ({"NOTIFY_SOCKET": "@a@b"}, ("\0a@b", None)),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "3000000"}, ("/run/n", 3.0)),
        (
            {
                "NOTIFY_SOCKET": "/run/n",
                "WATCHDOG_USEC": "500000",
                "WATCHDOG_PID": str(os.getpid()),
            },
            ("/run/n", 0.5),
        ),
        # The watchdog is for another process.
        (
            {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"},
            ("/run/n", None),
        ),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "0"}, ("/run/n", None)),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "soon"}, ("/run/n", None)),
    ],
)
def test_what_the_environment_means(
    environ: dict[str, str], found: tuple[str, float | None] | None
) -> None:
    wanted = None if found is None else settings.NotifySocket(*found)
    assert settings.notify_socket(environ) == wanted

"""A file that is written while it is moved: what goes is of one moment, the rest is told."""

import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bootstrap import fence, journal, settings, verbs
from bootstrap.errors import IdentityError
from bootstrap.move import cutover, request
from tests.support import look
from tests.support.cli import Result

Run = Callable[..., Result]

EVENT = "insert into events (id, payload, timestamp, entity_type) values (?, '{}', ?, 'agent')"
NOW = "2026-01-31T12:00:00.000000Z"


@pytest.fixture
def path(run: Run, tmp_path: Path) -> Path:
    """A file of godel's that was brought up."""
    path = tmp_path / "godel.db"
    run("run", env={"DATABASE_URL": f"sqlite:///{path}"}).expect(0)
    return path


@contextmanager
def app(path: Path, *, stays: bool) -> Iterator[Callable[[], int]]:
    """Writes an agent and its event in one transaction, again and again; says how many there are.

    With `stays` over one connection, as the apps do, else over a new one each time.
    """
    stop, written = threading.Event(), [0]

    def write() -> None:
        kept = sqlite3.connect(path, timeout=30, isolation_level=None) if stays else None
        if kept is not None:
            kept.execute("pragma journal_mode = wal")
        while not stop.wait(0.01):
            with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as new:
                writing = kept or new
                writing.execute("begin immediate")
                number = secrets.token_hex(8)
                writing.execute("insert into agents (id) values (?)", [number])
                writing.execute(EVENT, [number, NOW])
                writing.execute("commit")
            written[0] += 1
        if kept is not None:
            kept.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while not written[0]:
            time.sleep(0.01)
        yield lambda: written[0]
    finally:
        stop.set()
        thread.join()


def counted(url: str) -> tuple[int, int]:
    """The agents and the events."""
    ((agents, events),) = look.query(
        url, "select (select count(*) from agents), (select count(*) from events)"
    )
    return agents, events


def is_fenced(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as file:
        return fence.read(file) is not None


def test_what_is_moved_is_of_one_moment_and_the_rest_is_told(
    run: Run, path: Path, database18: str
) -> None:
    with app(path, stays=True) as written:
        before = written()
        result = run(f"move --json --from sqlite:///{path}", env={"DATABASE_URL": database18})
        after = written()
    agents, events = counted(database18)
    assert agents == events
    assert before <= agents < after
    document = result.expect(0).json()
    assert document["cut_over"] == {"fenced": False, "changed_since": True}
    assert f"{path} was written to while it was moved: what came after" in result.stderr
    # What came later is not added.
    again = run(f"move --json --from sqlite:///{path}", env={"DATABASE_URL": database18}).expect(5)
    error = again.json()["error"]
    assert error["changed_tables"] == ["agents", "events"]
    assert error["message"] == (
        f"{path} was moved to {look.identity(database18)} before and was written to since, in "
        "agents, events; what was written later is not in the target, and a second move does not "
        "add it: empty the target and move again, or go on with the file"
    )
    assert counted(database18) == (agents, events)


def test_a_file_that_an_app_has_open_is_not_fenced_and_nothing_is_moved(
    run: Run, path: Path, database18: str
) -> None:
    argv = f"move --json --from sqlite:///{path} --fence"
    with app(path, stays=True):
        error = run(argv, env={"DATABASE_URL": database18}).expect(9).json()["error"]
    assert error["message"].startswith(f"another process has {path} open, and did not close it")
    assert look.tables(database18) == set()
    assert not is_fenced(path)


def test_a_file_that_is_written_meanwhile_is_not_fenced_and_nothing_is_moved(
    run: Run, path: Path, database18: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the last moment: all was copied and compared."""
    run("migrate", env={"DATABASE_URL": database18}).expect(0)
    with app(path, stays=False):
        pass
    before_commit = cutover.before_commit

    def late(asked: request.Request, watching: fence.Guard) -> None:
        with app(path, stays=False):
            pass
        before_commit(asked, watching)

    flags = {
        "DATABASE_URL": database18,
        "BOOTSTRAPD_APP": "godel",
        "BOOTSTRAPD_STATE_DIR": str(tmp_path / "state"),
    }
    loaded = settings.load(flags, {})
    asked = {"source": f"sqlite:///{path}", "fence": True}
    monkeypatch.setattr(cutover, "before_commit", late)
    with pytest.raises(IdentityError) as caught:
        verbs.move(loaded, journal.Journal(), threading.Event(), asked)
    assert caught.value.message == (
        f"{path} was written to since the move began, and that would be missing: it is not fenced; "
        "stop what writes to it and move again"
    )
    assert counted(database18) == (0, 0)
    assert not is_fenced(path)

    argv = f"move --json --from sqlite:///{path} --fence"
    moved = run(argv, env={"DATABASE_URL": database18}).expect(0).json()
    assert moved["cut_over"]["fenced"] is True
    assert counted(database18) == (2, 2)
    assert is_fenced(path)

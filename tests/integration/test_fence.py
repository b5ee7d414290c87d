"""A fenced SQLite file: everybody reads it, nobody writes it, and it comes back as it was."""

import asyncio
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from bootstrap import fence, sqlite, target
from bootstrap.apps.agentpane import storage as agentpane_storage
from bootstrap.apps.business_os import database as business_os_database
from bootstrap.apps.dash import storage as dash_storage
from bootstrap.apps.godel import api
from bootstrap.apps.godel import storage as godel_storage
from bootstrap.apps.tarsy import history as tarsy_history
from bootstrap.client import Client
from bootstrap.errors import IdentityError, LockError, RefusedError
from tests.support import processes
from tests.support.cli import Result, Running

Run = Callable[..., Result]
Start = Callable[..., Running]

IDENTITY = "02f2a17f-777e-42f8-bf38-4d26496d670a"
PLACE = "db:5432/godel"
WRITES = (
    "insert into item values (2, 'two')",
    "insert or replace into item values (1, 'two')",
    "update item set name = 'none'",
    "delete from item",
    "drop table item",
    "create table other (id)",
    "alter table item add column further",
    "pragma journal_mode = wal",
    "pragma user_version = 7",
    "drop view bootstrapd_moved",
    "vacuum",
)


@pytest.fixture(params=["delete", "wal"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file with one row, of either journal mode."""
    path = tmp_path / "some app.db"
    with opened(path) as connection:
        connection.execute(f"pragma journal_mode = {request.param}")
        connection.execute("create table item (id integer primary key, name text)")
        connection.execute("insert into item values (1, 'one')")
    return path


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        yield connection


def fenced(path: Path) -> fence.Mark:
    with fence.Guard(path, to_fence=True) as guard:
        return guard.fence(IDENTITY, PLACE, "sha256:0f")


@contextmanager
def elsewhere(path: Path, statements: str) -> Iterator[None]:
    """Another process that has the file open and has run these."""
    program = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for statement in sys.argv[2].split(';'): connection.execute(statement).fetchall()\n"
        "print('done', flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", program, str(path), statements]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"done\n"
        try:
            yield
        finally:
            process.stdin.close()


def contents(path: Path) -> tuple[list[str], str]:
    with opened(path) as connection:
        (mode,) = connection.execute("pragma journal_mode").fetchone()
        return list(connection.iterdump()), mode


# -- the file --------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", WRITES)
def test_no_client_can_write_a_fenced_file(path: Path, statement: str) -> None:
    fenced(path)
    with opened(path) as connection:
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute(statement)
        assert str(caught.value) == "attempt to write a readonly database"
        assert connection.execute("select * from item").fetchall() == [(1, "one")]


def test_a_connection_from_before_cannot_write_either(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with opened(path) as early:
        early.execute("create table item (id integer primary key)")
        early.execute("insert into item values (1)")
        program = (
            "import sys; from pathlib import Path; from bootstrap import fence\n"
            "with fence.Guard(Path(sys.argv[1]), to_fence=True) as guard: guard.fence('a', 'b', '')"
        )
        subprocess.run([sys.executable, "-c", program, path], check=True)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            early.execute("insert into item values (2)")


def test_the_file_says_where_its_rows_are(path: Path) -> None:
    mark = fenced(path)
    with opened(path) as connection:
        assert fence.read(connection) == mark
        row = connection.execute("select identity, target, report from bootstrapd_moved").fetchone()
    assert row == (IDENTITY, PLACE, "sha256:0f")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", mark.moved_at)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_lifted_file_is_what_it_was(path: Path) -> None:
    before = contents(path)
    fenced(path)
    fence.lift(path)
    assert contents(path) == before
    with opened(path) as connection:
        connection.execute("insert into item values (2, 'two')")
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_fencing_again_and_lifting_again_change_nothing(path: Path) -> None:
    before = contents(path)
    fence.lift(path)
    assert contents(path) == before
    fenced(path)
    with fence.Guard(path, to_fence=False) as guard:
        assert not guard.changed()
    fence.lift(path)
    fence.lift(path)
    assert contents(path) == before


def test_a_file_that_was_moved_elsewhere_is_not_fenced_anew(path: Path) -> None:
    mark = fenced(path)
    assert fenced(path) == mark
    with fence.Guard(path, to_fence=True) as guard, pytest.raises(IdentityError) as caught:
        guard.fence("another", "db:5432/other", "")
    assert caught.value.message == refusal(path, mark)


def test_a_copy_that_can_be_written_still_says_so(path: Path, tmp_path: Path) -> None:
    fenced(path)
    copy = tmp_path / "copy.db"
    with opened(path) as connection:
        connection.execute(f"vacuum into '{copy}'")
    with opened(copy) as connection:
        connection.execute("insert into item values (2, 'two')")
        with pytest.raises(IdentityError):
            fence.refuse(connection, copy)


@pytest.mark.parametrize(
    "statements",
    [
        "insert into item values (2, 'two')",
        "begin; update item set name = 'ONE'; commit",
        "create index item_name on item (name)",
    ],
)
def test_a_file_that_was_written_to_since_is_not_fenced(path: Path, statements: str) -> None:
    with fence.Guard(path, to_fence=True) as guard:
        with elsewhere(path, statements):
            assert guard.changed()
        before = contents(path)
        with pytest.raises(IdentityError) as caught:
            guard.fence(IDENTITY, PLACE, "")
    assert caught.value.message == (
        f"{path} was written to since the move began, and that would be missing: it is not fenced; "
        "stop what writes to it and move again"
    )
    assert contents(path) == before


@pytest.mark.parametrize(
    "statements",
    ["begin immediate; insert into item values (2, 'two')", "begin; select * from item"],
    ids=["writing", "reading"],
)
def test_a_file_in_use_is_not_fenced(
    path: Path, statements: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.2)
    with elsewhere(path, statements), pytest.raises(LockError) as caught:
        fence.Guard(path, to_fence=True)
    assert caught.value.message == (
        f"another process has {path} open, and did not close it in 0.2 s; stop the app that uses "
        f"it (fuser '{path}' shows who), then run this again"
    )
    with opened(path) as connection:
        assert connection.execute("select * from item").fetchall() == [(1, "one")]
        assert fence.read(connection) is None


@pytest.mark.parametrize("path", ["wal"], indirect=True)
def test_an_idle_connection_to_a_wal_stands_in_the_way(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.2)
    with elsewhere(path, "select * from item"), pytest.raises(LockError):
        fence.Guard(path, to_fence=True)
    fenced(path)


def test_a_file_that_came_into_use_is_not_fenced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.2)
    with (
        fence.Guard(path, to_fence=True) as guard,
        elsewhere(path, "begin; select * from item"),
        pytest.raises(LockError),
    ):
        guard.seal()
    fenced(path)


def test_a_sealed_file_is_nobody_elses(path: Path) -> None:
    with fence.Guard(path, to_fence=True) as guard:
        guard.seal()
        with opened(path) as connection, pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("select * from item")
        assert str(caught.value) == "database is locked"
    with opened(path) as connection:
        connection.execute("insert into item values (2, 'two')")
        assert fence.read(connection) is None


def test_a_file_that_may_not_be_written_is_not_fenced(path: Path, tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as caught:
        fence.Guard(tmp_path, to_fence=True)
    assert caught.value.message == (
        f"{tmp_path} could not be written: Is a directory; check its disk, and this "
        "user's rights to it and its folder"
    )


# -- kill -9 ---------------------------------------------------------------------------------------

# Every call into SQLite and every write of ours is a moment to be killed at.
KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from bootstrap import fence, sqlite

left = int(sys.argv[2])

def count():
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1

class Counted(sqlite3.Connection):
    def execute(self, *arguments):
        count()
        cursor = super().execute(*arguments)
        count()
        return cursor

def connected(path, mode):
    return sqlite3.connect(path, isolation_level=None, factory=Counted)

write = fence._write_version
def written(*arguments):
    count()
    write(*arguments)
    count()

sqlite.connect, fence._write_version = connected, written
path = Path(sys.argv[1])
if sys.argv[3] == "fence":
    with fence.Guard(path, to_fence=True) as guard:
        guard.fence("02f2a17f-777e-42f8-bf38-4d26496d670a", "db:5432/godel", "")
else:
    fence.lift(path)
print("came to the end")
"""


@pytest.mark.parametrize("doing", ["fence", "lift"])
def test_killed_anywhere_a_further_call_does_the_rest(path: Path, doing: str) -> None:
    before = contents(path)
    killed = 0
    while True:
        if doing == "lift":
            fenced(path)
        argv = [sys.executable, "-c", KILLED, str(path), str(killed), doing]
        done = subprocess.run(argv, capture_output=True, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        killed += 1
        with opened(path) as connection:
            assert connection.execute("select * from item").fetchall() == [(1, "one")]
        if doing == "fence":
            fenced(path)
            with opened(path) as connection, pytest.raises(sqlite3.OperationalError):
                connection.execute("delete from item")
        fence.lift(path)
        assert contents(path) == before
    assert killed >= 8


# -- bootstrapd ------------------------------------------------------------------------------------


def refusal(path: Path, mark: fence.Mark) -> str:
    return (
        f"{path} is fenced: its rows were moved to db:5432/godel (database {IDENTITY}, at "
        f"{mark.moved_at}), and what is written here would be lost; set DATABASE_URL to "
        "postgresql://USER@db:5432/godel, or go back to the file: bootstrapd move "
        f"--unfence --from {shlex.quote(f'sqlite:///{path}')}"
    )


@pytest.fixture
def known(run: Run, tmp_path: Path) -> Path:
    """A file of godel's that bootstrapd has brought up."""
    path = tmp_path / "godel.db"
    run("run", env={"DATABASE_URL": f"sqlite:///{path}"}).expect(0)
    return path


@pytest.mark.parametrize("path", ["delete"], indirect=True)
@pytest.mark.parametrize(
    "verb",
    [
        "run -- true",
        "wait",
        "wait --revision head",
        "migrate",
        "rollback base",
        "plan",
        "status",
        "validate",
        "seed",
        "seed --demo",
        "adopt head",
        "rehearse --fresh",
        "new further",
    ],
)
def test_every_verb_refuses_a_fenced_file(run: Run, path: Path, verb: str) -> None:
    mark = fenced(path)
    before = path.read_bytes()
    verb, _, rest = verb.partition(" ")
    result = run(f"{verb} --json {rest}", env={"DATABASE_URL": f"sqlite:///{path}"}).expect(7)
    error = result.json()["error"]
    assert error["message"] == refusal(path, mark)
    assert (error["expected"], error["moved_to"], error["runbook"]) == (IDENTITY, PLACE, "identity")
    assert path.read_bytes() == before


def test_serve_notices_that_its_file_was_fenced(start: Start, run: Run, known: Path) -> None:
    env = {"DATABASE_URL": f"sqlite:///{known}", "BOOTSTRAPD_WATCH_INTERVAL_S": "0.1"}
    serving = start("serve --health-address 127.0.0.1:0", env=env)
    serving.wait_for("is ready at")
    mark = fenced(known)
    serving.wait_for(refusal(known, mark))
    serving.signal(signal.SIGTERM)
    serving.wait().expect(0)


def test_a_lifted_file_is_proven_still(run: Run, known: Path) -> None:
    env = {"DATABASE_URL": f"sqlite:///{known}"}
    fenced(known)
    fence.lift(known)
    assert "(nothing was pending)" in run("run", env=env).expect(0).stderr
    run("validate", env=env).expect(0)


def test_storage_auto_does_not_fall_back_to_a_fenced_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "godel.db"
    away = f"postgresql://godel:word@127.0.0.1:{processes.free_port()}/godel"
    env = {"DASH_STORAGE": "auto", "POSTGRES_URL": away, "BOOTSTRAPD_AUTO_TIMEOUT_S": "0.2"}
    run("run", cwd=tmp_path, env=env).expect(0)
    mark = fenced(path)
    before = path.read_bytes()
    # Whatever the state directory remembers: it may be lost.
    for state in (".bootstrapd", "a new one"):
        result = run(["run", "--json", "--state-dir", state], cwd=tmp_path, env=env).expect(7)
        assert result.json()["error"]["message"] == refusal(path, mark)
    assert path.read_bytes() == before


# -- the apps --------------------------------------------------------------------------------------

CLIENTS: dict[str, Callable[[target.Target], Client]] = {
    "agentpane": agentpane_storage.connect,
    "business_os": lambda where: Client(where, business_os_database.Settings().options()),
    "dash": dash_storage.connect,
    "godel": godel_storage.connect,
    "tarsy": lambda where: Client(where, tarsy_history.Settings().options()),
}


@pytest.mark.parametrize("app", CLIENTS)
def test_an_apps_storage_refuses_a_fenced_file(path: Path, app: str) -> None:
    mark = fenced(path)
    with CLIENTS[app](target.sqlite(str(path))) as client:
        for work in (client.connect, lambda: client.execute("delete from item")):
            with pytest.raises(IdentityError) as caught:
                work()
            assert caught.value.message == refusal(path, mark)
        assert client.health_check() is False


def test_godels_api_says_where_the_rows_are(known: Path) -> None:
    mark = fenced(known)
    storage = godel_storage.create_storage({"type": "sqlite", "path": str(known)})

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(api.application(storage))
        async with httpx.AsyncClient(transport=transport, base_url="http://godel") as client:
            return await client.post("/api/v1/teams", json={"name": "one"})

    with storage:
        answer = asyncio.run(asked())
    assert answer.status_code == 503
    assert answer.json()["detail"] == refusal(known, mark)


def test_tarsys_check_says_where_the_rows_are(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mark = fenced(path)
    checker = tarsy_history.DatabaseHealthChecker(
        target.sqlite(str(path)), tarsy_history.Settings()
    )
    assert asyncio.run(checker.check_connection()) is False
    checker.close()
    assert refusal(path, mark) in caplog.text

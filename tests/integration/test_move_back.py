"""The cut over of a move, and the way back: the fence is lifted unless rows would be lost."""

import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from bootstrap import fence, journal, settings, target
from bootstrap import place as places
from bootstrap.move import cutover
from bootstrap.move.request import Request
from bootstrap.move.result import Moved
from tests.support import look, processes
from tests.support.cli import Command, Result
from tests.support.postgres import Server

Run = Callable[..., Result]

MOVED = Moved(
    source="",
    target="",
    app="godel",
    dry_run=False,
    source_version="",
    target_version="",
    revisions=(),
    tables=(),
    found={},
    problems=(),
    actions={},
    durations_s={},
    digest="sha256:0f",
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of godel's that was brought up."""
    folder = tmp_path_factory.mktemp("source")
    command = Command(tmp_path_factory.mktemp("command"))
    command.run("run", env={"DATABASE_URL": f"sqlite:///{folder}/godel.db"}).expect(0)
    return folder


@pytest.fixture
def path(sources: Path, tmp_path: Path) -> Path:
    """A file that was brought up."""
    for file in sources.iterdir():
        shutil.copy(file, tmp_path / file.name)
    return tmp_path / "godel.db"


@pytest.fixture
def moved(path: Path, run: Run, database18: str, tmp_path: Path) -> str:
    """The URL of the database that the file's rows are in; the file is fenced.

    The state directory, which has known the file before, is `state`.
    """
    run("run", env=on_sqlite(path)).expect(0)
    run("run", env={"DATABASE_URL": database18}).expect(0)
    with psycopg.connect(database18) as connection:
        for number in range(3):
            connection.execute(
                "insert into events (id, payload, timestamp, entity_type)"
                " values (%s, '{}', now(), 'agent')",
                [str(number)],
            )
    cut_over(path, database18, tmp_path / "state")
    return database18


def on_sqlite(path: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": f"sqlite:///{path}",
        "BOOTSTRAPD_STATE_DIR": str(path.parent / "state"),
    }


def on_postgres(path: Path, url: str) -> dict[str, str]:
    return {**on_sqlite(path), "DATABASE_URL": url}


def cut_over(path: Path, url: str, state: Path, *, fenced: bool = True) -> list[journal.Event]:
    """What a move does at its end, and what it says."""
    flags = {"DATABASE_URL": url, "BOOTSTRAPD_APP": "godel", "BOOTSTRAPD_STATE_DIR": str(state)}
    loaded = settings.load(flags, {})
    request = Request(target.sqlite(str(path)), {}, {}, fence=fenced)
    events: list[journal.Event] = []
    record = journal.Journal(lambda event, _: events.append(event))
    with (
        cutover.guard(request) as watching,
        places.opened(loaded, record, threading.Event(), to_write=True) as place,
        place.locked(),
    ):
        if not fenced:
            look.query(f"sqlite:///{path}", "create table later (id)")
        cutover.before_commit(request, watching)
        cutover.cut_over(place, request, MOVED, watching)
    return events


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as file:
        return list(file.iterdump())


def mark(path: Path) -> fence.Mark | None:
    with closing(sqlite3.connect(path)) as file:
        return fence.read(file)


# -- over ------------------------------------------------------------------------------------------


def test_the_deployment_is_on_postgres_from_then_on(run: Run, path: Path, moved: str) -> None:
    run("run", env=on_postgres(path, moved)).expect(0)
    refused = run("run --json", env=on_sqlite(path)).expect(7).json()["error"]
    place = look.identity(moved)
    assert (refused["moved_to"], refused["expected"]) == (place, mark_of(path).identity)


def test_an_expected_identity_goes_over_with_the_move(
    run: Run, path: Path, database18: str
) -> None:
    run("migrate", env={"DATABASE_URL": database18}).expect(0)
    expected = fence.identity(path)
    assert expected is not None
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_EXPECT_IDENTITY": expected}
    result = run(f"move --json --from sqlite:///{path} --fence", env=env).expect(0)
    identity = result.json()["cut_over"]["identity"]
    assert (
        f"{path} is fenced: it can be read, but not written any more; start the app with "
        f"DATABASE_URL=postgresql://USER@{look.identity(database18)} (and where it is set, "
        f"BOOTSTRAPD_EXPECT_IDENTITY={identity})"
    ) in result.stderr
    run("run", env=env).expect(7)
    run("run", env={**env, "BOOTSTRAPD_EXPECT_IDENTITY": identity}).expect(0)


def test_auto_never_returns_to_the_file(run: Run, path: Path, moved: str, tmp_path: Path) -> None:
    away = f"postgresql://godel:word@127.0.0.1:{processes.free_port()}/godel"
    env = {
        "DASH_STORAGE": "auto",
        "DASH_SQLITE_PATH": str(path),
        "BOOTSTRAPD_STATE_DIR": str(tmp_path / "state"),
        "BOOTSTRAPD_AUTO_TIMEOUT_S": "0.2",
    }
    before = path.read_bytes()
    run("run", env={**env, "POSTGRES_URL": moved}).expect(0)
    result = run("run --timeout 0.3", env={**env, "POSTGRES_URL": away}).expect(124)
    assert (
        "storage auto does not fall back to SQLite, since this deployment has been on "
        f"{look.identity(moved)}: its data would be split in two"
    ) in result.stderr
    env["BOOTSTRAPD_STATE_DIR"] = str(tmp_path / "another")
    run("run", env={**env, "POSTGRES_URL": away}).expect(7)
    assert path.read_bytes() == before


def test_what_came_later_is_said_to_be_missing(
    run: Run, path: Path, database18: str, tmp_path: Path
) -> None:
    run("run", env={"DATABASE_URL": database18}).expect(0)
    warned = [
        event.message
        for event in cut_over(path, database18, tmp_path / "state", fenced=False)
        if event.level == "warning"
    ]
    assert warned == [
        f"{path} was written to while it was moved: what came after the move began is not in the "
        "target, and a second move does not add it; stop the app, empty the target and move again"
    ]
    assert mark(path) is None


# -- and back --------------------------------------------------------------------------------------


def test_the_way_back(run: Run, path: Path, moved: str) -> None:
    assert mark(path) is not None
    before = [line for line in content(path) if "bootstrapd_moved" not in line]
    result = run(
        f"move --unfence --json --from sqlite:///{path}", env=on_postgres(path, moved)
    ).expect(0)
    assert result.json()["changed"] is True
    assert (
        f"{path} can be written again and is as it was; start the app with "
        f"DATABASE_URL=sqlite:///{path}"
    ) in result.stderr
    assert content(path) == before
    back = run("run", env=on_sqlite(path)).expect(0)
    assert "nothing was pending" in back.stderr
    run("validate", env=on_sqlite(path)).expect(0)
    # The deployment is on the file now, and PostgreSQL is another database.
    run("run", env=on_postgres(path, moved)).expect(7)
    again = run(f"move --unfence --json --from sqlite:///{path}", env=on_postgres(path, moved))
    assert again.expect(0).json()["changed"] is False


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("insert into events select '9', payload from events where id = '1'", "3 rows, now 4 rows"),
        ("update events set payload = '[1]' where id = '1'", "3 rows, now 3 rows"),
        ("delete from events where id <> '1'", "3 rows, now 1 row"),
        ("drop table events cascade", "3 rows, now no such table"),
    ],
    ids=["insert", "update", "delete", "drop"],
)
def test_what_was_written_since_is_not_left_behind_unasked(
    run: Run, path: Path, moved: str, statement: str, said: str
) -> None:
    look.query(
        moved,
        statement.replace(
            "select '9', payload",
            "(id, payload, timestamp, entity_type) select '9', payload, timestamp, entity_type",
        ),
    )
    env, unfence = on_postgres(path, moved), f"move --unfence --json --from sqlite:///{path}"
    error = run(unfence, env=env).expect(7).json()["error"]
    name = error["accept_loss"]
    assert error["message"] == (
        f"{look.identity(moved)} was written to since {path} was moved there\n  events: {said}\n"
        f"this would stay behind; to go back without it: --accept-loss {name}"
    )
    assert mark(path) is not None

    look.query(moved, "insert into agents (id) values ('a')")
    other = run(f"{unfence} --accept-loss {name}", env=env).expect(7).json()["error"]
    assert other["changed_tables"] == ["agents", "events"]
    accepted = run(f"{unfence} --accept-loss {other['accept_loss']}", env=env).expect(0)
    listed = f"  agents: 0 rows, now 1 row\n  events: {said}\n"
    assert f"{listed}this stays behind, as accepted" in accepted.stderr
    assert mark(path) is None


def test_the_way_back_from_another_database_is_refused(
    run: Run, path: Path, moved: str, server18: Server
) -> None:
    other = server18.create_database()
    run("run", env={"DATABASE_URL": other}).expect(0)
    found = run("status --json", env={"DATABASE_URL": other}).json()["identity"]
    error = (
        run(f"move --unfence --json --from sqlite:///{path}", env={"DATABASE_URL": other})
        .expect(7)
        .json()["error"]
    )
    server18.drop_database(other)
    assert error["message"] == (
        f"the rows of {path} were moved to database {mark_of(path).identity} (at "
        f"{look.identity(moved)}), and {look.identity(other)} is {found}; lead the settings to the "
        "right one"
    )
    assert mark(path) is not None


def test_the_way_back_without_the_server(run: Run, path: Path, moved: str) -> None:
    unfence = f"move --unfence --json --from sqlite:///{path}"
    error = run(unfence, env=on_sqlite(path)).expect(2).json()["error"]
    assert error["message"] == (
        f"the rows of {path} were moved to {look.identity(moved)}, and the settings lead to "
        f"{path}: what was written there since cannot be seen; name it: --to "
        f"postgresql://USER@{look.identity(moved)} (or where it is gone for good, --accept-loss "
        "unseen)"
    )
    away = f"postgresql://godel:word@127.0.0.1:{processes.free_port()}/godel"
    run(f"{unfence} --timeout 0.2", env=on_postgres(path, away)).expect(124)
    assert mark(path) is not None
    run(f"{unfence} --accept-loss unseen", env=on_postgres(path, away)).expect(0)
    run("run", env=on_sqlite(path)).expect(0)


def test_to_accept_a_loss_without_going_back_means_nothing(run: Run) -> None:
    error = run("move --json --accept-loss unseen").expect(2).json()["error"]
    assert error["message"] == "--accept-loss belongs to --unfence, which is not given"


def mark_of(path: Path) -> fence.Mark:
    found = mark(path)
    assert found is not None
    return found

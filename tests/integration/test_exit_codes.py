"""Every exit code of the table, produced by a real command on a real database."""

import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from bootstrap import errors
from bootstrap.postgres import LOCK_KEY
from tests.support import cli
from tests.support.processes import free_port
from tests.support.projects import Project

Run = Callable[..., cli.Result]


@dataclass(frozen=True)
class Case:
    """A call that ends with an exit code, once `fault` has been brought about.

    `message` is what it says, with the names of `Place` in braces.
    """

    exit_code: int
    call: str
    message: str
    fault: Callable[["Place"], None] = lambda _: None
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Place:
    """A database at head, the project that brought it there, and whoever else is connected."""

    url: str
    shop: Project
    run: Run
    others: list["psycopg.Connection[tuple[object, ...]]"]
    port: int = field(default_factory=free_port)

    @property
    def at(self) -> str:
        """The database's identity in messages."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}{parts.path}"

    @property
    def path(self) -> Path:
        """The project's folder."""
        return self.shop.path

    @property
    def role(self) -> str:
        """The role that logs in."""
        return unquote(urlsplit(self.url).username or "")

    def sql(self, statement: str) -> None:
        """Run a statement over a connection that stays open until the end of the test."""
        connection = psycopg.connect(self.url, autocommit=True)
        self.others.append(connection)
        connection.execute(statement)


def _broken_revision(place: Place) -> None:
    place.shop.revision("0002", upgrade='op.execute("select 1 / 0")')


def _missing_column(place: Place) -> None:
    place.sql("alter table item_0001 drop column name")


def _broken_seeds(place: Place) -> None:
    place.shop.declare(seeds="shop.seeds:SEEDS")
    (place.path / "shop" / "seeds.py").write_text(
        'SEEDS = {"item_0001": {"key": ["id"], "rows": [{"id": 1, "name": None}]}}\n'
    )


def _unknown_revision(place: Place) -> None:
    place.sql("update alembic_version set version_num = '0009'")


def _lock_taken(place: Place) -> None:
    place.shop.revision("0002")
    place.sql(f"select pg_advisory_lock({LOCK_KEY})")


def _another_identity(place: Place) -> None:
    place.sql("update bootstrapd.pin set identity = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee'")


CASES = [
    Case(0, "run", "{at} is ready at 0001 (nothing was pending)"),
    Case(0, "run -- true", "{at} is ready at 0001 (nothing was pending)"),
    Case(0, "migrate", "schema is at 0001, nothing is pending"),
    Case(0, "wait --revision head --timeout 0", "{at} is ready after N s"),
    Case(
        2,
        "run",
        "settings: 1 problem\n  POSTGRES_PORT: wanted a port number, found 'abc'",
        env={"POSTGRES_PORT": "abc"},
    ),
    Case(2, "migrate 0009", "wanted a revision of this release, found none: '0009'"),
    Case(
        3,
        "run",
        "postgres at {at}_missing answers but has no such database: "
        'database "{name}_missing" does not exist; create it, or correct DATABASE_URL',
        env={"DATABASE_URL": "{url}_missing"},
    ),
    Case(
        4,
        "run",
        "revision 0002 (step 0002) failed and was rolled back: division by zero; {at} is at 0001, "
        "with 0 revisions applied in this run; mend it, then run: bootstrapd migrate",
        _broken_revision,
    ),
    Case(
        5,
        "validate",
        "1 difference between the models of app shop and {at}:\n"
        "  column item_0001.name: wanted VARCHAR(50), found nothing\n"
        "write a revision for what the models want (bootstrapd new NAME), or undo what was changed "
        "by hand",
        _missing_column,
    ),
    Case(
        6,
        "run",
        "seeding {at} from shop.seeds:SEEDS failed and was rolled back: "
        'null value in column "name" of relation "item_0001" violates not-null constraint DETAIL: '
        "Failing row contains (1, null); mend the seeds, then run: bootstrapd seed",
        _broken_seeds,
    ),
    Case(
        7,
        "run",
        "expected database {identity} (from {path}/.bootstrapd/shop/pin.json) at {at}, found "
        "database aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee; point the settings at the right database, "
        "or if this one is meant: --accept-identity aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
        _another_identity,
    ),
    Case(
        8,
        "run",
        "{at} is at 0009, which this release of shop does not have (its newest is 0001); start the "
        "release that brought it, or restore the backup from before",
        _unknown_revision,
    ),
    Case(
        9,
        "migrate",
        "the migration lock of {at} was not got in 0.5 s; it is held by process N (somebody, user "
        "{role}, from 127.0.0.1, connected for N s); wait for that run to end, or end it",
        _lock_taken,
        env={"BOOTSTRAPD_LOCK_WAIT_S": "0.5"},
    ),
    Case(
        124,
        "run --timeout 0.3",
        "postgres at 127.0.0.1:{port}/shop was not ready after N tries in N s: connection refused; "
        "start it, or correct host and port in DATABASE_URL",
        env={"DATABASE_URL": "postgresql://shop:{password}@127.0.0.1:{port}/shop"},
    ),
]


def test_every_exit_code_of_the_table_is_here() -> None:
    assert {case.exit_code for case in CASES} == {0, *(error.exit_code for error in errors.ALL)}


@pytest.fixture
def place(
    run: Run, project: Callable[..., Project], database18: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """A database that one run has brought to head."""
    monkeypatch.setenv("PGAPPNAME", "somebody")
    made = Place(database18, project(), run, [])
    run("run", cwd=made.path, env={"DATABASE_URL": database18}).expect(0)
    yield made
    for connection in made.others:
        connection.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.exit_code}: {case.call}")
def test_a_command_ends_as_the_table_says(case: Case, place: Place) -> None:
    names = _names(place)
    case.fault(place)
    env = {"DATABASE_URL": place.url, "BOOTSTRAPD_REFUSED_GRACE_S": "0"}
    env |= {name: value.format(**names) for name, value in case.env.items()}
    verb, *arguments = shlex.split(case.call)
    message = case.message.format(**names)

    text = place.run([verb, *arguments], cwd=place.path, env=env).expect(case.exit_code)
    assert text.stdout == ""
    _assert_told(text, case.exit_code, message, place)

    told = place.run([verb, "--json", *arguments], cwd=place.path, env=env).expect(case.exit_code)
    _assert_told(told, case.exit_code, message, place)
    document = told.json()
    assert (document["verb"], document["changed"]) == (verb, False)
    assert (document["exit_code"], document["ok"]) == (case.exit_code, case.exit_code == 0)
    if case.exit_code:
        assert document["error"]["runbook"] == _slug(case.exit_code)
        assert _masked(document["error"]["message"]) == message


def _assert_told(result: cli.Result, exit_code: int, message: str, place: Place) -> None:
    """The message is there, once and last where it is an error; no traceback, and no secret."""
    assert "Traceback" not in result.stderr
    quoted = urlsplit(place.url).password or ""
    for secret in (quoted, unquote(quoted)):
        assert secret not in result.stdout + result.stderr
    shown = _masked(result.stderr)
    if not exit_code:
        assert not re.search(r"^\S+ error ", shown, re.MULTILINE)
        assert f": {message}\n" in shown
        return
    before, stage, error = re.split(r"^\S+ error +(\w+: )", shown, flags=re.MULTILINE)
    assert " error " not in before
    # The message about settings names its stage itself.
    stage = stage if message.startswith(stage) else ""
    assert f"{stage}{error}" == f"{message} (runbook: {_slug(exit_code)})\n"


def _slug(exit_code: int) -> str:
    (slug,) = (error.slug for error in errors.ALL if error.exit_code == exit_code)
    return slug


def test_a_call_that_cannot_be_read_is_a_document_too(run: Run) -> None:
    result = run("run --json --zzz head").expect(2)
    assert "Error: No such option '--zzz'." in result.stderr
    document = result.json()
    assert document["error"] == {"message": "No such option '--zzz'.", "runbook": "settings"}
    assert [document[key] for key in ("ok", "verb", "exit_code")] == [False, "run", 2]
    assert run("nonsense --json").expect(2).json()["verb"] is None
    assert run("run --zzz head").expect(2).stdout == ""
    # What belongs to the app's own command is not for bootstrapd.
    assert run("run --zzz head -- app --json").expect(2).stdout == ""


def test_settings_with_problems_are_printed_all_the_same(run: Run) -> None:
    env = {"BOOTSTRAPD_LOCK_WAIT_S": "soon", "POSTGRES_PORT": "5433"}
    result = run("settings", env=env).expect(2)
    assert "BOOTSTRAPD_LOCK_WAIT_S: wanted a number of 0 or more, found 'soon'" in result.stderr
    lines = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()}
    assert lines["POSTGRES_PORT"] == ["5433", "POSTGRES_PORT"]
    assert lines["BOOTSTRAPD_LOCK_WAIT_S"] == ["300.0", "default"]
    error = run("settings --json", env=env).expect(2).json()["error"]
    assert len(error["problems"]) == 1
    assert {"name": "POSTGRES_PORT", "value": "5433", "source": "POSTGRES_PORT"} in error[
        "settings"
    ]


def test_healthcheck_says_1_when_nothing_is_ready(run: Run) -> None:
    health = f"--health-address 127.0.0.1:{free_port()}"
    text = run(f"healthcheck {health}").expect(1)
    assert text.stdout.startswith("not ready: nothing of app godel listens on 127.0.0.1:")
    document = run(f"healthcheck --json {health}").expect(1).json()
    assert (document["exit_code"], document["ok"], document["ready"]) == (1, False, False)


def _names(place: Place) -> dict[str, str]:
    with psycopg.connect(place.url) as connection:
        row = connection.execute("select identity::text from bootstrapd.pin").fetchone()
    assert row is not None
    return {
        "at": place.at,
        "name": urlsplit(place.url).path[1:],
        "url": place.url,
        "path": str(place.path),
        "role": place.role,
        "password": urlsplit(place.url).password or "",
        "port": str(place.port),
        "identity": row[0],
    }


def _masked(text: str) -> str:
    """A message without what differs each time."""
    text = re.sub(r"\bprocess \d+", "process N", text)
    text = re.sub(r"connected for \d+ s", "connected for N s", text)
    text = re.sub(r"\b\d+ tries in \d+\.\d s", "N tries in N s", text)
    return re.sub(r"after \d+\.\d\d s", "after N s", text)


# -- output that nobody takes ---------------------------------------------------------------------


def shell(command: cli.Command, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script, "bash", sys.executable],
        cwd=command.cwd,
        env=command.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("call", ["run --json", "run", "status --json", "validate --json"])
def test_closed_streams_lose_the_output_and_nothing_else(command: cli.Command, call: str) -> None:
    shell(command, '"$1" -m bootstrap run')
    # The first file to be opened would become the standard output; it is the database, at worst.
    for closed in (">&-", "2>&-", "<&- >&- 2>&-"):
        done = shell(command, f'"$1" -m bootstrap {call} {closed}')
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    (file,) = command.cwd.glob("*.db")
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("call", ["run --json", "status --json", "validate --json"])
def test_a_reader_that_has_gone_is_no_traceback(command: cli.Command, call: str) -> None:
    shell(command, '"$1" -m bootstrap run')
    # Writes into a pipe that nobody has open for reading.
    broken = f'exec 3> >(exit); wait $!; "$1" -m bootstrap {call} >&3'
    done = shell(command, broken)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_an_error_keeps_its_exit_code_where_nobody_reads_its_document(command: cli.Command) -> None:
    done = shell(command, 'exec 3> >(exit); wait $!; "$1" -m bootstrap validate --json >&3')
    assert done.returncode == 5
    assert done.stderr.rstrip().endswith("run: bootstrapd migrate (runbook: drift)")

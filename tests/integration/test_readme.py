"""The README's sessions happen as it shows them; only times, counts and places may differ."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from bootstrap import app
from tests.support import cli, docs
from tests.support.postgres import Server
from tests.support.proxy import Proxy
from tests.support.shell import Shell

PASSWORD = "the-right-one"
WAITING = "is not accepting connections yet"


@pytest.fixture
def shell(command: cli.Command, tmp_path: Path) -> Shell:
    """A shell in a folder of its own."""
    return Shell(command, tmp_path)


@pytest.fixture
def godel_database(server18: Server) -> Iterator[Server]:
    """A server with the role and the empty database that the sessions use."""
    server18.start()
    with server18.connect() as connection:
        connection.execute(
            sql.SQL("create role godel login password {}").format(sql.Literal(PASSWORD))
        )
        connection.execute("create database godel owner godel")
    yield server18
    with server18.connect() as connection:
        connection.execute("drop database godel with (force)")
        connection.execute("drop role godel")


def test_with_nothing_configured_it_runs_on_sqlite(shell: Shell, command: cli.Command) -> None:
    session = _session("sqlite")
    shown = shell.terminal(_lines(session), cwd=command.cwd)
    assert _masked(shown.replace(str(command.cwd), "/srv/godel")) == _masked(session)


def test_it_waits_until_postgresql_answers(
    shell: Shell,
    command: cli.Command,
    godel_database: Server,
    proxy: Callable[..., Proxy],
    tmp_path: Path,
) -> None:
    session = _session("postgres")
    front = proxy(godel_database)
    front.refuse()
    start_it = False

    def on_output(shown: str) -> None:
        nonlocal start_it
        if WAITING in shown and not start_it:
            start_it = True
            front.forward()

    lines = _here(_lines(session), front.port, tmp_path)
    shown = shell.terminal(lines, cwd=command.cwd, on_output=on_output)
    assert _masked(_there(shown, front.port, tmp_path)) == _masked(session)


def test_a_wrong_password_ends_it_with_a_reason(
    shell: Shell, command: cli.Command, godel_database: Server, tmp_path: Path
) -> None:
    session = _session("refused")
    lines = _here(_lines(session), godel_database.port, tmp_path)
    shown = shell.terminal(lines, cwd=command.cwd)
    assert _masked(_there(shown, godel_database.port, tmp_path)) == _masked(session)
    with psycopg.connect(godel_database.url("godel")) as connection:
        tables = connection.execute("select count(*) from pg_tables where schemaname = 'public'")
        assert tables.fetchone() == (0,)


@pytest.fixture(params=["sqlite", "postgres16", "postgres18"])
def apps_environment(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Settings by which each shipped app has a database of its own, of each kind."""
    if request.param == "sqlite":
        yield {}
        return
    server: Server = request.getfixturevalue(request.param.replace("postgres", "server"))
    with server.connect() as connection:
        connection.execute(
            sql.SQL("create role apps login password {}").format(sql.Literal(PASSWORD))
        )
        for name in app.SHIPPED:
            connection.execute(f"create database {name} owner apps")
    yield {
        "POSTGRES_HOST": server.host,
        "POSTGRES_PORT": str(server.port),
        "POSTGRES_USER": "apps",
        "POSTGRES_PASSWORD": PASSWORD,
    }
    with server.connect() as connection:
        for name in app.SHIPPED:
            connection.execute(f"drop database {name} with (force)")
        connection.execute("drop role apps")


def test_the_apps_are_used_in_python(
    command: cli.Command, apps_environment: dict[str, str], tmp_path: Path
) -> None:
    for name in app.SHIPPED:
        command.run(f"run -q --app {name}", env=apps_environment).expect(0)
    script = tmp_path / "example.py"
    script.write_text(_session("python"))
    ended = command.run([script], env=apps_environment, python=[sys.executable]).expect(0)
    assert (ended.stdout, ended.stderr) == ("Budget exceeded!\nTrue\n", "")


def _session(name: str) -> str:
    return docs.block(docs.README.read_text(encoding="utf-8"), name).text


def _lines(session: str) -> list[str]:
    return [line.removeprefix("$ ") for line in session.splitlines() if line.startswith("$ ")]


def _here(lines: list[str], port: int, folder: Path) -> list[str]:
    """The lines of a session with the places of this machine."""
    (folder / "password").write_text(PASSWORD)
    (folder / "old-password").write_text("the old one")
    return [
        line.replace("POSTGRES_HOST=db", f"POSTGRES_HOST=127.0.0.1 POSTGRES_PORT={port}").replace(
            "/run/secrets", str(folder)
        )
        for line in lines
    ]


def _there(shown: str, port: int, folder: Path) -> str:
    """What was shown, with the places of the README."""
    return (
        shown.replace(f"POSTGRES_HOST=127.0.0.1 POSTGRES_PORT={port}", "POSTGRES_HOST=db")
        .replace(str(folder), "/run/secrets")
        .replace(f"127.0.0.1:{port}", "db:5432")
        # The port must be said here, so it is one more setting to check.
        .replace("POSTGRES_HOST, POSTGRES_PORT, ", "POSTGRES_HOST, ")
    )


def _masked(session: str) -> list[str]:
    """The lines without what differs each time. One that only repeats itself counts once.

    Of the revisions only the first and the last are shown.
    """
    text = re.sub(r"^\d\d:\d\d:\d\d", "TIME", session, flags=re.MULTILINE)
    text = re.sub(r"\battempt \d+", "attempt N", text)
    text = re.sub(r"\d+ tries", "N tries", text)
    text = re.sub(r"\(\d+\.\d+ of", "(N of", text)
    text = re.sub(r"\d+\.\d+ s", "N s", text)
    lines: list[str] = []
    for line in text.splitlines():
        if lines[-1:] != [line] or WAITING not in line:
            lines.append(line)
    applied = [number for number, line in enumerate(lines) if " migrate: revision " in line]
    if applied:
        lines[applied[0] + 1 : applied[-1]] = ["..."]
    return lines

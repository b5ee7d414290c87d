"""The pin: a known deployment stops before a new, empty or other database (G1)."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from bootstrap import target
from tests.support.cli import Result
from tests.support.postgres import Server

Run = Callable[..., Result]


def identity(run: Run, env: dict[str, str]) -> str:
    found = run("status --json", env=env).expect(0).json()["identity"]
    assert isinstance(found, str)
    return found


def recreate(server: Server, url: str) -> None:
    params = target.parse(url).params
    server.admin(f'drop database "{params["dbname"]}" with (force)')
    server.admin(f'create database "{params["dbname"]}" owner "{params["user"]}"')


def test_a_database_that_was_replaced_by_an_empty_one_stops_the_run(
    run: Run, server18: Server, database18: str
) -> None:
    env = {"DATABASE_URL": database18}
    run("run", env=env).expect(0)
    known = identity(run, env)
    recreate(server18, database18)

    result = run("run --json", env=env).expect(7)

    place = target.parse(database18).identity
    error = result.json()["error"]
    assert error["message"] == (
        f"expected database {known} (from {run.__self__.cwd}/.bootstrapd/godel/pin.json) at "  # type: ignore[attr-defined]
        f"{place}, found an empty database; point the settings at the right database, or if this "
        "one is meant: --accept-identity new"
    )
    assert (error["expected"], error["found"], error["runbook"]) == (known, None, "identity")
    assert run("status --json", env=env).json()["state"] == "empty"


def test_an_accepted_database_takes_the_place_of_the_known_one(
    run: Run, server18: Server, database18: str
) -> None:
    env = {"DATABASE_URL": database18}
    run("run", env=env).expect(0)
    known = identity(run, env)
    recreate(server18, database18)

    result = run("run --accept-identity new", env=env).expect(0)

    place = target.parse(database18).identity
    accepted = f"warning pin: {place} takes the place of database {known}, as accepted"
    assert result.stderr.count(accepted) == 1
    assert result.stderr.index(accepted) < result.stderr.index("migrate: revision 0001")
    run("run", env=env).expect(0)
    assert identity(run, env) != known


def test_to_accept_one_database_is_not_to_accept_any(
    run: Run, server18: Server, database18: str
) -> None:
    env = {"DATABASE_URL": database18}
    run("run", env=env).expect(0)
    known = identity(run, env)
    recreate(server18, database18)
    run(f"run --accept-identity {known}", env=env).expect(7)


def test_a_sqlite_file_that_was_replaced_stops_the_run(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    env = {"DATABASE_URL": f"sqlite:///{path}"}
    run("run", env=env).expect(0)
    known = identity(run, env)
    for file in tmp_path.glob("app.db*"):
        file.unlink()
    result = run("run", env=env).expect(7)
    assert f"expected database {known}" in result.stderr
    assert not path.exists()


def test_the_identity_goes_with_the_sqlite_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    run("run", env={"DATABASE_URL": f"sqlite:///{path}"}).expect(0)
    known = identity(run, {"DATABASE_URL": f"sqlite:///{path}"})
    copy = tmp_path / "copy.db"
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as made:
        source.backup(made)
    env = {"DATABASE_URL": f"sqlite:///{copy}", "BOOTSTRAPD_EXPECT_IDENTITY": known}
    run("run", env=env).expect(0)


def test_a_deployment_with_a_state_directory_is_pinned_whatever_the_address(
    run: Run, tmp_path: Path, database18: str
) -> None:
    state = tmp_path / "state"
    run(f"run --state-dir {state}", env={"DATABASE_URL": database18}).expect(0)

    # A variable that got lost would otherwise bring up an empty SQLite file.
    result = run(f"run --state-dir {state}").expect(7)

    assert "found an empty database" in result.stderr
    assert not (run.__self__.cwd / "godel.db").exists()  # type: ignore[attr-defined]


def test_without_one_each_address_has_a_pin_of_its_own(run: Run, database18: str) -> None:
    run("run").expect(0)
    run("run", env={"DATABASE_URL": database18}).expect(0)
    run("run").expect(0)


def test_the_expected_identity_may_come_from_the_environment(run: Run, database18: str) -> None:
    wanted = "00000000-0000-4000-8000-000000000000"
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_EXPECT_IDENTITY": wanted}
    result = run("migrate", env=env).expect(7)
    assert f"expected database {wanted} (from BOOTSTRAPD_EXPECT_IDENTITY)" in result.stderr


def test_a_state_directory_that_cannot_be_written_to_is_a_warning(
    run: Run, tmp_path: Path, database18: str
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    result = run(f"run --state-dir {in_the_way}", env={"DATABASE_URL": database18}).expect(0)
    assert "cannot keep the identity in" in result.stderr
    assert "Not a directory" in result.stderr

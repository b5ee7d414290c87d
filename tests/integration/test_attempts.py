"""Every attempt is on record: who, where, with what, from when to when, and how it ended."""

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest

from tests.support import look
from tests.support.cli import Result
from tests.support.projects import Project

Run = Callable[..., Result]
MakeProject = Callable[..., Project]

FAILS = 'op.execute("select * from nowhere")'


def test_an_attempt_is_recorded_with_all_that_belongs_to_it(
    either_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=["pass", FAILS], models=False, declare={"release": "1.4.0"})
    env = {"DATABASE_URL": either_url}
    began = datetime.now(UTC) - timedelta(milliseconds=1)
    run("run", env=env, cwd=shop.path).expect(4)
    newer = {**env, "BOOTSTRAPD_RELEASE": "1.4.1"}
    run("rollback base", env=newer, cwd=shop.path).expect(0)
    ended = datetime.now(UTC)
    attempts = run("status --json", env=env, cwd=shop.path).expect(0).json()["attempts"]
    assert [
        (each["id"], each["direction"], each["revision"], each["result"]) for each in attempts
    ] == [
        (3, "downgrade", "0001", "done"),
        (2, "upgrade", "0002", "failed"),
        (1, "upgrade", "0001", "done"),
    ]
    assert attempts[1]["run"] == attempts[2]["run"] != attempts[0]["run"]
    assert "nowhere" in attempts[1]["error"]
    assert attempts[0]["error"] is None
    moment = began
    for each in reversed(attempts):
        actor = urlsplit(either_url).username or os.environ.get("USER") or "root"
        assert (each["actor"], each["host"], each["release"]) == (
            actor,
            socket.gethostname(),
            "1.4.1" if each["direction"] == "downgrade" else "1.4.0",
        )
        assert each["transactional"] is True
        for stamp in (each["started_at"], each["ended_at"]):
            assert moment <= datetime.fromisoformat(stamp) <= ended
            moment = datetime.fromisoformat(stamp)
    shown = run("status", env=env, cwd=shop.path).expect(0).stdout
    assert (
        f"attempt   1 upgrade 0001 done {attempts[2]['started_at']} by {attempts[2]['actor']}@"
        f"{socket.gethostname()} with 1.4.0\n" in shown
    )
    assert "with 1.4.0: " in shown.partition("attempt   2")[2].partition("\n")[0]
    limited = run("status --json --attempts 1", env=env, cwd=shop.path).expect(0).json()
    assert [each["id"] for each in limited["attempts"]] == [3]


def test_two_apps_in_one_database_have_a_record_each(
    database18: str, project: MakeProject, run: Run
) -> None:
    env = {"DATABASE_URL": database18}
    fails_outside = """
    with op.get_context().autocommit_block():
        op.create_table("half", sa.Column("id", sa.Integer))
        op.execute("select * from nowhere")
    """
    shop = project(revisions=["pass", fails_outside], models=False)
    run("run", env=env, cwd=shop.path).expect(4)
    other = project(
        name="other",
        revisions=["pass", "pass"],
        models=False,
        declare={"version_table": "other_version"},
    )
    env_py = other.path / "alembic" / "env.py"
    source = env_py.read_text()
    assert source.count("context.configure(\n            connection=connection,") == 1
    env_py.write_text(
        source.replace(
            "connection=connection,", 'connection=connection, version_table="other_version",'
        )
    )
    run("run", env=env, cwd=other.path).expect(0)
    for each, results in ((shop, ["failed", "done"]), (other, ["done", "done"])):
        status = run("status --json", env=env, cwd=each.path).expect(0).json()
        assert [attempt["result"] for attempt in status["attempts"]] == results
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    assert "was stopped outside a transaction at" in ended.json()["error"]["message"]


# -- passwords ------------------------------------------------------------------------------------


def roads(url: str, folder: Path) -> dict[str, dict[str, str]]:
    parts = urlsplit(url)
    password = unquote(parts.password or "")
    secret = folder / "secret"
    secret.write_text(password + "\n", encoding="utf-8")
    whole = folder / "url"
    whole.write_text(url + "\n", encoding="utf-8")
    named = {
        "POSTGRES_HOST": parts.hostname or "",
        "POSTGRES_PORT": str(parts.port),
        "POSTGRES_DB": parts.path[1:],
        "POSTGRES_USER": parts.username or "",
    }
    return {
        "URL": {"DATABASE_URL": url},
        "URL file": {"DATABASE_URL_FILE": str(whole)},
        "parts": {**named, "POSTGRES_PASSWORD": password},
        "password file": {**named, "POSTGRES_PASSWORD_FILE": str(secret)},
    }


@pytest.mark.parametrize(
    ("road", "kind", "env"),
    [
        ("URL", "ini", "plain"),
        ("URL file", "pyproject", "own_engine"),
        ("parts", "ini", "own_engine"),
        ("password file", "pyproject", "async"),
    ],
)
def test_odd_passwords_arrive_on_every_road_and_are_never_shown(
    database18: str, project: MakeProject, run: Run, tmp_path: Path, road: str, kind: str, env: str
) -> None:
    shop = project(kind=kind, env=env)
    names = roads(database18, tmp_path)[road]
    ended = run("run -v", env=names, cwd=shop.path).expect(0)
    assert look.revisions(database18) == ["0001"]
    password = unquote(urlsplit(database18).password or "")
    for form in (password, quote(password, safe=""), urlsplit(database18).password or ""):
        assert form not in ended.stdout + ended.stderr


def test_a_password_in_alembics_own_ini_is_left_alone(
    database18: str, project: MakeProject, run: Run
) -> None:
    shop = project()
    shop.set_url("postgresql://shop:100%sure@nowhere.example/shop")
    run("run", env={"DATABASE_URL": database18}, cwd=shop.path).expect(0)
    assert look.revisions(database18) == ["0001"]

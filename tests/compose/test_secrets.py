"""Passwords that change and backups that come back, in a stack that runs."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.stack import Stack, Watch, Writer

pytestmark = [pytest.mark.container, pytest.mark.timeout(600)]


def password(path: Path) -> str:
    """The password in a secret's file."""
    return re.sub(r'.*: "|"}$', "", path.read_text())


def logs_in(stack: Stack, role: str, path: Path) -> bool:
    """Whether PostgreSQL lets this role in with the password of a file."""
    where: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": stack.ports["POSTGRES"],
        "dbname": "godel",
    }
    try:
        psycopg.connect(**where, user=role, password=password(path), connect_timeout=5).close()
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            return False
        raise
    return True


def test_new_passwords_reach_servers_and_files_while_clients_write(shared: Stack) -> None:
    folder = shared.secrets
    before = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    rows = shared.sql("SELECT count(*) FROM agents")
    known = set(shared.passwords().values())
    with Writer(shared) as writer, Watch() as watch:
        told = shared.script("rotate-secrets").stdout
    known |= set(shared.passwords().values())
    assert any('\\password "godel"' in seen for seen in watch.seen)
    assert not any(value in seen for seen in watch.seen for value in known)
    for line in (
        "postgres_password: 'godel' logs in with the old password; changing it",
        "postgres_password: 'godel' logs in with the new password, which is in "
        "./secrets/postgres_password",
        "redis_monitor.json: 'monitor' logs in with the new password, which is in "
        "./secrets/redis_monitor.json",
    ):
        assert line in told
    after = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    changed = {name for name in after if after[name] != before.get(name)} - {".rotating"}
    assert changed == {
        "postgres_admin_password",
        "postgres_password",
        "postgres_monitor_password",
        "redis_password",
        "redis_monitor.json",
    }
    assert set(after) == {*before, ".rotating"}
    for role, name in (
        ("postgres", "postgres_admin_password"),
        ("godel", "postgres_password"),
        ("monitor", "postgres_monitor_password"),
    ):
        assert logs_in(shared, role, folder / name)
        old = _file(shared, before[name])
        assert not logs_in(shared, role, old)
        old.unlink()
    assert writer.statuses <= {0, 200, 503}
    assert writer.lost() == set()
    assert int(shared.sql("SELECT count(*) FROM agents")) >= int(rows)
    # Who was not restarted still has the file of before, and must not go by it.
    shared.compose("exec", "-T", "redis", "sh", "/usr/local/lib/stack/health.sh")
    assert shared.script("redis-cli", stdin="PING\n").stdout == "PONG\n"
    shared.up()
    assert shared.ask("/health").status == 200


def test_a_rotation_that_is_killed_at_any_moment_goes_on_where_it_was(shared: Stack) -> None:
    current, following = (
        shared.secrets / "postgres_password",
        shared.secrets / "postgres_password.next",
    )
    started = time.monotonic()
    shared.script("rotate-secrets", "postgres_monitor_password")
    whole_s = time.monotonic() - started
    interrupted = 0
    for part in (0.15, 0.3, 0.45, 0.6, 0.75, 0.9):
        process = subprocess.Popen(
            ["scripts/rotate-secrets", "postgres_password"],
            cwd=shared.folder,
            env={**os.environ, **shared.variables},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(part * whole_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            interrupted += 1
        known = [path for path in (current, following) if path.exists()]
        assert any(logs_in(shared, "godel", path) for path in known), part
    assert interrupted > 2
    shared.script("rotate-secrets", "postgres_password")
    assert logs_in(shared, "godel", current)
    assert not following.exists()
    assert {path.name for path in shared.secrets.glob(".*")} == {".rotating"}


def test_a_password_that_nobody_knows_is_said_to_be_so(shared: Stack) -> None:
    current = shared.secrets / "postgres_monitor_password"
    kept = current.read_text()
    current.chmod(0o644)
    current.write_text("not the one")
    try:
        failed = shared.script("rotate-secrets", "postgres_monitor_password", expect=1)
        assert failed.stderr == (
            "rotate-secrets: postgres_monitor_password: the server knows neither "
            "./secrets/postgres_monitor_password nor ./secrets/postgres_monitor_password.next; "
            "write the password of 'monitor' into ./secrets/postgres_monitor_password and run "
            "this again, or, if nobody knows it any more: make rotate-secrets ARGS=--lost\n"
        )
        assert logs_in(shared, "monitor", _file(shared, kept))
        told = shared.script("rotate-secrets", "--lost", "postgres_monitor_password").stdout
        assert told.startswith(
            "postgres_monitor_password: the server knows neither "
            "./secrets/postgres_monitor_password nor ./secrets/postgres_monitor_password.next; "
            "giving 'monitor' a new one\n"
        )
        assert logs_in(shared, "monitor", current)
        assert not logs_in(shared, "monitor", _file(shared, kept))
    finally:
        (shared.secrets / ".old").unlink(missing_ok=True)


def _file(stack: Stack, text: str) -> Path:
    """A file with a password that was."""
    path = stack.secrets / ".old"
    path.write_text(text)
    return path


def test_a_backup_comes_back_beside_what_there_is(shared: Stack) -> None:
    assert shared.ask("/api/agents", {"task": "in the backup"}).status == 200
    name = shared.compose("run", "--rm", "--no-deps", "-T", "backup", "once").stdout.strip()
    assert re.fullmatch(r"godel-\d{8}T\d{6}Z\.dump", name)
    assert shared.ask("/api/agents", {"task": "too late for it"}).status == 200
    listed = shared.script("restore", expect=2).stderr
    assert listed.startswith(
        f"wanted the name of a backup: make restore FILE=... with one of\n  {name}\n"
    )
    assert shared.script("restore", "godel-other.dump", expect=1).stderr == (
        "restore: there is no backup godel-other.dump; 'make restore' lists them\n"
    )
    told = shared.script("restore", name).stdout
    (kept,) = re.findall(
        rf"godel is now what {name} holds; what it was before is in the database (\w+)", told
    )
    tasks = {agent["task"] for agent in shared.ask("/api/agents").body}
    assert "in the backup" in tasks
    assert "too late for it" not in tasks
    query = "SELECT count(*) FROM agents WHERE task = 'too late for it'"
    in_kept = shared.compose(
        *("exec", "-T", "postgres", "psql", "-U", "postgres", "-d", kept, "-qAt"), stdin=query
    )
    assert in_kept.stdout.strip() == "1"
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    assert shared.sql(owner) == "godel"
    assert shared.sql("SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'public'") == (
        "godel"
    )


def test_only_the_newest_backups_of_this_database_are_kept(shared: Stack) -> None:
    def backups(*argv: str, keep: int = 7) -> list[str]:
        done = shared.compose(
            *("run", "--rm", "--no-deps", "-T", "-e", f"BACKUP_KEEP={keep}", "backup", *argv)
        )
        return done.stdout.split()

    other = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "touch", "backup")
    shared.compose(*other, "/backups/other-20200101T000000Z.dump")
    (second,) = backups("once", keep=1)
    assert backups("list") == [second]
    listing = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "ls", "backup", "-A", "/backups")
    assert set(shared.compose(*listing).stdout.split()) == {
        second,
        "other-20200101T000000Z.dump",
    }

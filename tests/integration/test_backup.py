"""Before pending revisions run a backup is taken, read back and kept; without it nothing runs."""

import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bootstrap import embedded, target
from tests.support import look, need
from tests.support.cli import Result, Running
from tests.support.postgres import Server
from tests.support.projects import Project
from tests.support.proxy import Proxy
from tests.support.tls import Authority

Run = Callable[..., Result]
Start = Callable[..., Running]
MakeProject = Callable[..., Project]

# Without a key: what else looks at the schema would wait for a locked table's key.
ITEMS = """
op.create_table("item", sa.Column("id", sa.Integer), sa.Column("name", sa.Text))
op.execute("insert into item (id, name) values (1, 'one'), (2, 'two')")
"""
LOSES = 'op.execute("delete from item where id = 2")'
FAILS = 'op.execute("select * from nowhere")'
WAITING = "select pid from pg_stat_activity where application_name = 'bootstrapd backup'"


def error_of(ended: Result) -> str:
    message: str = ended.json()["error"]["message"]
    return message


def manifests(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def programs(major: int) -> Path:
    name = {16: "pginstall", 18: "pginstall18"}[major]
    (folder,) = (each for each in embedded.folders() if each.parent.name == name)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of backups."""
    return tmp_path / "backups"


@pytest.fixture
def shop(project: MakeProject) -> Project:
    """A project whose second revision loses data."""
    return project(revisions=[ITEMS, LOSES], models=False)


def environment(url: str, folder: Path, **more: str) -> dict[str, str]:
    return {"DATABASE_URL": url, "BOOTSTRAPD_BACKUP_DIR": str(folder), **more}


def restored(backup: Path, url: str, server: Server | None, tmp_path: Path) -> list[Any]:
    """The items that a backup holds."""
    query = "select id, name from item order by id"
    if server is None:
        copy = tmp_path / "restored.db"
        shutil.copyfile(backup, copy)
        with closing(sqlite3.connect(copy)) as connection:
            return connection.execute(query).fetchall()
    fresh = server.create_database()
    try:
        options = ("--exit-on-error", "--no-owner", "--no-privileges", f"--dbname={fresh}")
        argv = [str(programs(18) / "pg_restore"), *options, str(backup)]
        subprocess.run(argv, check=True)
        return look.query(fresh, query)
    finally:
        server.drop_database(fresh)


def test_what_was_before_the_revisions_is_in_the_backup(
    database_url: str,
    request: pytest.FixtureRequest,
    shop: Project,
    folder: Path,
    run: Run,
    tmp_path: Path,
) -> None:
    env = environment(database_url, folder, BOOTSTRAPD_RELEASE="1.4.0")
    first = run("migrate 0001", env=env, cwd=shop.path).expect(0)
    identity = look.identity(database_url)
    assert f"{identity} is empty, so no backup is taken" in first.stderr
    assert manifests(folder) == []

    ended = run("run --log-format json", env=env, cwd=shop.path).expect(0)
    (manifest,) = manifests(folder)
    backup = folder / manifest["file"]
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    order = [line["event"] for line in lines]
    assert order.index("backup_taken") < order.index("revision_done")
    told = next(line for line in lines if line["event"] == "backup_taken")
    assert told["path"] == str(backup)
    assert re.fullmatch(
        rf"backup {re.escape(backup.name)} taken and read back: [\d.]+ (k|M)B in [\d.]+ s",
        told["message"],
    )

    kind = "sqlite" if database_url.startswith("sqlite") else "dump"
    status = run("status --json", env=env, cwd=shop.path).expect(0).json()
    assert re.fullmatch(
        rf"shop-\d{{8}}T\d{{6}}\.\d{{3}}Z-{status['identity'][:8]}\.{kind}", backup.name
    )
    tool = "sqlite" if kind == "sqlite" else "pg_dump"
    assert re.fullmatch(rf"{tool} [\d.]+", manifest.pop("tool"))
    assert re.fullmatch(r"[\d-]+T[\d:.]+Z", manifest.pop("taken_at"))
    assert manifest == {
        "file": backup.name,
        "app": "shop",
        "identity": status["identity"],
        "target": identity,
        "revisions": ["0001"],
        "release": "1.4.0",
        "bootstrapd": manifest["bootstrapd"],
        "server": status["server"].replace("sqlite sqlite", "sqlite"),
        "size": backup.stat().st_size,
        "sha256": hashlib.sha256(backup.read_bytes()).hexdigest(),
    }
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == [backup.name, f"{backup.name}.json"]

    assert look.query(database_url, "select id from item") == [(1,)]
    server = None if kind == "sqlite" else request.getfixturevalue("server18")
    assert restored(backup, database_url, server, tmp_path) == [(1, "one"), (2, "two")]


def test_without_anything_pending_none_is_taken(
    either_url: str, shop: Project, folder: Path, run: Run
) -> None:
    run("run", env={"DATABASE_URL": either_url}, cwd=shop.path).expect(0)
    for call in ("run", "migrate", "rollback 0002"):
        run(f"{call} --backup {folder}", env={"DATABASE_URL": either_url}, cwd=shop.path).expect(0)
    assert not folder.exists()


def test_a_rollback_takes_one_too(either_url: str, shop: Project, folder: Path, run: Run) -> None:
    env = {"DATABASE_URL": either_url}
    run("run", env=env, cwd=shop.path).expect(0)
    run(f"rollback 0001 --backup {folder}", env=env, cwd=shop.path).expect(0)
    (manifest,) = manifests(folder)
    assert manifest["revisions"] == ["0002"]


def test_each_app_and_database_keeps_its_own(
    project: MakeProject, folder: Path, run: Run, tmp_path: Path
) -> None:
    folder.mkdir()
    bystander = folder / "shop-20200101T000000.000Z-00000000.dump"
    bystander.write_text("nobody knows what this is")
    bodies = [ITEMS, *['op.execute("select 1")'] * 4]
    one, other = (project(revisions=bodies, models=False, name=name) for name in ("shop", "shop-2"))
    places = [(one, "a.db"), (one, "b.db"), (other, "c.db")]
    for number in range(1, 6):
        for app, name in places:
            env = environment(f"sqlite:///{tmp_path / name}", folder, BOOTSTRAPD_BACKUP_KEEP="2")
            run(f"migrate {number:04}", env=env, cwd=app.path).expect(0)
    assert bystander.exists()
    kept: dict[tuple[str, str], list[str]] = {}
    for each in manifests(folder):
        kept.setdefault((each["app"], Path(each["target"]).name), []).extend(each["revisions"])
        assert (folder / each["file"]).stat().st_size == each["size"]
    assert kept == {(app.name, name): ["0003", "0004"] for app, name in places}
    assert len(list(folder.iterdir())) == 2 * 2 * 3 + 1


def test_a_start_that_fails_again_and_again_does_not_push_out_the_good_state(
    sqlite_url: str, project: MakeProject, folder: Path, run: Run
) -> None:
    shop = project(revisions=[ITEMS, LOSES, FAILS], models=False)
    env = environment(sqlite_url, folder, BOOTSTRAPD_BACKUP_KEEP="2")
    run("migrate 0001", env=env, cwd=shop.path).expect(0)
    for _ in range(5):
        run("run", env=env, cwd=shop.path).expect(4)
    assert [each["revisions"] for each in manifests(folder)] == [["0001"], ["0002"], ["0002"]]


@pytest.fixture
def behind(database18: str, shop: Project, run: Run) -> dict[str, str]:
    """The settings of a database that is one revision behind."""
    env = {"DATABASE_URL": database18}
    run("migrate 0001", env=env, cwd=shop.path).expect(0)
    return env


def unchanged(url: str) -> bool:
    return look.revisions(url) == ["0001"] and look.query(url, "select id from item") == [
        (1,),
        (2,),
    ]


def test_a_program_older_than_the_server_is_refused(
    behind: dict[str, str], database18: str, shop: Project, folder: Path, run: Run
) -> None:
    env = {**behind, "BOOTSTRAPD_PG_BIN": str(programs(16))}
    ended = run(f"run --json --backup {folder}", env=env, cwd=shop.path).expect(4)
    assert re.fullmatch(
        rf"no backup of {re.escape(look.identity(database18))} could be taken into "
        rf"{re.escape(str(folder))}: pg_dump 16\.\d+ in {re.escape(str(programs(16)))} is older "
        r"than the server, which is 18\.\d+; install the client programs of PostgreSQL 18 or "
        r"newer, and name their folder in BOOTSTRAPD_PG_BIN; nothing was migrated\. Mend the "
        "cause, or go without a backup: unset BOOTSTRAPD_BACKUP_DIR",
        error_of(ended),
    )
    assert unchanged(database18)
    assert list(folder.iterdir()) == []


def test_no_program_at_all_is_told(
    behind: dict[str, str], database18: str, shop: Project, folder: Path, run: Run, tmp_path: Path
) -> None:
    env = {**behind, "BOOTSTRAPD_PG_BIN": str(tmp_path)}
    ended = run(f"migrate --json --backup {folder}", env=env, cwd=shop.path).expect(4)
    assert f": there is no pg_dump in {tmp_path}; install the client programs" in error_of(ended)
    assert unchanged(database18)


def test_a_folder_that_is_not_there_is_told_with_its_name(
    either_url: str, shop: Project, run: Run, tmp_path: Path
) -> None:
    run("migrate 0001", env={"DATABASE_URL": either_url}, cwd=shop.path).expect(0)
    folder = tmp_path / "not mounted" / "backups"
    ended = run("run --json", env=environment(either_url, folder), cwd=shop.path).expect(4)
    assert error_of(ended) == (
        f"no backup of {look.identity(either_url)} could be taken into {folder}: No such file or "
        f"directory: '{folder}'; nothing was migrated. Mend the cause, or go without a backup: "
        "unset BOOTSTRAPD_BACKUP_DIR"
    )
    assert unchanged(either_url)


def test_on_a_full_disk_nothing_is_migrated_and_nothing_left(
    either_url: str, shop: Project, start: Start, run: Run, folder: Path, tmp_path: Path
) -> None:
    unshare = need("unshare")
    run("migrate 0001", env={"DATABASE_URL": either_url}, cwd=shop.path).expect(0)
    look.query(either_url, "create table filler (text text)")
    for _ in range(4):
        look.query(either_url, f"insert into filler values ('{os.urandom(100_000).hex()}')")
    folder.mkdir()
    left = tmp_path / "left"
    # The mount is seen by this command alone, and goes with it.
    mounted = (
        f"mount -t tmpfs -o size=200k tmpfs '{folder}' && "
        f"\"{shutil.which('env')}\" \"$@\"; code=$?; ls -A '{folder}' > '{left}'; exit $code"
    )
    python = (unshare, "-rm", "sh", "-c", mounted, "sh", sys.executable, "-m", "bootstrap")
    env = environment(either_url, folder)
    ended = start("run --json", env=env, cwd=shop.path, python=python).wait().expect(4)
    found = "database or disk is full" if "sqlite" in either_url else "No space left on device"
    assert found in error_of(ended)
    assert "; nothing was migrated. Mend the cause" in error_of(ended)
    assert unchanged(either_url)
    assert left.read_text() == ""


def held(database18: str) -> "psycopg.Connection[Any]":
    """Somebody who lets nobody read the table, so that a backup waits."""
    other = psycopg.connect(database18)
    other.execute("lock table item in access exclusive mode")
    return other


def test_killed_during_the_backup_the_next_run_clears_up(
    behind: dict[str, str], database18: str, shop: Project, folder: Path, start: Start, run: Run
) -> None:
    env = {**behind, "BOOTSTRAPD_BACKUP_DIR": str(folder)}
    with held(database18):
        running = start("run", env=env, cwd=shop.path)
        look.until(lambda: look.query(database18, WAITING), running)
        (part,) = folder.iterdir()
        assert part.name.startswith(".shop-")
        # Only the process itself: what it started must see that by itself.
        running.signal(signal.SIGKILL)
        running.wait()
        look.until(lambda: not look.query(database18, WAITING))
    assert part.exists()
    assert unchanged(database18)
    ended = run("run", env=env, cwd=shop.path).expect(0)
    assert "deleted the unfinished backup of a killed run" in ended.stderr
    (manifest,) = manifests(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        manifest["file"],
        f"{manifest['file']}.json",
    ]


def test_ended_during_the_backup_nothing_is_left(
    behind: dict[str, str], database18: str, shop: Project, folder: Path, start: Start
) -> None:
    env = {**behind, "BOOTSTRAPD_BACKUP_DIR": str(folder)}
    with held(database18):
        running = start("run", env=env, cwd=shop.path)
        look.until(lambda: look.query(database18, WAITING), running)
        running.signal(signal.SIGTERM)
        running.wait().expect(128 + signal.SIGTERM)
        assert not look.query(database18, WAITING)
    assert list(folder.iterdir()) == []
    assert unchanged(database18)


def test_the_password_is_in_no_argument(
    behind: dict[str, str], database18: str, shop: Project, folder: Path, start: Start
) -> None:
    password = target.parse(database18).params["password"]
    env = {**behind, "BOOTSTRAPD_BACKUP_DIR": str(folder)}
    with held(database18):
        running = start("run", env=env, cwd=shop.path)
        look.until(lambda: look.query(database18, WAITING), running)
        lines = [
            path.read_bytes().decode(errors="replace")
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if _is_there(path)
        ]
        (dump,) = (line for line in lines if "pg_dump" in line and str(folder) in line)
        assert password[-8:] not in dump
    running.wait().expect(0)
    assert password not in running.stderr


def _is_there(path: Path) -> bool:
    try:
        return bool(path.read_bytes())
    except OSError:
        return False


def test_a_backup_that_cannot_be_read_back_stops_the_start(
    behind: dict[str, str], database18: str, shop: Project, folder: Path, run: Run, tmp_path: Path
) -> None:
    # pg_dump that loses the end of what it wrote, as a broken disk would.
    (tmp_path / "bin").mkdir()
    scripts = {
        "pg_dump": f"""'{programs(18)}/pg_dump' "$@" || exit
for each; do case "$each" in --file=*) truncate -s -200 "${{each#--file=}}";; esac; done
""",
        "pg_restore": f"""exec '{programs(18)}/pg_restore' "$@"
""",
    }
    for name, script in scripts.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}")
        (tmp_path / "bin" / name).chmod(0o755)
    env = {**behind, "BOOTSTRAPD_PG_BIN": str(tmp_path / "bin")}
    ended = run(f"run --json --backup {folder}", env=env, cwd=shop.path).expect(4)
    assert f" could be taken into {folder}: pg_restore: " in error_of(ended)
    assert list(folder.iterdir()) == []
    assert unchanged(database18)


def test_a_damaged_sqlite_file_is_found_by_its_backup(
    sqlite_url: str, shop: Project, folder: Path, run: Run
) -> None:
    run("migrate 0001", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(0)
    path = target.parse(sqlite_url).path
    assert path is not None
    look.query(sqlite_url, "create index item_name on item (name)")
    content = path.read_bytes()
    # The entry in the index is no longer what the row says.
    at = content.rindex(b"two")
    path.write_bytes(content[:at] + b"tow" + content[at + 3 :])
    ended = run("run --json", env=environment(sqlite_url, folder), cwd=shop.path).expect(4)
    assert ": the copy is damaged: " in error_of(ended)
    assert look.revisions(sqlite_url) == ["0001"]
    assert list(folder.iterdir()) == []


def test_whoever_writes_to_sqlite_meanwhile_is_not_waited_for(
    sqlite_url: str, shop: Project, folder: Path, run: Run
) -> None:
    run("migrate 0001", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(0)
    path = target.parse(sqlite_url).path
    assert path is not None
    with closing(sqlite3.connect(path)) as app:
        app.execute("pragma journal_mode = wal")
        app.execute("insert into item values (3, 'three')")
        app.commit()
        app.execute("begin immediate")
        app.execute("insert into item values (4, 'not yet')")
        ended = run("migrate --json", env=environment(sqlite_url, folder), cwd=shop.path).expect(4)
        assert "database is locked" in error_of(ended)
        (manifest,) = manifests(folder)
    with closing(sqlite3.connect(folder / manifest["file"])) as copy:
        assert copy.execute("select id from item").fetchall() == [(1,), (2,), (3,)]


def test_a_demand_for_tls_is_the_backups_too(
    behind: dict[str, str],
    database18: str,
    server18: Server,
    shop: Project,
    folder: Path,
    run: Run,
    proxy: Callable[..., Proxy],
    authority: Authority,
) -> None:
    front = proxy(server18, tls=authority.context("localhost"))
    plain = database18.replace(f"@127.0.0.1:{server18.port}/", f"@localhost:{front.port}/")
    url = f"{plain}?sslmode=verify-full&sslrootcert={authority.ca_file}"
    # The programs of the wheel are made without TLS, and so must not go without it.
    env = environment(url, folder, BOOTSTRAPD_PG_BIN=str(programs(18)))
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    assert (
        'pg_dump: sslmode value "verify-full" invalid when SSL support is not compiled in; nothing '
        "was migrated." in error_of(ended)
    )
    assert unchanged(database18)

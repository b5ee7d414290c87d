"""Each runbook is followed: a real fault, its diagnosis, a mitigation, the proof that it helped.

The scripts are those of the pages, run where a reader would run them.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.support import cli, docs, look
from tests.support.postgres import Server
from tests.support.projects import Project
from tests.support.proxy import Proxy
from tests.support.shell import Shell

Run = Callable[..., cli.Result]
Start = Callable[..., cli.Running]
NewProject = Callable[..., Project]


class Runbook:
    """One page, followed in a folder with an environment; `env` may be corrected on the way."""

    def __init__(self, shell: Shell, slug: str, cwd: Path, env: Mapping[str, str]) -> None:
        self._shell = shell
        page = (docs.RUNBOOKS / f"{slug}.md").read_text(encoding="utf-8")
        self._parts = docs.sections(page)
        self._cwd = cwd
        self.env = dict(env)

    def diagnose(self) -> list[cli.Result]:
        """What each script of the diagnosis says, whatever its exit code."""
        return [self._run(script) for script in docs.scripts(self._parts["Diagnosis"])]

    def mitigate(
        self, command: str | None = None, *, number: int | None = None, **words: str
    ) -> cli.Result:
        """Run the mitigation's one script, or that of this number, or this command of its text.

        `words` fills in what stands in capitals.
        """
        part = self._parts["Mitigation"]
        if number is not None:
            command = docs.scripts(part)[number]
        elif command is None:
            (command,) = docs.scripts(part)
        else:
            assert command in docs.spans(part)
        for word, value in words.items():
            command = command.replace(word, value)
        return self._run(command).expect(0)

    def verify(self) -> str:
        """Run the proof, which succeeds; what it says on stdout."""
        scripts = docs.scripts(self._parts["Verify"])
        return "".join(self._run(script).expect(0).stdout for script in scripts)

    def follow(self, part: str, **words: str) -> list[cli.Result]:
        """Run all scripts of this part, which succeed."""
        found = []
        for script in docs.scripts(self._parts[part]):
            for word, value in words.items():
                script = script.replace(word, value)
            found.append(self._run(script).expect(0))
        return found

    def _run(self, script: str) -> cli.Result:
        result = self._shell.run(script, env=self.env, cwd=self._cwd)
        assert result.exit_code not in (126, 127), f"not to be found: {result}"
        assert " -v" in script or "Traceback" not in result.stderr, str(result)
        return result


@pytest.fixture
def shell(command: cli.Command, tmp_path: Path) -> Shell:
    """A shell as a reader has it."""
    return Shell(command, tmp_path)


def test_settings(shell: Shell, run: Run, command: cli.Command) -> None:
    env = {"POSTGRES_PORT": "abc", "POSTGRES_DB": "shop"}
    run("run", env=env).expect(2)
    book = Runbook(shell, "settings", command.cwd, env)

    problems, names, apps = book.diagnose()
    assert problems.expect(2).stderr.endswith(
        "error   settings: 1 problem\n"
        "  POSTGRES_PORT: wanted a port number, found 'abc' (runbook: settings)\n"
    )
    assert sorted(names.expect(0).stdout.split()) == ["POSTGRES_DB", "POSTGRES_PORT"]
    assert apps.expect(0).stdout.startswith("godel ")

    book.env["POSTGRES_PORT"] = "5433"
    assert '"target": "localhost:5433/shop"' in book.verify()


def test_refused(
    shell: Shell, run: Run, command: cli.Command, database18: str, server18: Server
) -> None:
    with psycopg.connect(database18) as connection:
        role, password = connection.info.user, connection.info.password
    _set_password(server18, role, "another")
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_REFUSED_GRACE_S": "0"}
    run("run", env=env).expect(3)
    book = Runbook(shell, "refused", command.cwd, env)

    tried, values, login = book.diagnose()
    assert tried.expect(3).json()["error"]["error_class"] == "authentication"
    assert " DATABASE_URL\n" in values.expect(0).stdout
    assert password not in values.stdout
    assert "password authentication failed" in login.expect(2).stderr

    _set_password(server18, role, password)
    book.verify()


def test_migrate_when_a_revision_fails(
    shell: Shell, run: Run, project: NewProject, database18: str
) -> None:
    shop = project()
    file = shop.revision("0002", upgrade='op.execute("alter table item_0001 drop column nmae")')
    env = {"DATABASE_URL": database18}
    run("run", cwd=shop.path, env=env).expect(4)
    book = Runbook(shell, "migrate", shop.path, env)

    with psycopg.connect(database18) as other:
        other.execute("select 'still open' from alembic_version")
        status, plan, _, again, holders, invalid = book.diagnose()
    assert "pending   0002 step 0002" in status.expect(0).stdout
    assert "failed" in status.stdout
    assert 'column "nmae" of relation "item_0001" does not exist' in status.stdout
    assert "alter table item_0001 drop column nmae;" in plan.expect(0).stdout
    assert "UndefinedColumn" in again.expect(4).stderr
    assert "select 'still open' from alembic_version" in holders.expect(0).stdout
    assert "(0 rows)" in invalid.expect(0).stdout

    file.write_text(file.read_text().replace("drop column nmae", "add column color text"))
    book.mitigate("bootstrapd migrate")
    assert "state     current" in book.verify()


@pytest.mark.parametrize(
    ("by_hand", "advice"),
    [
        (
            "alter table item_0001 drop column color",
            "bootstrapd migrate --retry",
        ),
        (
            "create unique index item_name on item_0001 (name)",
            "bootstrapd migrate --mark-applied REVISION",
        ),
    ],
    ids=["undone", "finished"],
)
def test_migrate_when_a_revision_is_half_done(
    by_hand: str, advice: str, shell: Shell, run: Run, project: NewProject, database18: str
) -> None:
    shop = project()
    shop.revision(
        "0002",
        upgrade="""\
        with op.get_context().autocommit_block():
            op.execute("alter table item_0001 add column color text")
            op.execute("create unique index concurrently item_name on item_0001 (name)")
        """,
    )
    env = {"DATABASE_URL": database18}
    run("migrate 0001", cwd=shop.path, env=env).expect(0)
    with psycopg.connect(database18, autocommit=True) as connection:
        connection.execute("insert into item_0001 values (1, 'twice'), (2, 'twice')")
        failed = run("run", cwd=shop.path, env=env).expect(4)
        assert "failed outside a transaction and may be half done" in failed.stderr
        book = Runbook(shell, "migrate", shop.path, env)

        status, _, _, again, _, _ = book.diagnose()
        assert "state     behind" in status.expect(0).stdout
        assert "has changed the schema; only you can tell how far it came" in again.stderr

        connection.execute("delete from item_0001 where id = 2")
        connection.execute(by_hand)
    book.mitigate(advice, REVISION="0002")
    assert "state     current" in book.verify()


def test_migrate_shows_invalid_indexes(
    shell: Shell, run: Run, project: NewProject, database18: str
) -> None:
    shop = project()
    env = {"DATABASE_URL": database18}
    run("migrate", cwd=shop.path, env=env).expect(0)
    with psycopg.connect(database18, autocommit=True) as connection:
        connection.execute("insert into item_0001 values (1, 'twice'), (2, 'twice')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("create unique index concurrently torn on item_0001 (name)")
    *_, invalid = Runbook(shell, "migrate", shop.path, env).diagnose()
    assert " torn  | item_0001" in invalid.expect(0).stdout


@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_migrate_back_to_a_backup(
    kind: str, shell: Shell, run: Run, project: NewProject, database18: str, tmp_path: Path
) -> None:
    shop = project()
    shop.revision("0002", upgrade='op.execute("delete from item_0001")')
    shop.revision("0003", upgrade='op.create_table("further", sa.Column("id", sa.Integer))')
    url = database18 if kind == "postgres" else f"sqlite:///{tmp_path / 'shop.db'}"
    env = {"DATABASE_URL": url, "BOOTSTRAPD_BACKUP_DIR": str(tmp_path / "backups")}
    run("migrate 0001", cwd=shop.path, env=env).expect(0)
    look.query(url, "insert into item_0001 values (1, 'dear')")
    before = run("status --json", cwd=shop.path, env=env).expect(0).json()
    run("run", cwd=shop.path, env=env).expect(0)
    assert look.query(url, "select * from item_0001") == []

    (backup,) = (each for each in (tmp_path / "backups").iterdir() if each.suffix != ".json")
    book = Runbook(shell, "migrate", shop.path, env)
    number = ("postgres", "sqlite").index(kind)
    words = {"BACKUP": str(backup), "FILE": str(tmp_path / "shop.db")}
    book.mitigate(number=number, **words)
    assert look.query(url, "select * from item_0001") == [(1, "dear")]
    assert "further" not in look.tables(url)
    after = run("status --json", cwd=shop.path, env=env).expect(0).json()
    assert (after["identity"], after["current"]) == (before["identity"], ["0001"])
    run("run", cwd=shop.path, env=env).expect(0)
    assert "state     current" in book.verify()


def test_drift(shell: Shell, run: Run, project: NewProject, database18: str) -> None:
    shop = project()
    env = {"DATABASE_URL": database18}
    run("run", cwd=shop.path, env=env).expect(0)
    with psycopg.connect(database18) as connection:
        connection.execute("alter table item_0001 drop column name")
    run("run", cwd=shop.path, env=env).expect(5)
    book = Runbook(shell, "drift", shop.path, env)

    differences, status = book.diagnose()
    assert differences.expect(5).json()["error"]["findings"] == [
        {
            "kind": "missing-column",
            "object": "column item_0001.name",
            "wanted": "VARCHAR(50)",
            "found": "nothing",
            "fix": [],
            "destructive": False,
            "note": "",
            "missing": True,
        }
    ]
    assert "attempt   1 upgrade 0001 done" in status.expect(0).stdout

    book.mitigate("BOOTSTRAPD_VALIDATE=none bootstrapd run -- COMMAND", COMMAND="true")
    with psycopg.connect(database18) as connection:
        connection.execute("alter table item_0001 add column name varchar(50) not null")
    book.verify()


def test_drift_when_a_revision_was_edited(
    shell: Shell, run: Run, project: NewProject, database18: str
) -> None:
    shop = project()
    env = {"DATABASE_URL": database18}
    run("run", cwd=shop.path, env=env).expect(0)
    file = shop.versions / "0001_step.py"
    file.write_text(file.read_text().replace("sa.Integer", "sa.BigInteger"))
    run("run", cwd=shop.path, env=env).expect(5)
    book = Runbook(shell, "drift", shop.path, env)

    _, status = book.diagnose()
    assert "edited    0001 in alembic/versions/0001_step.py, applied " in status.expect(0).stdout

    command = "BOOTSTRAPD_ALLOW_EDITED=REVISION bootstrapd run -- COMMAND"
    book.mitigate(command, REVISION="0001", COMMAND="true")
    book.verify()
    run("run", cwd=shop.path, env=env).expect(0)


def test_seed(shell: Shell, run: Run, project: NewProject, database18: str) -> None:
    shop = project(declare={"seeds": "shop.seeds:SEEDS"})
    seeds = shop.path / "shop" / "seeds.py"
    rows = '{"item_0001": {"key": ["id"], "rows": [{"id": 1, "name": NAME}]}}'
    seeds.write_text(f"SEEDS = {rows.replace('NAME', 'None')}\n")
    env = {"DATABASE_URL": database18}
    run("run", cwd=shop.path, env=env).expect(6)
    book = Runbook(shell, "seed", shop.path, env)

    error, declared = book.diagnose()
    assert "NotNullViolation" in error.expect(6).stderr
    assert '"seeds": "shop.seeds:SEEDS"' in declared.expect(0).stdout

    book.mitigate("BOOTSTRAPD_SEED=false bootstrapd run -- COMMAND", COMMAND="true")
    seeds.write_text(f"SEEDS = {rows.replace('NAME', repr('red'))}\n")
    book.verify()
    with psycopg.connect(database18) as connection:
        assert connection.execute("select id, name from item_0001").fetchall() == [(1, "red")]


def test_identity(
    shell: Shell, run: Run, project: NewProject, database18: str, server18: Server
) -> None:
    shop = project()
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_STATE_DIR": "state"}
    run("run", cwd=shop.path, env=env).expect(0)
    with psycopg.connect(database18) as connection:
        name, owner = connection.info.dbname, connection.info.user
    server18.admin(f"drop database {name}")
    server18.admin(f"create database {name} owner {owner}")
    run("run", cwd=shop.path, env=env).expect(7)
    book = Runbook(shell, "identity", shop.path, env)

    status, values, tables = book.diagnose()
    assert "identity  -\nstate     empty\n" in status.expect(0).stdout
    assert "state                            BOOTSTRAPD_STATE_DIR\n" in values.expect(0).stdout
    assert "Did not find any" in tables.expect(0).stdout + tables.stderr

    book.mitigate("bootstrapd run --accept-identity new")
    assert "state     current" in book.verify()


def test_ahead(
    shell: Shell, run: Run, project: NewProject, database18: str, tmp_path: Path
) -> None:
    newer = project(revisions=2).path
    older = shutil.copytree(newer, tmp_path / "older")
    (older / "alembic" / "versions" / "0002_step.py").unlink()
    models = older / "shop" / "models.py"
    models.write_text(models.read_text().partition("class Item0002")[0])
    env = {"DATABASE_URL": database18}
    run("run", cwd=newer, env=env).expect(0)
    run("run", cwd=older, env=env).expect(8)
    book = Runbook(shell, "ahead", older, env)

    status, unknown, release = book.diagnose()
    assert '"name": "BOOTSTRAPD_RELEASE", "value": ""' in release.expect(0).stdout
    assert "state     ahead\nat        0002\nwanted    0001\nattempt   2" in status.expect(0).stdout
    assert unknown.expect(0).json()["unknown"] == ["0002"]

    Runbook(shell, "ahead", newer, env).mitigate(REVISION="0001")
    book.verify()


def test_ahead_when_nobody_has_named_the_release(
    shell: Shell, run: Run, project: NewProject, database18: str, tmp_path: Path
) -> None:
    newer = project(revisions=1)
    older = shutil.copytree(newer.path, tmp_path / "older")
    file = newer.revision("0002")
    file.write_text(f"{file.read_text()}\n\ncompatible_with = '1.5.0'\n")
    env = {"DATABASE_URL": database18}
    run("run", cwd=newer.path, env=env).expect(0)
    run("run", cwd=older, env=env).expect(8)
    Runbook(shell, "ahead", older, env).mitigate("BOOTSTRAPD_RELEASE=1.5.0 bootstrapd run")


def test_ahead_when_a_stop_is_required(
    shell: Shell, run: Run, project: NewProject, database18: str
) -> None:
    shop = project(revisions=1)
    env = {"DATABASE_URL": database18}
    run("run", cwd=shop.path, env=env).expect(0)
    file = shop.revision("0002")
    file.write_text(f"{file.read_text()}\n\nrequired_stop = '1.4.0'\n")
    shop.revision("0003")
    run("run", cwd=shop.path, env=env).expect(8)
    book = Runbook(shell, "ahead", shop.path, env)
    book.mitigate("BOOTSTRAPD_SKIP_STOPS=REVISION bootstrapd run", REVISION="0002")
    book.verify()


def test_lock(shell: Shell, run: Run, start: Start, project: NewProject, database18: str) -> None:
    shop = project()
    file = shop.revision("0002", upgrade='op.execute("select pg_sleep(600)")')
    env = {"DATABASE_URL": database18}
    hangs = start("run", cwd=shop.path, env=env)
    hangs.wait_for("revision 0001 (step 0001) applied")
    run("run", cwd=shop.path, env={**env, "BOOTSTRAPD_LOCK_WAIT_S": "1"}).expect(9)
    book = Runbook(shell, "lock", shop.path, env)

    status, sessions = book.diagnose()
    assert "upgrade 0002 running" in status.expect(0).stdout
    assert sessions.expect(0).stdout.count("| bootstrapd ") == 2
    assert "select pg_sleep(600)" in sessions.stdout

    assert book.mitigate().stdout.count("| t\n") == 2
    assert hangs.wait().exit_code == 4
    file.write_text(file.read_text().replace("pg_sleep(600)", "1"))
    assert "state     current" in book.verify()


def test_timeout(
    shell: Shell,
    run: Run,
    command: cli.Command,
    database18: str,
    server18: Server,
    proxy: Callable[..., Proxy],
) -> None:
    front = proxy(server18)
    front.refuse()
    env = {"DATABASE_URL": front.url(database18)}
    run("run --timeout 0.5", env=env).expect(124)
    book = Runbook(shell, "timeout", command.cwd, env)

    tried, values, listening = book.diagnose()
    assert tried.expect(124).json()["status"]["attempts"] == {"connection_refused": 1}
    assert f"127.0.0.1:{front.port}" in values.expect(0).stdout
    assert listening.expect(2).stdout == f"127.0.0.1:{front.port} - no response\n"

    front.forward()
    book.verify()


def test_move(shell: Shell, run: Run, command: cli.Command, database18: str) -> None:
    path = command.cwd / "godel.db"
    deployment = {"BOOTSTRAPD_STATE_DIR": str(command.cwd / "state")}
    on_sqlite = {**deployment, "DATABASE_URL": f"sqlite:///{path}"}
    run("run", env=on_sqlite).expect(0)
    run("seed --demo --rows 20", env=on_sqlite).expect(0)
    book = Runbook(shell, "move", command.cwd, {**deployment, "DATABASE_URL": database18})
    words = {"FILE": str(path), "COMMAND": "true"}
    with closing(sqlite3.connect(path)) as app:
        app.execute("pragma journal_mode = wal")
        before = list(app.iterdump())
        book.follow("Before", **words)
        assert (command.cwd / "rejects.ndjson").read_text() == ""
        assert look.tables(database18) == set()
        # The app was not stopped.
        with pytest.raises(AssertionError, match="another process has"):
            book.follow("On the day", **words)
    moved, started = book.follow("On the day", **words)
    assert f"{path} is fenced" in moved.stderr
    assert "nothing was pending" in started.stderr
    report = json.loads((command.cwd / "move.json").read_text())
    assert report["rows"] > 100
    assert look.query(database18, "select count(*) from conversation_nodes") == [(20,)]
    run("run", env=on_sqlite).expect(7)
    assert "state     current" in "".join(each.stdout for each in book.follow("Afterwards"))

    look.query(database18, "insert into agents (id) values ('later')")
    with pytest.raises(AssertionError, match="would stay behind"):
        book.follow("The way back", **words)
    look.query(database18, "delete from agents where id = 'later'")
    book.follow("The way back", **words)
    with closing(sqlite3.connect(path)) as app:
        assert list(app.iterdump()) == before


def _set_password(server: Server, role: str, password: str) -> None:
    with server.connect() as connection:
        query = sql.SQL("alter role {} password {}")
        connection.execute(query.format(sql.Identifier(role), sql.Literal(password)))

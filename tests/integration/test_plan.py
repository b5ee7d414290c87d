"""`plan` prints the SQL that a migration would run, and writes nothing."""

import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.support import look
from tests.support.cli import Result
from tests.support.postgres import Server
from tests.support.projects import Project

Run = Callable[..., Result]
MakeProject = Callable[..., Project]

CREATE = """
op.create_table("item", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
"""
FILL = """
item = sa.table("item", sa.column("id", sa.Integer), sa.column("name", sa.Text))
op.bulk_insert(item, [{"id": 1, "name": "it's 100% safe"}])
op.execute("alter table item add column price numeric")
"""
INDEX = """
with op.get_context().autocommit_block():
    op.create_index("item_name", "item", ["name"], postgresql_concurrently=True)
"""
OF_POSTGRES = """\
BEGIN;

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE item (
    id SERIAL NOT NULL,
    name TEXT,
    PRIMARY KEY (id)
);

INSERT INTO alembic_version (version_num) VALUES ('0001') RETURNING alembic_version.version_num;

COMMIT;

BEGIN;

-- Running upgrade 0001 -> 0002

INSERT INTO item (id, name) VALUES (1, 'it''s 100% safe');

alter table item add column price numeric;

UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';

COMMIT;

BEGIN;

-- Running upgrade 0002 -> 0003

COMMIT;

CREATE INDEX CONCURRENTLY item_name ON item (name);

BEGIN;

UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';

COMMIT;

"""
OF_SQLITE = """\
BEGIN;

CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE item (
	id INTEGER NOT NULL,
	name TEXT,
	PRIMARY KEY (id)
);

INSERT INTO alembic_version (version_num) VALUES ('0001') RETURNING version_num;

COMMIT;

-- Running upgrade 0001 -> 0002

BEGIN;

INSERT INTO item (id, name) VALUES (1, 'it''s 100% safe');

alter table item add column price numeric;

UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';

COMMIT;

-- Running upgrade 0002 -> 0003

CREATE INDEX item_name ON item (name);

BEGIN;

UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';

COMMIT;
"""


def shown(plan: str) -> str:
    """Without the white space at the ends of lines that SQLAlchemy writes."""
    return "\n".join(line.rstrip() for line in plan.rstrip().splitlines())


def statements(plan: str) -> list[str]:
    return [each for each in plan.split(";\n") if each.strip()]


def test_on_postgres(database18: str, project: MakeProject, run: Run) -> None:
    shop = project(revisions=[CREATE, FILL, INDEX], models=False)
    env = {"DATABASE_URL": database18}
    planned = run("plan", env=env, cwd=shop.path).expect(0)
    assert shown(planned.stdout) == shown(OF_POSTGRES)
    assert look.tables(database18) == set()
    first = run("plan 0001 --json", env=env, cwd=shop.path).expect(0).json()
    assert first["current"] == []
    assert first["heads"] == first["pending"] == ["0001"]
    assert first["changed"] is False
    assert shown(first["sql"]) == shown(OF_POSTGRES.partition("\nBEGIN;")[0])


def test_on_postgres_it_can_be_run_by_hand(database18: str, project: MakeProject, run: Run) -> None:
    shop = project(revisions=[CREATE, FILL, INDEX], models=False)
    env = {"DATABASE_URL": database18}
    run("migrate 0001", env=env, cwd=shop.path).expect(0)
    planned = run("plan", env=env, cwd=shop.path).expect(0).stdout
    with psycopg.connect(database18, autocommit=True) as connection:
        for statement in statements(planned):
            connection.execute(statement.encode())
    assert look.revisions(database18) == ["0003"]
    ended = run("migrate --json", env=env, cwd=shop.path).expect(0)
    assert ended.json()["changed"] is False
    assert run("plan", env=env, cwd=shop.path).expect(0).stdout == ""


def test_on_postgres_a_role_that_may_only_read_is_enough(
    database18: str, server18: Server, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=[CREATE, FILL], models=False)
    name, reader = look.identity(database18).rpartition("/")[2], f"reader_{secrets.token_hex(4)}"
    server18.admin(f"create role {reader} login password 'only reads'")
    try:
        server18.admin(f"alter role {reader} set default_transaction_read_only = on")
        env = {"DATABASE_URL": server18.url(name, user=reader, password="only reads")}
        planned = run("plan", env=env, cwd=shop.path).expect(0).stdout
        assert "CREATE TABLE alembic_version" in planned
        run("migrate 0001", env={"DATABASE_URL": database18}, cwd=shop.path).expect(0)
        look.query(database18, f"grant select on alembic_version to {reader}")
        planned = run("plan", env=env, cwd=shop.path).expect(0).stdout
        assert "CREATE TABLE" not in planned
        assert "INSERT INTO item (id, name) VALUES (1, 'it''s 100% safe')" in planned
        assert look.query(database18, "select count(*) from item") == [(0,)]
    finally:
        server18.admin(f"drop owned by {reader}", name=name)
        server18.admin(f"drop role {reader}")


def test_on_postgres_what_looks_at_the_database_has_no_fixed_sql(
    database18: str, project: MakeProject, run: Run
) -> None:
    looks = """
    for (name,) in op.get_bind().execute(sa.text("select name from item")):
        op.execute(f"delete from item where name = '{name}'")
    """
    shop = project(revisions=[CREATE, looks], models=False)
    ended = run("plan --json", env={"DATABASE_URL": database18}, cwd=shop.path).expect(4)
    assert ended.json()["error"]["message"] == (
        "the SQL of the pending revisions cannot be rendered without running them: TypeError: "
        "'NoneType' object is not iterable; revisions that look at the live database, or insert "
        "into columns without types, have no fixed SQL"
    )


@pytest.mark.parametrize("env", ["plain", "async"])
def test_on_sqlite(
    tmp_path: Path, sqlite_url: str, project: MakeProject, run: Run, env: str
) -> None:
    shop = project(env=env, revisions=[CREATE, FILL, INDEX], models=False)
    planned = run("plan", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(0)
    assert shown(planned.stdout) == shown(OF_SQLITE)
    assert list(tmp_path.iterdir()) == []


def test_on_sqlite_it_can_be_run_by_hand(
    tmp_path: Path, sqlite_url: str, project: MakeProject, run: Run
) -> None:
    shop = project(revisions=[CREATE, FILL, INDEX], models=False)
    env = {"DATABASE_URL": sqlite_url}
    run("migrate 0001", env=env, cwd=shop.path).expect(0)
    planned = run("plan", env=env, cwd=shop.path).expect(0).stdout
    with closing(sqlite3.connect(tmp_path / "shop.db")) as file:
        file.executescript(planned)
    assert look.query(sqlite_url, "select id, name from item") == [(1, "it's 100% safe")]
    ended = run("migrate --json", env=env, cwd=shop.path).expect(0)
    assert ended.json()["changed"] is False


def test_on_sqlite_revisions_look_at_a_copy_of_the_tables_and_the_file_stays_as_it_was(
    tmp_path: Path, sqlite_url: str, project: MakeProject, run: Run
) -> None:
    everything = f"""
    {CREATE.strip()}
    op.execute("create virtual table words using fts5(word)")
    op.execute("create view names as select name from item")
    op.execute("create trigger t after insert on item begin delete from item where 0; end")
    """
    rebuilds = """
    op.execute("pragma foreign_keys = off")
    with op.batch_alter_table("item") as batch:
        batch.drop_column("name")
    """
    shop = project(revisions=[everything, "op.execute('drop view names')", rebuilds], models=False)
    env = {"DATABASE_URL": sqlite_url}
    run("migrate 0001", env=env, cwd=shop.path).expect(0)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    planned = run("plan", env=env, cwd=shop.path).expect(0).stdout
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert "pragma foreign_keys = off;\n\nBEGIN;\n\nCREATE TABLE _alembic_tmp_item (" in planned
    assert "ALTER TABLE _alembic_tmp_item RENAME TO item;" in planned
    with closing(sqlite3.connect(tmp_path / "shop.db")) as file:
        file.executescript(planned)
    assert look.revisions(sqlite_url) == ["0003"]


def test_a_password_in_the_sql_is_hidden_and_that_is_said(
    sqlite_url: str, project: MakeProject, run: Run
) -> None:
    fill = "op.execute(\"insert into item (name) values ('postgresql://app:hunter2@db/shop')\")"
    shop = project(revisions=[CREATE, fill], models=False)
    planned = run("plan", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(0)
    assert "insert into item (name) values ('postgresql://app:***@db/shop');" in planned.stdout
    assert (
        "warning wait: the SQL holds what looks like a password, which is shown as ***: run by "
        "hand it would do something else than bootstrapd migrate\n"
    ) in planned.stderr
    assert "hunter2" not in planned.stdout + planned.stderr

"""Whatever is done to a schema is found, named and mended; what is no damage is not found.

`DAMAGED_DATABASES` is how many databases of each dialect are damaged, and how many are left whole.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from bootstrap import app, catalog, libpq, target
from tests.support import apps, catalogs, damage, gallery
from tests.support.postgres import Server

COUNT = int(os.environ.get("DAMAGED_DATABASES", "50"))
SCHEMAS = (*app.SHIPPED, "gallery")
SETTINGS = settings(
    deadline=None,
    database=None,
    derandomize=COUNT <= 100,
    max_examples=COUNT,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

Picks = tuple[int, int, int]
# Of databases, kinds of damage and places there are fewer.
PICKS = st.tuples(*(st.integers(0, 10**4) for _ in range(3)))


@dataclass(frozen=True, repr=False)
class Whole:
    """A database with nothing wrong, on a server or in a file, and what may be done to it."""

    name: str
    server: Server | None
    url: str
    wanted: catalog.Catalog
    damages: Mapping[str, Sequence[damage.Damage | damage.Remake]]

    def __repr__(self) -> str:
        return f"<{self.wanted.dialect} {self.wanted.server} {self.name}>"


def pick(whole: Sequence[Whole], picks: Picks) -> tuple[Whole, str, damage.Damage | damage.Remake]:
    """A database, a kind of damage, and one of that kind."""
    of = whole[picks[0] % len(whole)]
    kind = sorted(of.damages)[picks[1] % len(of.damages)]
    return of, kind, of.damages[kind][picks[2] % len(of.damages[kind])]


# -- PostgreSQL -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(server15: Server | None, server16: Server, server18: Server) -> list[Whole]:
    """Each schema on each server."""
    made = []
    for server in filter(None, (server15, server16, server18)):
        for name in SCHEMAS:
            url = server.create_database()
            if name == "gallery":
                with closing(catalogs.connect(url)) as connection:
                    connection.execute(gallery.POSTGRESQL)
            else:
                apps.upgrade(name, catalogs.driver_url(url))
            found = catalogs.read_url(url)
            made.append(Whole(name, server, url, found, damage.postgres(found)))
    return made


class Copies:
    """A copy of each whole database, for as long as it is known to be whole again."""

    def __init__(self) -> None:
        self._urls: dict[str, str] = {}

    def of(self, whole: Whole) -> str:
        """The URL of a database that is the same, for the same role."""
        if whole.url not in self._urls:
            assert whole.server is not None
            where = target.parse(whole.url)
            name = f"{where.params['dbname']}_copy"
            whole.server.admin(f"drop database if exists {name} with (force)")
            whole.server.admin(
                f"create database {name} template {where.params['dbname']} owner {where.user}"
            )
            self.keep(whole)
        return self._urls[whole.url]

    def keep(self, whole: Whole) -> None:
        """It is whole again."""
        self._urls[whole.url] = f"{whole.url}_copy"

    def discard(self, whole: Whole) -> None:
        """It may be damaged."""
        self._urls.pop(whole.url, None)


@pytest.fixture(scope="module")
def copies() -> Copies:
    return Copies()


@SETTINGS
@given(picks=PICKS)
def test_damage_to_postgres_is_found_and_mended(
    whole: list[Whole], copies: Copies, picks: Picks
) -> None:
    of, kind, one = pick(whole, picks)
    assert isinstance(one, damage.Damage)
    with closing(catalogs.connect(copies.of(of))) as connection:
        try:
            connection.execute(";".join(one.sql))
        except libpq.Error:
            # The server refuses it while something else hangs on it, and does none of it.
            assume(False)
        copies.discard(of)
        found = catalogs.read(connection)
        differences = catalog.compare(of.wanted, found)
        named = any(one.names in each.object for each in differences)
        assert named or found == of.wanted, (kind, one, [str(each) for each in differences])
        for each in differences:
            assert each.fix, (one, each)
            for statement in each.fix:
                try:
                    connection.execute(statement)
                except libpq.Error as error:
                    pytest.fail(f"{kind} {one.sql}: {each}: {statement}: {error}")
        assert catalog.compare(of.wanted, catalogs.read(connection)) == (), (kind, one)
    copies.keep(of)


@pytest.mark.parametrize(
    ("found", "value", "wanted"),
    [
        ("integer[]", "{1,2,3}", "character varying(5)"),
        ("mood", "happy", "character varying(3)"),
        ("jsonb", '{"a": 1}', "character(4)"),
        ("text", "happy", "character varying(3)"),
        ("bigint", "3000000000", "integer"),
        ("integer", "100", "numeric(3,1)"),
    ],
)
def test_a_value_that_the_wanted_type_cannot_hold_is_not_cut_to_fit(
    database18: str, found: str, value: str, wanted: str
) -> None:
    table = "create table each (one {})"
    with closing(catalogs.connect(database18)) as connection:
        connection.execute("create type mood as enum ('happy')")
        connection.execute(table.format(wanted))
        before = catalogs.read(connection)
        connection.execute("drop table each")
        connection.execute(table.format(found))
        connection.execute(f"insert into each values ('{value}')")
        (difference,) = catalog.compare(before, catalogs.read(connection))
        with pytest.raises(libpq.Error) as refused:
            connection.execute(";".join(difference.fix))
        assert refused.value.sqlstate in ("22001", "22003")
        assert connection.execute("select one::text from each") == [(value,)]


# What operators do to a database, and how they set up its sessions: none of it is drift.
HARMLESS = (
    "VACUUM {table}",
    "ANALYZE {table}",
    "REINDEX TABLE {table}",
    "GRANT SELECT, UPDATE ON {table} TO PUBLIC",
    "ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 500",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    "CREATE TEMPORARY TABLE ghost (id integer)",
    "DELETE FROM {table} WHERE false",
    "SET timezone = 'Asia/Kathmandu'",
    "SET datestyle = 'German'",
    "SET intervalstyle = 'iso_8601'",
    "SET quote_all_identifiers = on",
    "SET standard_conforming_strings = off",
    "SET extra_float_digits = -5",
    "SET search_path = public, pg_catalog",
    "SET bytea_output = 'escape'",
    "SET jit = on",
    "SET enable_seqscan = off",
    "SET lc_monetary = 'C'",
    "SET plan_cache_mode = 'force_generic_plan'",
)


@SETTINGS
@given(picks=PICKS)
def test_postgres_without_damage_is_without_findings(
    whole: list[Whole], copies: Copies, picks: Picks
) -> None:
    of = whole[picks[0] % len(whole)]
    columns = [each for each in of.wanted.objects if each.kind == "column"]
    column = columns[picks[1] % len(columns)]
    statement = HARMLESS[picks[2] % len(HARMLESS)].format(table=column.table, column=column.name)
    with closing(catalogs.connect(copies.of(of))) as connection:
        connection.execute(statement)
        found = catalogs.read(connection)
    # Wanted is what any of the servers has made.
    for other in whole:
        if other.name == of.name:
            assert catalog.compare(other.wanted, found) == (), (statement, of)
            assert catalog.fingerprint(other.wanted) == catalog.fingerprint(found)


# -- SQLite ---------------------------------------------------------------------------------------


LITE_HARMLESS = (
    "VACUUM",
    "ANALYZE",
    "REINDEX",
    "PRAGMA user_version = 7",
    "PRAGMA foreign_keys = ON",
    "PRAGMA legacy_alter_table = ON",
    "CREATE VIEW bootstrapd_pin AS SELECT 'a' AS identity",
    "CREATE TEMPORARY TABLE ghost (id INTEGER)",
    "DELETE FROM {table}",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Whole]:
    """Each schema in a file."""
    folder = tmp_path_factory.mktemp("whole")
    made = []
    for name in SCHEMAS:
        path = folder / f"{name}.db"
        if name == "gallery":
            with closing(sqlite3.connect(path)) as connection:
                connection.executescript(gallery.SQLITE)
        else:
            apps.upgrade(name, f"sqlite:///{path}")
            with closing(sqlite3.connect(path)) as connection:
                # A column that must have a value can be added to a table without rows alone.
                connection.executescript("DELETE FROM _migrations" if name == "dash" else "")
        with closing(sqlite3.connect(path)) as connection:
            damages = damage.sqlite(connection)
        found = catalogs.read_url(f"sqlite:///{path}")
        made.append(Whole(name, None, str(path), found, damages))
    return made


@SETTINGS
@given(picks=PICKS)
def test_damage_to_sqlite_is_found_and_mended(files: list[Whole], picks: Picks) -> None:
    of, kind, one = pick(files, picks)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        with closing(sqlite3.connect(of.url)) as original:
            original.backup(connection)
        try:
            damage.do(connection, one)
        except sqlite3.Error:
            assume(False)
        found = catalog.read_sqlite(connection, version_table=catalogs.VERSION_TABLE)
        differences = catalog.compare(of.wanted, found)
        assert any(one.names in each.object for each in differences), (
            kind,
            one,
            [str(each) for each in differences],
        )
        for fix in dict.fromkeys(each.fix for each in differences):
            for statement in fix:
                try:
                    connection.execute(statement)
                except sqlite3.Error as error:
                    pytest.fail(f"{kind} {one}: {statement}: {error}")
        mended = catalog.read_sqlite(connection, version_table=catalogs.VERSION_TABLE)
        assert catalog.compare(of.wanted, mended) == (), (kind, one)


@pytest.mark.parametrize("name", app.SHIPPED)
def test_tables_that_alembic_has_made_anew_are_the_same(name: str, files: list[Whole]) -> None:
    (of,) = (each for each in files if each.name == name)
    memory = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    with memory.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        with closing(sqlite3.connect(of.url)) as original:
            original.backup(raw)
        kept = raw.execute("select sql from sqlite_schema where type in ('trigger', 'view')")
        statements = [sql for (sql,) in kept.fetchall()]
        for kind, thing in raw.execute(
            "select type, name from sqlite_schema where type in ('trigger', 'view')"
        ).fetchall():
            raw.execute(f'drop {kind} "{thing}"')
        operations = Operations(MigrationContext.configure(connection))
        for table in _that_alembic_can_copy(of.wanted):
            with operations.batch_alter_table(table, recreate="always"):
                pass
        connection.commit()
        for statement in statements:
            raw.execute(statement)
        found = catalog.read_sqlite(raw, version_table=catalogs.VERSION_TABLE)
        assert [str(each) for each in catalog.compare(of.wanted, found)] == []
        assert catalog.fingerprint(of.wanted) == catalog.fingerprint(found)
    memory.dispose()


def _that_alembic_can_copy(of: catalog.Catalog) -> Iterator[str]:
    """Where no index is descending and no key is counted: those it loses, which is damage."""
    lost = {each.table for each in of.objects if " DESC" in each.definition}
    lost |= {each.table for each in of.objects if " AUTOINCREMENT" in each.definition}
    yield from (each.name for each in of.objects if each.kind == "table" and each.name not in lost)


@SETTINGS
@given(picks=PICKS)
def test_sqlite_without_damage_is_without_findings(files: list[Whole], picks: Picks) -> None:
    of = files[picks[0] % len(files)]
    tables = [each for each in of.wanted.objects if each.kind == "table"]
    table = tables[picks[1] % len(tables)].name
    statement = LITE_HARMLESS[picks[2] % len(LITE_HARMLESS)].format(table=table)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        with closing(sqlite3.connect(of.url)) as original:
            original.backup(connection)
        connection.execute(statement)
        found = catalog.read_sqlite(connection, version_table=catalogs.VERSION_TABLE)
    assert catalog.compare(of.wanted, found) == (), (statement, of)
    assert catalog.fingerprint(of.wanted) == catalog.fingerprint(found)

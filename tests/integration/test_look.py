"""One look at a database tells whether its schema is still the one that was proven."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from bootstrap import app, database, libpq, postgres, target
from tests.support import look
from tests.support.postgres import Server

SCHEMA = """
create type mood as enum ('sad', 'glad');
create domain small as int check (value < 10);
create sequence by_hand;
create table item (id serial primary key, name text, price int check (price > 0), mood mood);
create table part (item_id int references item);
create index item_name on item (name);
create view named as select name from item;
create materialized view counted as select count(*) from item;
create function one() returns int language sql as 'select 1';
create function noted() returns trigger language plpgsql as 'begin return new; end';
create trigger noted before update on item for each row execute function noted();
create policy own on item using (true);
create statistics item_both on name, price from item;
comment on table item is 'what is sold';
"""


@pytest.fixture
def url(server: Server) -> str:
    """A database with one object of every kind, whose owner may make roles and schemas."""
    made = server.create_database()
    server.admin(f'alter role "{target.parse(made).user}" superuser')
    look.query(made, SCHEMA)
    return made


@pytest.fixture
def base(url: str) -> Iterator[postgres.Postgres]:
    where = target.parse(url)
    connection = libpq.reach(where.conninfo())
    with closing(postgres.Postgres(connection, where, app.shipped("godel"))) as made:
        yield made


@pytest.mark.parametrize(
    "change",
    [
        "alter table item add note text",
        "alter table part drop item_id",
        "alter table item alter name set not null",
        "alter table item alter name set default 'none'",
        "alter table item rename name to title",
        "alter table item alter price type bigint",
        "alter table item drop constraint item_price_check",
        "alter table item add constraint dear check (price > 10) not valid",
        "alter table item enable row level security",
        "alter table item disable trigger noted",
        "alter table item disable trigger all",
        "alter table item set (fillfactor = 50)",
        "alter table item owner to postgres",
        "alter table part set unlogged",
        "alter table part drop constraint part_item_id_fkey",
        "drop index item_name",
        "create unique index item_price on item (price)",
        "update pg_index set indisvalid = false where indexrelid = 'item_name'::regclass",
        "create or replace view named as select name, 1 as one from item",
        "create or replace function one() returns int language sql as 'select 2'",
        "drop function one()",
        "alter type mood add value 'mad'",
        "alter type mood rename value 'sad' to 'low'",
        "alter domain small drop constraint small_check",
        "alter sequence by_hand increment by 2",
        "alter sequence by_hand owned by item.id",
        "drop trigger noted on item",
        "alter policy own on item using (false)",
        "drop statistics item_both",
        "comment on table item is 'what was sold'",
        "comment on column item.name is 'as it is called'",
        "create schema more",
        "create table more ()",
    ],
)
def test_any_change_of_the_schema_is_seen(url: str, base: postgres.Postgres, change: str) -> None:
    before = base.look().catalog
    look.query(url, change)
    assert base.look().catalog != before


@pytest.mark.parametrize(
    "work",
    [
        "insert into item (name) values ('soap')",
        "truncate item cascade",
        "refresh materialized view counted",
        "analyze",
        "select nextval('by_hand')",
        "create temp table mine (id int)",
        "create schema bootstrapd",
    ],
)
def test_work_with_the_rows_is_no_change(url: str, base: postgres.Postgres, work: str) -> None:
    before = base.look().catalog
    look.query(url, work)
    assert base.look().catalog == before


def test_an_empty_database_is_told_from_all_others(server18: Server) -> None:
    where = target.parse(server18.create_database())
    for make, catalog in (
        ("select 1", database.EMPTY),
        ("create temp table mine (id int)", database.EMPTY),
        ("create type mood as enum ('sad')", ""),
    ):
        connection = libpq.reach(where.conninfo())
        with closing(postgres.Postgres(connection, where, app.shipped("godel"))) as base:
            connection.execute(make)
            assert (base.look().catalog == database.EMPTY) is (catalog == database.EMPTY)

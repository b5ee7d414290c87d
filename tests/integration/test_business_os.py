"""business_os keeps its document's promises, alike on SQLite and PostgreSQL."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import orm

from bootstrap import engine, target
from bootstrap.apps.business_os import database, models
from bootstrap.apps.business_os.database import Database
from bootstrap.client import Client
from bootstrap.errors import SettingsError
from tests.support import apps, look
from tests.support.cli import Result
from tests.support.postgres import Server
from tests.support.proxy import Proxy
from tests.support.tls import Authority

MakeProxy = Callable[..., Proxy]
NOBODY = "00000000-0000-4000-8000-000000000000"
LONG_AGO = datetime(2001, 2, 3, 4, 5, 6, 789_012, tzinfo=UTC)


@pytest.fixture
def opened(database_url: str) -> Iterator[Database]:
    """The tables on each kind of database."""
    apps.create(models.Base.metadata, database_url)
    with Database(Client(target.parse(database_url))) as opened:
        yield opened


def user(opened: Database, email: str = "a@example.org", **values: Any) -> models.User:
    return opened.users.insert({"email": email, "password_hash": "x", **values})


# -- the schema ----------------------------------------------------------------------------------


def test_on_postgresql_the_schema_is_the_documents(database: str) -> None:
    apps.upgrade("business_os", database)
    found = {(table, kind, name): what for table, kind, name, what in apps.catalog(database)}
    columns = {
        f"{table}.{name}": what.partition(" ")[2]
        for (table, kind, name), what in found.items()
        if kind == "column"
    }
    moment = "timestamp with time zone YES now() NO"
    common = {"id": "uuid NO gen_random_uuid() NO", "created_at": moment, "updated_at": moment}
    assert columns == {
        **{f"users.{name}": what for name, what in common.items()},
        "users.email": "character varying 255 NO NO",
        "users.password_hash": "character varying 255 NO NO",
        "users.name": "character varying 255 YES NO",
        **{f"businesses.{name}": what for name, what in common.items()},
        "businesses.user_id": "uuid YES NO",
        "businesses.name": "character varying 255 NO NO",
        "businesses.industry": "character varying 100 YES NO",
        "businesses.stage": "character varying 50 YES 'idea'::character varying NO",
        "businesses.context": "jsonb YES '{}'::jsonb NO",
        **{f"conversations.{name}": what for name, what in common.items()},
        "conversations.business_id": "uuid YES NO",
        "conversations.title": "character varying 255 YES NO",
        "conversations.message_count": "integer YES 0 NO",
        "messages.id": common["id"],
        "messages.conversation_id": "uuid YES NO",
        "messages.role": "character varying 20 NO NO",
        "messages.content": "text NO NO",
        "messages.metadata": "jsonb YES '{}'::jsonb NO",
        "messages.created_at": moment,
    }
    constraints = {
        name: what
        for (_, kind, name), what in found.items()
        if kind == "constraint" and not what.startswith("NOT NULL")
    }
    assert constraints == {
        "users_pkey": "PRIMARY KEY (id)",
        "users_email_key": "UNIQUE (email)",
        "businesses_pkey": "PRIMARY KEY (id)",
        "businesses_user_id_fkey": ("FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE"),
        "conversations_pkey": "PRIMARY KEY (id)",
        "conversations_business_id_fkey": (
            "FOREIGN KEY (business_id) REFERENCES businesses(id) ON DELETE CASCADE"
        ),
        "messages_pkey": "PRIMARY KEY (id)",
        "messages_conversation_id_fkey": (
            "FOREIGN KEY (conversation_id) REFERENCES conversations(id) ON DELETE CASCADE"
        ),
    }
    indexes = {name for (_, kind, name) in found if kind == "index"}
    assert {name for name in indexes if name.startswith("idx_")} == {
        "idx_businesses_user_id",
        "idx_conversations_business_id",
        "idx_messages_conversation_id",
        "idx_messages_created_at",
    }
    triggers = {what for (_, kind, _n), what in found.items() if kind == "trigger"}
    assert triggers == {
        f"CREATE TRIGGER {table}_updated_at BEFORE UPDATE ON public.{table} "
        "FOR EACH ROW EXECUTE FUNCTION update_updated_at()"
        for table in ("users", "businesses", "conversations")
    }


def test_migrations_run_by_themselves(run: Callable[..., Result], database_url: str) -> None:
    env = {"DATABASE_URL": database_url}
    assert run("run --app business_os -- true", env=env).expect(0)
    assert look.revisions(database_url) == ["0004"]
    run("validate --app business_os", env=env).expect(0)


# -- the base repository -------------------------------------------------------------------------


def test_insert_gives_the_whole_row_back(opened: Database) -> None:
    before = datetime.now(UTC)
    made = user(opened, name="Ä")
    assert len(made.id) == 36
    assert (made.email, made.password_hash, made.name) == ("a@example.org", "x", "Ä")
    assert made.created_at is not None
    assert made.created_at == made.updated_at
    assert made.created_at.tzinfo is UTC
    assert abs(made.created_at - before) < timedelta(minutes=5)
    business = opened.businesses.insert({"name": "b"})
    assert (business.stage, business.context, business.user_id) == ("idea", {}, None)
    conversation = opened.conversations.insert({"business_id": business.id})
    assert (conversation.message_count, conversation.title) == (0, None)
    message = opened.messages.insert(
        {"conversation_id": conversation.id, "role": "user", "content": "hi"}
    )
    assert message.metadata_ == {}


def test_find_by_id(opened: Database) -> None:
    made = user(opened)
    found = opened.users.find_by_id(made.id.upper())
    assert found is not None
    assert found.id == made.id
    assert opened.users.find_by_id(NOBODY) is None


def test_an_id_that_is_none_is_an_error_on_both(opened: Database) -> None:
    with pytest.raises(sa.exc.StatementError, match="badly formed hexadecimal UUID string"):
        opened.users.find_by_id("nobody")


def test_find_all_newest_first_a_hundred_at_a_time(opened: Database) -> None:
    def insert(session: orm.Session) -> None:
        for number in range(105):
            moment = LONG_AGO + timedelta(days=number)
            session.add(models.User(email=f"{number}", password_hash="x", created_at=moment))

    opened.client.transaction(insert)
    assert [each.email for each in opened.users.find_all()] == [
        str(number) for number in range(104, 4, -1)
    ]
    assert [each.email for each in opened.users.find_all(limit=2, offset=103)] == ["1", "0"]


def test_update_gives_the_whole_row_back(opened: Database) -> None:
    made = user(opened, name="old")
    changed = opened.users.update(made.id, {"name": "new"})
    assert changed is not None
    assert (changed.name, changed.email, changed.created_at) == (
        "new",
        made.email,
        made.created_at,
    )
    assert opened.users.update(NOBODY, {"name": "new"}) is None


def test_delete_says_whether_a_row_went(opened: Database) -> None:
    made = user(opened)
    assert opened.users.delete(made.id) is True
    assert opened.users.delete(made.id) is False


def test_a_user_goes_with_all_that_is_theirs(opened: Database) -> None:
    made = user(opened)
    kept = opened.businesses.insert({"name": "nobody's"})
    business = opened.businesses.insert({"user_id": made.id, "name": "b"})
    conversation = opened.conversations.insert({"business_id": business.id})
    opened.messages.insert({"conversation_id": conversation.id, "role": "user", "content": "hi"})
    opened.users.delete(made.id)
    assert [each.id for each in opened.businesses.find_all()] == [kept.id]
    assert opened.conversations.find_all() == []
    assert opened.messages.find_all() == []


def test_a_business_needs_its_user(opened: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        opened.businesses.insert({"user_id": NOBODY, "name": "b"})


def test_an_email_is_there_once(opened: Database) -> None:
    user(opened)
    with pytest.raises(sa.exc.IntegrityError) as caught:
        user(opened)
    assert caught.value.__cause__ is caught.value.orig


# -- updated_at ----------------------------------------------------------------------------------


def test_an_update_sets_updated_at_whatever_it_gives(opened: Database) -> None:
    repositories: list[tuple[Any, dict[str, str]]] = [
        (opened.users, {"email": "a", "password_hash": "x"}),
        (opened.businesses, {"name": "b"}),
        (opened.conversations, {"title": "c"}),
    ]
    for repository, values in repositories:
        made = repository.insert({**values, "created_at": LONG_AGO, "updated_at": LONG_AGO})
        assert made.updated_at == LONG_AGO
        for change in ({"updated_at": LONG_AGO}, values):
            changed = repository.update(made.id, change)
            assert changed.created_at == LONG_AGO
            # SQLite counts milliseconds, and a server's clock is its own.
            assert abs(changed.updated_at - datetime.now(UTC)) < timedelta(minutes=5)


def test_each_row_of_an_update_gets_its_time_and_no_other(opened: Database) -> None:
    for name in ("a", "b", "c"):
        opened.businesses.insert({"name": name, "updated_at": LONG_AGO})
    changed = opened.client.execute("UPDATE businesses SET industry = 'x' WHERE name <> 'c'")
    assert changed == 2
    found = {each.name: each.updated_at == LONG_AGO for each in opened.businesses.find_all()}
    assert found == {"a": False, "b": False, "c": True}


def test_messages_have_no_updated_at(opened: Database) -> None:
    with pytest.raises(ValueError, match=r"^messages: no column updated_at; known are"):
        opened.messages.insert({"role": "user", "content": "hi", "updated_at": LONG_AGO})


# -- the same values on both ---------------------------------------------------------------------

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
_MOMENTS = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=_TEXT, key=_TEXT, moment=_MOMENTS)
def test_any_text_and_any_time_come_back_as_they_were(
    opened: Database, content: str, key: str, moment: datetime
) -> None:
    values = {"role": "user", "content": content, "metadata": {key: content}}
    made = opened.messages.insert({**values, "created_at": moment})
    assert (made.content, made.metadata_) == (content, {key: content})
    assert made.created_at == moment
    assert made.created_at.tzinfo is UTC


def test_a_megabyte_of_anything(opened: Database) -> None:
    content = "😀'\"\\\n\t%s :x ?" * 70_000
    made = opened.messages.insert({"role": "user", "content": content, "metadata": {"c": content}})
    found = opened.messages.find_by_id(made.id)
    assert found is not None
    assert (found.content, found.metadata_) == (content, {"c": content})


MISFITS: dict[str, tuple[str, dict[str, Any]]] = {
    "users.email: wanted at most 255 characters, found 256": ("users", {"email": "x" * 256}),
    "businesses.stage: wanted at most 50 characters, found 51": (
        "businesses",
        {"stage": "ä" * 51},
    ),
    "messages.content: wanted text without NUL characters": ("messages", {"content": "a\0b"}),
    "conversations.message_count: wanted a whole number of 32 bits, found 2147483648": (
        "conversations",
        {"message_count": 2**31},
    ),
}


def test_what_postgresql_cannot_hold_is_refused_on_both(opened: Database) -> None:
    for message, (table, values) in MISFITS.items():
        repository = getattr(opened, table)
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            repository.insert(values)
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            repository.update(NOBODY, values)


def test_json_with_nul_is_refused_on_both(opened: Database) -> None:
    contexts: list[dict[str, Any]] = [{"a": "b\0"}, {"\0": 1}, {"a": ["\\\0"]}]
    for context in contexts:
        with pytest.raises((sa.exc.StatementError, ValueError), match="wanted JSON without NUL"):
            opened.businesses.insert({"name": "b", "context": context})


def test_json_that_only_looks_like_nul_is_kept(opened: Database) -> None:
    context = {"a": "\\u0000", "b\\\\u0000": "u0000"}
    assert opened.businesses.insert({"name": "b", "context": context}).context == context


def test_values_at_their_limits_are_kept(opened: Database) -> None:
    made = user(opened, "😀" * 255)
    assert made.email == "😀" * 255
    for count in (2**31 - 1, -(2**31)):
        assert opened.conversations.insert({"message_count": count}).message_count == count


def test_times_are_found_and_sorted_as_times(opened: Database) -> None:
    east, west = timezone(timedelta(hours=9)), timezone(timedelta(hours=-8))
    moments = [
        datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=east),
        datetime(2025, 12, 31, 7, 30, tzinfo=west),
        datetime(2025, 12, 31, 15, 45, 0, 500_000, tzinfo=UTC),
    ]
    for number, moment in enumerate(moments):
        opened.messages.insert({"role": "user", "content": str(number), "created_at": moment})
    assert [each.content for each in opened.messages.find_all()] == ["2", "1", "0"]
    later = sa.select(models.Message.content).where(models.Message.created_at > moments[1])
    assert opened.client.read(lambda session: list(session.scalars(later))) == ["2"]


def test_a_time_without_a_zone_is_refused(opened: Database) -> None:
    with pytest.raises(sa.exc.StatementError, match=r"wanted a time with a zone, found 2026-01-01"):
        user(opened, created_at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_ids_made_by_the_database_are_random_uuids(opened: Database) -> None:
    for number in range(50):
        opened.client.execute(
            "INSERT INTO users (email, password_hash) VALUES (:email, 'x')", {"email": str(number)}
        )
    ids = {each.id for each in opened.users.find_all()}
    assert len(ids) == 50
    assert {id_[14] for id_ in ids} == {"4"}
    assert {id_[19] for id_ in ids} <= set("89ab")


# -- transactions --------------------------------------------------------------------------------


def test_a_transaction_is_committed_or_rolled_back_with_its_own_error(opened: Database) -> None:
    def signs_up(session: orm.Session) -> None:
        somebody = models.User(email="a", password_hash="x")
        session.add(somebody)
        session.flush()
        session.add(models.Business(user_id=somebody.id, name="b"))
        session.flush()

    def fails(session: orm.Session) -> None:
        signs_up(session)
        raise RuntimeError("its own error")

    with pytest.raises(RuntimeError, match="its own error"):
        opened.client.transaction(fails)
    assert opened.users.count() == opened.businesses.count() == 0
    opened.client.transaction(signs_up)
    assert opened.users.count() == opened.businesses.count() == 1


# -- the pool ------------------------------------------------------------------------------------


def test_the_options_are_the_documents() -> None:
    assert database.Settings().options() == engine.Options(
        application_name="business_os",
        pool_size=10,
        max_overflow=0,
        pool_min=5,
        pool_timeout_s=5,
        idle_timeout_s=30,
        connect_timeout_s=5,
        query_timeout_s=30,
    )


@pytest.mark.parametrize("size", ["4", "21"])
def test_a_pool_outside_5_to_20_is_a_settings_error(size: str) -> None:
    with pytest.raises(SettingsError) as caught:
        database.open_database({"DATABASE_POOL_SIZE": size})
    assert caught.value.message == (
        f"settings: 1 problem\n  DATABASE_POOL_SIZE: wanted 5 to 20, found {size}"
    )


def sessions(server: Server) -> int:
    ((count,),) = server.admin(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'business_os'"
    )
    return int(count)


def test_at_most_as_many_connections_as_told_and_none_after_the_end(
    database18: str, server18: Server
) -> None:
    environ = {"DATABASE_URL": database18, "DATABASE_POOL_SIZE": "20"}
    with database.open_database(environ) as opened, ThreadPoolExecutor(40) as threads:
        asked = [threads.submit(opened.client.query, "SELECT pg_sleep(0.2)") for _ in range(40)]
        look.until(lambda: sessions(server18) == 20)
        for each in asked:
            each.result()
        assert sessions(server18) == 20
    look.until(lambda: sessions(server18) == 0)


def test_a_session_is_named_in_utc_and_bounded(database: str) -> None:
    with database_of(database) as opened:
        assert opened.client.query_one(
            "SELECT current_setting('application_name') AS name,"
            " current_setting('TimeZone') AS zone, current_setting('statement_timeout') AS timeout"
        ) == {"name": "business_os", "zone": "UTC", "timeout": "30s"}


def database_of(url: str, **environ: str) -> Database:
    """The database of these settings."""
    return database.open_database({"DATABASE_URL": url, **environ})


# -- outages -------------------------------------------------------------------------------------


def test_it_reconnects_by_itself(proxy: MakeProxy, server: Server, database: str) -> None:
    apps.create(models.Base.metadata, database)
    before = proxy(server)
    with database_of(before.url(database)) as opened:
        made = user(opened)
        assert opened.client.health_check() is True
        before.cut()
        assert opened.users.find_by_id(made.id) is not None
        before.refuse()
        before.cut()
        assert opened.client.health_check() is False
        with pytest.raises(sa.exc.OperationalError, match="Connection refused"):
            opened.users.find_by_id(made.id)
        before.forward()
        assert opened.users.find_by_id(made.id) is not None
        assert opened.client.health_check() is True


def test_it_outlives_a_restart_of_the_server(server18: Server, database18: str) -> None:
    apps.create(models.Base.metadata, database18)
    with database_of(database18) as opened:
        made = user(opened)
        server18.restart()
        assert opened.users.find_by_id(made.id) is not None


# -- TLS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "mode"),
    [
        ({}, None),
        ({"DATABASE_SSL": "false"}, None),
        ({"DATABASE_SSL": "true"}, "require"),
        ({"DATABASE_SSL": "verify-ca"}, "verify-ca"),
        ({"BOOTSTRAPD_ENVIRONMENT": "production"}, "verify-full"),
        ({"BOOTSTRAPD_ENVIRONMENT": "production", "DATABASE_SSL": "true"}, "verify-full"),
        ({"BOOTSTRAPD_ENVIRONMENT": "production", "DATABASE_SSL": "false"}, "verify-full"),
    ],
)
def test_tls_as_it_is_told(environ: dict[str, str], mode: str | None) -> None:
    with database_of("postgresql://u@db/business_os", **environ) as opened:
        assert opened.client.target.query.get("sslmode") == mode
    with database_of("postgresql://u@db/business_os?sslmode=disable", **environ) as opened:
        assert opened.client.target.query["sslmode"] == "disable"


def ask(url: str, **environ: str) -> object:
    with database_of(url, **environ) as opened:
        return opened.client.query_one("SELECT 1 AS one")


def test_in_production_the_certificate_is_verified(
    proxy: MakeProxy, authority: Authority, server18: Server, database18: str
) -> None:
    right = proxy(server18, tls=authority.context("127.0.0.1"))
    other = proxy(server18, tls=authority.context("db.example.org"))
    trusted = f"?sslrootcert={authority.ca_file}"
    production = {"BOOTSTRAPD_ENVIRONMENT": "production"}
    assert ask(right.url(database18) + trusted, **production) == {"one": 1}
    with pytest.raises(sa.exc.OperationalError, match="does not match host name"):
        ask(other.url(database18) + trusted, **production)
    with pytest.raises(
        sa.exc.OperationalError, match=r"certificate verify failed|root certificate"
    ):
        ask(right.url(database18) + "?sslrootcert=system", **production)
    # Elsewhere DATABASE_SSL=true asks for TLS and no more, as in the document.
    assert ask(other.url(database18), DATABASE_SSL="true") == {"one": 1}
    with pytest.raises(sa.exc.OperationalError, match="server does not support SSL"):
        ask(database18, DATABASE_SSL="true")


def test_the_daemon_goes_the_same_way(
    run: Callable[..., Result],
    proxy: MakeProxy,
    authority: Authority,
    server18: Server,
    database18: str,
) -> None:
    before = proxy(server18, tls=authority.context("127.0.0.1"))
    url = f"{before.url(database18)}?sslrootcert={authority.ca_file}"
    env = {"DATABASE_URL": url, "BOOTSTRAPD_ENVIRONMENT": "production"}
    run("run --app business_os", env=env).expect(0)
    with psycopg.connect(database18) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            ("0004",)
        ]
    env = {"DATABASE_URL": database18, "DATABASE_SSL": "true"}
    result = run("run --app business_os", env=env).expect(3)
    assert "server does not support SSL" in result.stderr

"""tarsy's history: its document's verbs and settings, the same on SQLite and PostgreSQL."""

import asyncio
import itertools
import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import orm

from bootstrap import backoff, engine, settings, target
from bootstrap.apps.tarsy import enums, history, models
from bootstrap.apps.tarsy.history import History
from bootstrap.client import Client
from bootstrap.errors import SettingsError
from tests.support import apps, look
from tests.support.postgres import Server
from tests.support.proxy import Proxy

US = 1_795_254_639_468_123


@pytest.fixture
def opened(database_url: str) -> Iterator[History]:
    """The history on each kind of database."""
    apps.create(models.Base.metadata, database_url)
    with History(Client(target.parse(database_url))) as opened:
        yield opened


def session(opened: History, id_: str = "s", **values: Any) -> models.AlertSession:
    """A session that is under way."""
    required = {"agent_type": "kubernetes", "status": "in_progress"}
    return opened.sessions.create({"session_id": id_, **required, **values})


def stage(opened: History, session_id: str, index: int, **values: Any) -> models.StageExecution:
    required = {"stage_id": f"s{index}", "stage_name": "analysis", "agent": "a", "status": "active"}
    return opened.stages.create(
        {"session_id": session_id, "stage_index": index, **required, **values}
    )


# -- the document's tests ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("sqlite:///test.db", "sqlite"),
        ("sqlite:///:memory:", "sqlite"),
        ("postgresql://user:pass@localhost/db", "postgresql"),
        ("postgresql+psycopg2://user:pass@localhost/db", "postgresql"),
        ("POSTGRESQL://user:pass@localhost/db", "postgresql"),
    ],
)
def test_database_type_detection(url: str, kind: str) -> None:
    assert history.detect_database_type(url) == kind


def test_another_scheme_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match=r"^wanted one of .*; found the scheme 'mysql'$"):
        history.detect_database_type("mysql://user:pass@localhost/db")


def test_engine_creation(database: str) -> None:
    memory = history.create_database_engine("sqlite:///:memory:", history.Settings())
    assert "sqlite" in str(memory.url)
    server = history.create_database_engine(database, history.Settings())
    assert "postgresql" in str(server.url)
    with server.connect() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1
    server.dispose()
    memory.dispose()


def test_cross_database_compatibility(opened: History) -> None:
    """The document's own session, which names no chain."""
    alert_session = models.AlertSession(
        session_id="test-session",
        alert_id="test-alert",
        alert_data={"severity": "high"},
        agent_type="kubernetes",
        status="completed",
    )
    with orm.Session(opened.client.engine) as made:
        made.add(alert_session)
        made.commit()
        made.expunge_all()
        retrieved = made.get(models.AlertSession, "test-session")
        assert retrieved is not None
        assert retrieved.alert_data is not None
        assert retrieved.alert_data["severity"] == "high"
        assert retrieved.chain_id == ""


# -- the choice of the database -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "identity"),
    [
        ({}, "{cwd}/history.db"),
        ({"HISTORY_DATABASE_URL": ""}, "{cwd}/history.db"),
        ({"HISTORY_DATABASE_URL": "sqlite:///history.db"}, "{cwd}/history.db"),
        (
            {"HISTORY_DATABASE_URL": "sqlite:///./data/tarsy_history.db"},
            "{cwd}/data/tarsy_history.db",
        ),
        ({"HISTORY_DATABASE_URL": "sqlite:///:memory:"}, ":memory:"),
        ({"BOOTSTRAPD_ENVIRONMENT": "test"}, ":memory:"),
        (
            {"BOOTSTRAPD_ENVIRONMENT": "test", "HISTORY_DATABASE_URL": "sqlite:///history.db"},
            "{cwd}/history.db",
        ),
        (
            {"HISTORY_DATABASE_URL": "postgresql://u:p@localhost:5432/tarsy_history"},
            "localhost:5432/tarsy_history",
        ),
        (
            {"HISTORY_DATABASE_URL": "postgresql+psycopg2://user:pass@localhost/tarsy"},
            "localhost:5432/tarsy",
        ),
        ({"DATABASE_URL": "postgresql://u:p@db/later"}, "db:5432/later"),
        ({"DATABASE_PASSWORD": "dev", "DATABASE_HOST": "db"}, "db:5432/tarsy"),
        ({"BOOTSTRAPD_ENVIRONMENT": "test", "DATABASE_HOST": "db"}, "db:5432/tarsy_test"),
    ],
)
def test_the_database_is_that_of_the_settings(
    environ: dict[str, str], identity: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    opened = history.open_history(environ)
    assert opened is not None
    with opened:
        assert opened.client.target.identity == identity.format(cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_under_test_the_tables_are_there_at_once() -> None:
    opened = history.open_history({"BOOTSTRAPD_ENVIRONMENT": "test"})
    assert opened is not None
    with opened:
        assert session(opened).session_id == "s"
        assert opened.sessions.count() == 1


def test_a_scheme_that_is_neither_names_the_variable_too() -> None:
    with pytest.raises(SettingsError) as caught:
        history.open_history({"HISTORY_DATABASE_URL": "mysql://localhost/tarsy"})
    assert caught.value.message == (
        "settings: 1 problem\n  HISTORY_DATABASE_URL: wanted one of sqlite:///path, "
        "postgresql://user@host/name (also postgres:// and postgresql+driver://); "
        "found the scheme 'mysql'"
    )


# -- the pool ------------------------------------------------------------------------------------


def pool(environ: dict[str, str]) -> tuple[int, int, float, int]:
    opened = history.open_history({"HISTORY_DATABASE_URL": "postgresql://u@db/tarsy", **environ})
    assert opened is not None
    made: Any = opened.client.engine.pool
    return made.size(), made._max_overflow, made._timeout, made._recycle


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, (5, 10, 30, 3600)),
        ({"POSTGRES_POOL_SIZE": "10", "POSTGRES_MAX_OVERFLOW": "20"}, (10, 20, 30, 3600)),
        ({"POSTGRES_POOL_TIMEOUT": "7", "POSTGRES_POOL_RECYCLE": "60"}, (5, 10, 7, 60)),
        (
            {"HISTORY_DATABASE_URL": "postgresql://u@db/tarsy?pool_size=10&max_overflow=20"},
            (10, 20, 30, 3600),
        ),
        (
            {
                "HISTORY_DATABASE_URL": "postgresql://u@db/tarsy?pool_size=3",
                "POSTGRES_POOL_SIZE": "8",
            },
            (3, 10, 30, 3600),
        ),
    ],
)
def test_the_pool_is_sized_by_settings_and_url(
    environ: dict[str, str], wanted: tuple[int, int, float, int]
) -> None:
    assert pool(environ) == wanted


def test_wrong_settings_are_all_told() -> None:
    with pytest.raises(SettingsError) as caught:
        pool({"POSTGRES_POOL_SIZE": "many", "HISTORY_RETENTION_DAYS": "-1"})
    assert caught.value.message == (
        "settings: 2 problems\n"
        "  HISTORY_RETENTION_DAYS: wanted a whole number of 0 or more, found '-1'\n"
        "  POSTGRES_POOL_SIZE: wanted a whole number of 0 or more, found 'many'"
    )


def test_sessions_on_the_server_are_tarsys_and_in_utc(database: str) -> None:
    """With the document's options in the URL, which no driver would take."""
    url = f"{database}?pool_size=10&max_overflow=20&sslmode=prefer"
    opened = history.open_history({"HISTORY_DATABASE_URL": url})
    assert opened is not None
    with opened:
        assert opened.client.query_one(
            "SELECT current_setting('application_name') AS name,"
            " current_setting('TimeZone') AS zone, current_setting('statement_timeout') AS timeout"
        ) == {"name": "tarsy", "zone": "UTC", "timeout": "30s"}


def test_sslmode_in_the_url_is_obeyed(database18: str) -> None:
    opened = history.open_history({"HISTORY_DATABASE_URL": f"{database18}?sslmode=require"})
    assert opened is not None
    with opened, pytest.raises(sa.exc.OperationalError, match="server does not support SSL"):
        opened.client.connect()


# -- sessions, stages, interactions --------------------------------------------------------------


def test_every_column_gives_back_what_it_was_given(opened: History) -> None:
    values: dict[str, Any] = {
        "session_id": "s-1",
        "alert_id": "a-1",
        "alert_data": {"severity": "high", "labels": ["ä", 1, None, {"on": True}], "n": 1.5e300},
        "agent_type": "kubernetes",
        "alert_type": "NamespaceTerminating",
        "status": "paused",
        "started_at_us": US,
        "completed_at_us": 2**63 - 1,
        "error_message": "it said: 'no' \\ \"nö\" 😀",
        "final_analysis": "x" * 1_000_000,
        "session_metadata": {},
        "chain_id": "c",
        "chain_definition": {"stages": [{"name": "one"}]},
        "current_stage_index": 2**31 - 1,
        "current_stage_id": "s1",
        "author": "a" * 255,
        "runbook_url": "https://example.org/x",
        "mcp_selection": {"servers": []},
        "pod_id": "pod",
        "last_interaction_at": -1,
        "pause_metadata": {"reason": "asked"},
        "final_analysis_summary": "",
        "executive_summary_error": None,
        "slack_message_fingerprint": "f",
    }
    assert values.keys() == opened.sessions.attributes.keys()
    opened.sessions.create(values)
    found = opened.sessions.get("s-1")
    assert found is not None
    assert {name: getattr(found, name) for name in values} == values


def test_none_is_null_in_a_json_column(opened: History) -> None:
    session(opened)
    opened.sessions.update("s", {"alert_data": None})
    assert opened.client.query(
        "SELECT session_id FROM alert_sessions WHERE alert_data IS NULL AND pause_metadata IS NULL"
    ) == [{"session_id": "s"}]


def test_defaults_are_the_programs(opened: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: US * 1000 + 999)
    made = session(opened)
    assert (made.alert_data, made.chain_id, made.started_at_us) == ({}, "", US)
    part = stage(opened, "s", 0)
    assert (part.parallel_index, part.parallel_type) == (0, "single")
    assert part.started_at_us is None
    call = opened.llm_interactions.create({"session_id": "s", "model_name": "m"})
    assert (call.timestamp_us, call.duration_ms, call.success) == (US, 0, True)
    assert (call.interaction_type, call.conversation) == ("investigation", None)
    exchange = opened.mcp_interactions.create(
        {"step_description": "x", "server_name": "k8s", "communication_type": "tool_list"}
    )
    assert exchange.request_id.startswith("req_")
    assert len(exchange.request_id) == 12
    assert {len(part.execution_id), len(call.interaction_id), len(exchange.communication_id)} == {
        36
    }


def test_a_status_that_ends_a_session_sets_its_end(
    opened: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: US * 1000)
    session(opened)
    paused = opened.sessions.set_status("s", enums.SessionStatus.PAUSED)
    assert paused is not None
    assert (paused.status, paused.completed_at_us) == ("paused", None)
    failed = opened.sessions.set_status("s", enums.SessionStatus.FAILED, {"error_message": "why"})
    assert failed is not None
    assert (failed.status, failed.completed_at_us) == ("failed", US)
    assert failed.error_message == "why"
    assert opened.sessions.set_status("nobody", enums.SessionStatus.FAILED) is None


def test_sessions_are_found_by_what_they_are_newest_first(opened: History) -> None:
    for number, status in enumerate(("completed", "failed", "completed", "in_progress")):
        session(opened, f"s{number}", status=status, started_at_us=US + number)
    session(opened, "other", agent_type="vm", alert_type="down", started_at_us=US)

    def found(**wanted: Any) -> list[str]:
        return [each.session_id for each in opened.sessions.find(**wanted)]

    assert found() == ["s3", "s2", "s1", "s0", "other"]
    assert found(status=enums.SessionStatus.COMPLETED) == ["s2", "s0"]
    assert found(agent_type="vm") == found(alert_type="down") == ["other"]
    assert found(agent_type="kubernetes", since_us=US + 1, until_us=US + 3) == ["s2", "s1"]
    assert found(limit=2, offset=1) == ["s2", "s1"]


def test_what_has_no_time_stands_at_the_same_place(opened: History) -> None:
    for number in range(3):
        session(opened, f"s{number}", started_at_us=US + number)
    opened.sessions.update("s1", {"started_at_us": None})
    assert [each.session_id for each in opened.sessions.list()] == ["s1", "s2", "s0"]
    assert [each.session_id for each in opened.sessions.find()] == ["s1", "s2", "s0"]


def test_stages_and_interactions_of_a_session_in_their_order(opened: History) -> None:
    session(opened)
    second = stage(opened, "s", 1)
    first = stage(opened, "s", 0, parallel_type="replica", expected_parallel_count=2)
    beside = stage(
        opened,
        "s",
        0,
        parallel_index=1,
        parallel_type="replica",
        parent_stage_execution_id=first.execution_id,
    )
    found = [each.execution_id for each in opened.stages.of("s")]
    assert found == [first.execution_id, beside.execution_id, second.execution_id]
    for number in (2, 1):
        opened.llm_interactions.create(
            {"session_id": "s", "model_name": f"m{number}", "timestamp_us": number}
        )
        opened.mcp_interactions.create(
            {
                "session_id": "s",
                "step_description": f"d{number}",
                "server_name": "k8s",
                "communication_type": "tool_call",
                "timestamp_us": number,
            }
        )
    assert [each.model_name for each in opened.llm_interactions.of("s")] == ["m1", "m2"]
    assert [each.step_description for each in opened.mcp_interactions.of("s")] == ["d1", "d2"]
    assert opened.stages.of("nobody") == []


def test_tokens_add_up(opened: History) -> None:
    session(opened)
    made = opened.llm_interactions.create(
        {"model_name": "m", "total_tokens": 1, "input_tokens": 10, "output_tokens": 5}
    )
    assert made.total_tokens == 15
    changed = opened.llm_interactions.update(made.interaction_id, {"output_tokens": 6})
    assert changed is not None
    assert changed.total_tokens == 16
    stubborn = opened.llm_interactions.update(made.interaction_id, {"total_tokens": 99})
    assert stubborn is not None
    assert stubborn.total_tokens == 16
    alone = opened.llm_interactions.create({"model_name": "m", "total_tokens": 7})
    assert (alone.total_tokens, alone.input_tokens) == (7, None)


SYSTEM = {"role": "system", "content": "You are an expert."}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"input_tokens": -1}, "input_tokens: wanted 0 or more, found -1"),
        (
            {"conversation": {"messages": []}},
            "conversation: wanted at least one message, found none",
        ),
        ({"conversation": {}}, "conversation: wanted at least one message, found none"),
        (
            {"conversation": {"messages": [{"role": "user", "content": "hi"}, SYSTEM]}},
            "conversation: wanted a system message first, found 'user'",
        ),
        (
            {"interaction_type": "guess"},
            "interaction_type: wanted one of investigation, summarization, final_analysis, "
            "forced_conclusion, final_analysis_summary; found 'guess'",
        ),
    ],
)
def test_what_a_model_call_may_not_be(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        models.LLMInteraction(model_name="m", **values)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (models.AlertSession, {"status": "done"}),
        (models.StageExecution, {"status": "done"}),
        (models.StageExecution, {"parallel_type": "done"}),
        (models.StageExecution, {"iteration_strategy": "done"}),
        (models.MCPInteraction, {"communication_type": "done"}),
    ],
)
def test_words_that_no_column_may_hold(model: type[Any], values: dict[str, str]) -> None:
    ((name, word),) = values.items()
    with pytest.raises(ValueError, match=f"^{name}: wanted one of .*; found '{word}'$"):
        model(**values)


def test_a_conversation_is_found_by_what_it_holds(opened: History) -> None:
    conversation = {"messages": [SYSTEM, {"role": "user", "content": "pod down"}]}
    made = opened.llm_interactions.create({"model_name": "m", "conversation": conversation})
    opened.llm_interactions.create({"model_name": "other", "conversation": {"messages": [SYSTEM]}})
    if opened.client.target.is_postgres:
        held = 'conversation @> \'{"messages": [{"content": "pod down"}]}\''
    else:
        held = "json_extract(conversation, '$.messages[1].content') = 'pod down'"
    rows = opened.client.query(f"SELECT interaction_id FROM llm_interactions WHERE {held}")
    assert rows == [{"interaction_id": made.interaction_id}]


# PostgreSQL knows no NUL in text, and neither database lone surrogates.
_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    # jsonb knows no negative zero.
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(document=st.dictionaries(_TEXT, _JSON, max_size=5))
def test_any_json_comes_back_as_it_was(opened: History, document: dict[str, Any]) -> None:
    made = opened.sessions.update("s", {"alert_data": document})
    if made is None:
        made = session(opened, alert_data=document)
    assert made.alert_data == document
    # 1 and 1.0 are equal, and yet not the same to a program in another language.
    assert json.dumps(made.alert_data, sort_keys=True) == json.dumps(document, sort_keys=True)


def test_what_is_no_json_is_refused(opened: History) -> None:
    for number in (float("nan"), float("inf")):
        with pytest.raises((sa.exc.StatementError, ValueError), match="not JSON compliant"):
            session(opened, alert_data={"n": number})
    assert opened.sessions.count() == 0


# -- events and chats ----------------------------------------------------------------------------


def test_who_catches_up_gets_what_came_after(opened: History) -> None:
    first = opened.events.publish("sessions", {"type": "created", "n": 1})
    opened.events.publish("other", {"type": "created"})
    second = opened.events.publish("sessions", {"type": "ended"})
    assert [event.id for event in opened.events.after("sessions", 0)] == [first.id, second.id]
    (later,) = opened.events.after("sessions", first.id)
    assert later.payload == {"type": "ended"}
    assert opened.events.after("sessions", 0, limit=1)[0].id == first.id


def test_ids_of_events_never_come_again(opened: History) -> None:
    gone = opened.events.publish("sessions", {})
    opened.events.delete(gone.id)
    assert opened.events.publish("sessions", {}).id > gone.id


def test_events_bear_the_databases_time_in_utc(opened: History) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    made = opened.events.publish("sessions", {})
    assert made.created_at.tzinfo is UTC
    assert before < made.created_at < before + timedelta(minutes=5)


def test_events_are_in_utc_whatever_the_sessions_zone_is(database: str) -> None:
    apps.create(models.Base.metadata, database)
    look.query(database, "SET TimeZone = 'Asia/Tokyo'; INSERT INTO events (channel) VALUES ('x')")
    with History(Client(target.parse(database))) as opened:
        (event,) = opened.events.list()
        assert abs(event.created_at - datetime.now(UTC)) < timedelta(minutes=5)


def test_a_chat_and_its_questions(opened: History) -> None:
    session(opened, status="completed")
    chat = opened.chats.create(
        {"session_id": "s", "conversation_history": "so far", "chain_id": "chat"}
    )
    for content in ("why?", "and then?"):
        opened.chat_messages.create({"chat_id": chat.chat_id, "content": content, "author": "me"})
    assert [each.chat_id for each in opened.chats.of("s")] == [chat.chat_id]
    found = opened.chat_messages.of(chat.chat_id)
    assert {each.content for each in found} == {"why?", "and then?"}
    opened.chats.delete(chat.chat_id)
    assert opened.chat_messages.count() == 0


# -- errors --------------------------------------------------------------------------------------


def test_errors_keep_the_drivers_own(opened: History) -> None:
    session(opened, alert_id="a")
    with pytest.raises(sa.exc.IntegrityError) as caught:
        session(opened, "another", alert_id="a")
    assert caught.value.__cause__ is caught.value.orig
    assert "alert_id" in str(caught.value.orig)
    session(opened, "third", alert_id=None)
    session(opened, "fourth", alert_id=None)


def test_a_start_that_fails_is_logged_with_its_reason_and_false(
    proxy: Callable[[Server], Proxy],
    server18: Server,
    database18: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = proxy(server18)
    before.refuse()
    environ = {
        "HISTORY_DATABASE_URL": before.url(database18),
        "BOOTSTRAPD_WAIT_TIMEOUT_S": "0.2",
    }
    assert history.initialize_database(environ) is False
    last = caplog.records[-1]
    assert last.levelname == "ERROR"
    assert "connection refused" in last.getMessage()
    assert target.parse(database18).params["password"] not in caplog.text


def test_what_nobody_expects_is_logged_and_raised_as_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(SettingsError) as caught:
        history.initialize_database({"HISTORY_DATABASE_URL": "mysql://localhost/tarsy"})
    (logged,) = caplog.records
    assert logged.getMessage() == f"history: SettingsError: {caught.value}"


def test_a_start_brings_the_database_up(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tarsy")
    environ = {"HISTORY_DATABASE_URL": database_url}
    assert history.initialize_database(environ) is True
    assert look.revisions(database_url) == ["0011"]
    assert caplog.records[-1].getMessage() == f"history: {look.identity(database_url)} is ready"
    opened = history.open_history(environ)
    assert opened is not None
    with opened:
        assert session(opened).session_id == "s"


def test_history_that_is_switched_off_counts_as_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {
        "HISTORY_ENABLED": "false",
        "HISTORY_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere",
    }
    assert history.initialize_database(environ) is True
    assert history.open_history(environ) is None
    assert history.health_checker(environ) is None
    assert history.initialize_database({"HISTORY_ENABLED": "0"}) is True
    assert list(tmp_path.iterdir()) == []


# -- the health checker --------------------------------------------------------------------------

DOCUMENT = {
    "BOOTSTRAPD_BACKOFF_FIRST_S": "1",
    "BOOTSTRAPD_BACKOFF_FACTOR": "2",
    "BOOTSTRAPD_BACKOFF_CAP_S": "30",
    "BOOTSTRAPD_BACKOFF_JITTER": "0",
    "BOOTSTRAPD_WAIT_TRIES": "30",
}


def test_the_documents_schedule_is_a_setting_of_bootstrapd_too() -> None:
    loaded = settings.load({"BOOTSTRAPD_APP": "tarsy"}, DOCUMENT)
    assert backoff.Schedule.of(loaded.settings) == history.SCHEDULE


@pytest.fixture
def checked(
    proxy: Callable[[Server], Proxy], server18: Server, database18: str
) -> tuple[Proxy, target.Target]:
    """A database whose server refuses for now."""
    before = proxy(server18)
    before.refuse()
    return before, target.parse(before.url(database18))


def test_a_wait_of_thirty_tries(
    checked: tuple[Proxy, target.Target], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tarsy")
    sleeps: list[float] = []

    async def sleep(sleep_s: float) -> None:
        sleeps.append(sleep_s)

    checker = history.DatabaseHealthChecker(checked[1], history.Settings(), sleep=sleep)
    assert asyncio.run(checker.wait_for_database()) is False
    # Nobody waits after the last of the thirty.
    assert sleeps == [1, 2, 4, 8, 16, *[30] * 24]
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 30
    assert "Connection refused" in errors[0].getMessage()
    assert caplog.records[1].getMessage() == (
        f"history: {checked[1].identity} is not ready, waiting 1 s"
    )
    checker.close()


def test_a_wait_ends_when_the_database_answers(checked: tuple[Proxy, target.Target]) -> None:
    before, where = checked
    counted = itertools.count(1)

    async def sleep(_: float) -> None:
        if next(counted) == 3:
            before.forward()

    checker = history.DatabaseHealthChecker(where, history.Settings(), sleep=sleep)
    assert asyncio.run(checker.wait_for_database()) is True
    assert next(counted) == 4
    before.refuse()
    before.cut()
    assert asyncio.run(checker.check_connection()) is False
    checker.close()


def test_a_check_never_raises(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    where = target.parse(database_url)
    checker = history.DatabaseHealthChecker(where, history.Settings())
    assert asyncio.run(checker.check_connection()) is where.is_postgres
    if not where.is_postgres:
        assert caplog.records[-1].getMessage() == (
            f"history: {where.identity} does not answer: unable to open database file"
        )
    checker.close()


def test_options_are_the_documents() -> None:
    assert history.Settings().options() == engine.Options(
        application_name="tarsy",
        pool_size=5,
        max_overflow=10,
        pool_timeout_s=30,
        pool_recycle_s=3600,
    )

"""tarsy forgets what is older than its retention, in batches, and says what went."""

import datetime
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from bootstrap import demo, target
from bootstrap.apps.tarsy import enums, models, retention
from bootstrap.apps.tarsy.history import History
from bootstrap.client import Client
from tests.support import apps, cli
from tests.support.cli import Command

NOW = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)
NEXT_WEEK = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=7)
TARSY = (sys.executable, "-m", "bootstrap.apps.tarsy")


def us(days_ago: float) -> int:
    return int((NOW - datetime.timedelta(days=days_ago)).timestamp() * 1_000_000)


@pytest.fixture
def opened(database_url: str) -> Iterator[History]:
    """The history on each kind of database."""
    apps.create(models.Base.metadata, database_url)
    with History(Client(target.parse(database_url))) as opened:
        yield opened


def fill(opened: History, id_: str, days_ago: float, **values: Any) -> None:
    """A session that ended so long ago, with a chat, two stages and what was said in them."""
    opened.sessions.create(
        {
            "session_id": id_,
            "agent_type": "kubernetes",
            "status": "completed",
            "started_at_us": us(days_ago + 1),
            "completed_at_us": us(days_ago),
            **values,
        }
    )
    stage = {
        "session_id": id_,
        "stage_id": "x",
        "stage_name": "x",
        "agent": "a",
        "status": "failed",
    }
    first = opened.stages.create({**stage, "stage_index": 0})
    opened.stages.create(
        {**stage, "stage_index": 0, "parent_stage_execution_id": first.execution_id}
    )
    exchange = {
        "step_description": "d",
        "server_name": "k8s",
        "communication_type": "tool_list",
    }
    for session_id in (id_, None):
        part = {"session_id": session_id, "stage_execution_id": first.execution_id}
        opened.llm_interactions.create({**part, "model_name": "m"})
        opened.mcp_interactions.create({**part, **exchange})
    chat = opened.chats.create(
        {
            "session_id": id_,
            "conversation_history": "h",
            "chain_id": "c",
            "created_at_us": us(days_ago),
        }
    )
    opened.chat_messages.create({"chat_id": chat.chat_id, "content": "?", "author": "me"})


def prune(opened: History, **options: Any) -> retention.Pruned:
    return retention.prune(opened.client, **{"days": 90, "event_hours": 24, "now": NOW, **options})


def ids(opened: History) -> list[str]:
    return sorted(each.session_id for each in opened.sessions.list())


def test_what_is_older_goes_with_all_that_belongs_to_it(opened: History) -> None:
    fill(opened, "old", 91)
    fill(opened, "young", 89)
    pruned = prune(opened)
    assert ids(opened) == ["young"]
    assert pruned.rows == {
        "chat_user_messages": 1,
        "chats": 1,
        "llm_interactions": 2,
        "mcp_communications": 2,
        "stage_executions": 2,
        "alert_sessions": 1,
    }
    assert pruned.message == (
        "deleted 1 chat_user_messages, 1 chats, 2 llm_interactions, 2 mcp_communications, "
        "2 stage_executions, 1 alert_sessions in 1 batches"
    )
    left = [table.name for table in models.Base.metadata.sorted_tables]
    counted = {
        name: opened.client.query(f"SELECT count(*) AS n FROM {name}")[0]["n"] for name in left
    }
    assert counted == {
        "alert_sessions": 1,
        "stage_executions": 2,
        "llm_interactions": 2,
        "mcp_communications": 2,
        "chats": 1,
        "chat_user_messages": 1,
        "events": 0,
    }
    assert prune(opened).message == "deleted nothing in 0 batches"


def test_what_counts_as_old(opened: History) -> None:
    running: dict[str, Any] = {"completed_at_us": None, "status": "in_progress"}
    goes: dict[str, dict[str, Any]] = {
        "failed": {"status": "failed"},
        "no-end": {"completed_at_us": None, "status": "timed_out"},
        "just-old": {"completed_at_us": us(90) - 1},
    }
    stays: dict[str, dict[str, Any]] = {
        "running": running,
        "paused": {**running, "status": "paused"},
        "heard-of": {**running, "status": "cancelled", "last_interaction_at": us(89)},
        "not-quite": {"completed_at_us": us(90)},
    }
    for id_, values in {**goes, **stays}.items():
        fill(opened, id_, 200, **values)
    fill(opened, "timeless", 200)
    opened.sessions.update("timeless", {"started_at_us": None, "completed_at_us": None})
    prune(opened)
    assert ids(opened) == sorted([*stays, "timeless"])


def test_a_session_that_is_still_talked_about_stays(opened: History) -> None:
    fill(opened, "s", 200)
    (chat,) = opened.chats.of("s")
    opened.chats.update(chat.chat_id, {"last_interaction_at": us(1)})
    prune(opened)
    assert ids(opened) == ["s"]


def test_the_batches_are_as_large_as_told(opened: History) -> None:
    for number in range(5):
        fill(opened, f"s{number}", 100 + number)
    commits: list[None] = []
    event.listen(opened.client.engine, "commit", lambda _: commits.append(None))
    pruned = prune(opened, batch=2)
    assert pruned.batches == 3
    assert pruned.rows["alert_sessions"] == 5
    # Three that delete, and for sessions and events one each that finds nothing more.
    assert len(commits) == 5


def test_what_was_deleted_before_an_error_stays_deleted(opened: History) -> None:
    for number in range(4):
        fill(opened, f"s{number}", 100 - number)
    blocking = "CREATE TABLE notes (session_id VARCHAR REFERENCES alert_sessions (session_id))"
    opened.client.execute(blocking)
    opened.client.execute("INSERT INTO notes VALUES ('s3')")
    with pytest.raises(sa.exc.IntegrityError):
        prune(opened, batch=2)
    assert ids(opened) == ["s2", "s3"]
    opened.client.execute("DROP TABLE notes")
    assert prune(opened, batch=2).rows["alert_sessions"] == 2


def test_a_dry_run_only_counts(opened: History) -> None:
    fill(opened, "old", 91)
    opened.events.publish("c", {})
    pruned = prune(opened, dry_run=True, now=NEXT_WEEK, days=0)
    assert (pruned.rows, pruned.batches) == ({"alert_sessions": 1, "events": 1}, 0)
    assert pruned.message == "would delete 1 alert_sessions, 1 events"
    assert ids(opened) == ["old"]


def test_events_go_after_hours(opened: History) -> None:
    for hours in (1, 23, 25, 48):
        opened.events.create(
            {
                "channel": "c",
                "payload": {"hours": hours},
                "created_at": NOW - datetime.timedelta(hours=hours),
            }
        )
    assert prune(opened, batch=1).rows == {"events": 2}
    assert sorted(each.payload["hours"] for each in opened.events.list() if each.payload) == [1, 23]


def test_one_session_is_deleted_with_its_chats(opened: History) -> None:
    fill(opened, "s", 1)
    assert opened.sessions.delete("s") is True
    assert opened.sessions.delete("s") is False
    assert opened.chats.count() == opened.stages.count() == 0


def test_a_stage_that_ran_beside_one_of_an_old_session_stays_alone(opened: History) -> None:
    fill(opened, "old", 91)
    fill(opened, "young", 1)
    (first, *_) = opened.stages.of("old")
    young = opened.stages.of("young")
    opened.stages.update(young[0].execution_id, {"parent_stage_execution_id": first.execution_id})
    opened.stages.update(
        young[1].execution_id,
        {"parent_stage_execution_id": first.execution_id, "session_id": None},
    )
    assert prune(opened).rows["stage_executions"] == 2
    assert {each.parent_stage_execution_id for each in opened.stages.list()} == {None}
    assert opened.stages.count() == 2


def test_demo_rows_go_as_others_do(opened: History) -> None:
    tables = models.Base.metadata
    with opened.client.engine.begin() as connection:
        asked = demo.Request(500, 1, False, {}, {"alert_sessions": 40})
        demo.fill(connection, tables, asked, lambda *_: None)
    statuses = [each.status for each in opened.sessions.list()]
    ended = [status for status in statuses if status in enums.TERMINAL]
    assert 0 < len(ended) < len(statuses)
    # All of them are of the half year before 2026.
    pruned = prune(opened, days=0)
    assert (pruned.rows["alert_sessions"], pruned.rows["events"]) == (len(ended), 500)
    assert pruned.rows["stage_executions"] > 0
    assert not {each.status for each in opened.sessions.list()} & enums.TERMINAL


@pytest.mark.parametrize("days", [1e6, 1e12, 1e300])
def test_to_keep_more_than_there_ever_was_is_to_keep_all(opened: History, days: float) -> None:
    fill(opened, "old", 20_000)
    assert prune(opened, days=days).rows == {}


def test_a_file_that_has_lost_its_cascades_keeps_no_orphans(opened: History) -> None:
    if opened.client.target.is_postgres:
        for table in ("stage_executions", "llm_interactions", "mcp_communications"):
            opened.client.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            opened.client.execute(f"ALTER TABLE {table} DROP CONSTRAINT fk_{table}_session_id")
    else:
        for table in ("llm_interactions", "mcp_communications"):
            opened.client.execute(f"CREATE TABLE copy AS SELECT * FROM {table}")
            opened.client.execute(f"DROP TABLE {table}")
            opened.client.execute(f"ALTER TABLE copy RENAME TO {table}")
    fill(opened, "old", 91)
    prune(opened)
    for table in ("stage_executions", "llm_interactions", "mcp_communications"):
        assert opened.client.query(f"SELECT * FROM {table}") == []


# -- the command ---------------------------------------------------------------------------------


@pytest.fixture
def tarsy(command: Command) -> Callable[..., cli.Result]:
    """`tarsy("prune --json", HISTORY_DATABASE_URL=...)`: the result of tarsy's own command."""

    def run(args: str, **env: str) -> cli.Result:
        return command.run(args, env=env, python=TARSY)

    return run


def test_the_command_keeps_the_days_of_the_setting(
    opened: History, database_url: str, tarsy: Callable[..., cli.Result]
) -> None:
    fill(opened, "old", 100)
    fill(opened, "young", 0)
    env = {"HISTORY_DATABASE_URL": database_url}
    days = (datetime.datetime.now(datetime.UTC) - NOW).days + 50
    result = tarsy("prune --dry-run", **env, HISTORY_RETENTION_DAYS=str(days)).expect(0)
    assert result.stdout == "would delete 1 alert_sessions\n"
    result = tarsy(f"prune --json --days {days}", **env).expect(0)
    document = json.loads(result.stdout)
    assert document["rows"]["alert_sessions"] == 1
    assert (document["batches"], document["dry_run"]) == (1, False)
    assert ids(opened) == ["young"]


def test_the_command_succeeds_where_history_is_switched_off(
    tarsy: Callable[..., cli.Result],
) -> None:
    off = {"HISTORY_ENABLED": "false", "HISTORY_DATABASE_URL": "postgresql://u@127.0.0.1:1/x"}
    result = tarsy("prune", **off).expect(0)
    assert result.stdout == "history is switched off; nothing was deleted\n"
    tarsy("check --wait", **off).expect(0)


def test_the_command_says_what_is_wrong(tarsy: Callable[..., cli.Result], command: Command) -> None:
    result = tarsy("prune", HISTORY_RETENTION_DAYS="ninety").expect(2)
    assert result.stderr == (
        "settings: 1 problem\n"
        "  HISTORY_RETENTION_DAYS: wanted a whole number of 0 or more, found 'ninety' "
        "(runbook: settings)\n"
    )
    result = tarsy("prune").expect(1)
    assert result.stderr == (
        f"history at {command.cwd}/history.db was not pruned to the end: unable to open database "
        "file; see where it is with: bootstrapd status --app tarsy\n"
    )
    tarsy("check").expect(1)
    result = tarsy("prune --days -1").expect(2)
    assert "Invalid value for '--days': -1.0 is not in the range x>=0." in result.stderr


def test_the_command_checks(database_url: str, tarsy: Callable[..., cli.Result]) -> None:
    apps.create(models.Base.metadata, database_url)
    tarsy("check", HISTORY_DATABASE_URL=database_url).expect(0)

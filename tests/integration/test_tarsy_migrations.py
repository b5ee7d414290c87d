"""tarsy's revisions keep the rows and the cascades, also where SQLite makes a table anew."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from bootstrap import target
from bootstrap.client import Client
from tests.support import apps

ROWS = (
    "INSERT INTO alert_sessions (session_id, agent_type, status, chain_id)"
    " VALUES ('s', 'a', 'completed', 'c')",
    "INSERT INTO stage_executions (execution_id, session_id, stage_id, stage_index, stage_name,"
    " agent, status) VALUES ('x', 's', 'one', 0, 'One', 'a', 'completed')",
    "INSERT INTO llm_interactions (interaction_id, session_id, stage_execution_id, duration_ms,"
    " success, model_name) VALUES ('l', 's', 'x', 0, true, 'm')",
    "INSERT INTO mcp_communications (communication_id, step_description, request_id, session_id,"
    " stage_execution_id, duration_ms, success, server_name, communication_type)"
    " VALUES ('m', 'd', 'r', 's', 'x', 0, true, 'k8s', 'tool_list')",
)
TABLES = ("alert_sessions", "stage_executions", "llm_interactions", "mcp_communications")


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    """A database that was taken to 0009, filled, and taken forth, back and forth again."""
    apps.upgrade("tarsy", database_url, "0009")
    with Client(target.parse(database_url)) as client:
        for statement in ROWS:
            client.execute(statement)
        client.disconnect()
        apps.upgrade("tarsy", database_url)
        apps.downgrade("tarsy", database_url, "0005")
        apps.upgrade("tarsy", database_url)
        yield client


def counts(client: Client) -> list[int]:
    return [client.query(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in TABLES]


def test_no_row_is_lost_and_old_stages_ran_alone(client: Client) -> None:
    assert counts(client) == [1, 1, 1, 1]
    assert client.query("SELECT parallel_index, parallel_type FROM stage_executions") == [
        {"parallel_index": 0, "parallel_type": "single"}
    ]
    assert client.query("SELECT interaction_type FROM llm_interactions") == [
        {"interaction_type": "investigation"}
    ]


def test_what_belongs_to_a_session_still_goes_with_it(client: Client) -> None:
    assert client.execute("DELETE FROM alert_sessions") == 1
    assert counts(client) == [0, 0, 0, 0]


def test_what_belongs_to_a_stage_still_goes_with_it(client: Client) -> None:
    assert client.execute("DELETE FROM stage_executions") == 1
    assert counts(client) == [1, 0, 0, 0]


def test_a_parent_must_be_there(client: Client) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        client.execute("UPDATE stage_executions SET parent_stage_execution_id = 'nobody'")
    assert client.execute("UPDATE stage_executions SET parent_stage_execution_id = 'x'") == 1

"""What a stopped server left behind is put right when the next one starts."""

from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import orm

from bootstrap.apps.agentpane.models import Agent, Task
from bootstrap.client import Client


@dataclass(frozen=True)
class Recovered:
    """How many `agents` are idle again, `tasks` back in the backlog, `worktrees` let go of."""

    agents: int
    tasks: int
    worktrees: int


def recover(client: Client) -> Recovered:
    """Call off what was under way. To be called before any agent is started."""

    def work(session: orm.Session) -> Recovered:
        def changed(statement: sa.Update) -> int:
            return cast(sa.CursorResult[Any], session.execute(statement)).rowcount

        return Recovered(
            agents=changed(
                sa.update(Agent)
                .where(Agent.status.in_(["starting", "planning", "running"]))
                .values(status="idle", current_task_id=None, current_session_id=None)
            ),
            tasks=changed(
                sa.update(Task)
                .where(Task.column == "in_progress", Task.agent_id.is_not(None))
                .values(column="backlog", agent_id=None, session_id=None, last_agent_status=None)
            ),
            worktrees=changed(
                sa.update(Task)
                .where(Task.column == "backlog", Task.worktree_id.is_not(None))
                .values(worktree_id=None)
            ),
        )

    return client.transaction(work)

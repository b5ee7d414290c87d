"""The repositories of dash, one a table, with the verbs of its document."""

import builtins
import datetime
import decimal
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import sqlalchemy as sa
from sqlalchemy import orm

from bootstrap import budgets
from bootstrap import models as shared
from bootstrap.apps.dash import models, views
from bootstrap.repository import Repository, Row

ViewRow = dict[str, Any]


class _Rows(Repository[Row]):
    """What all five have."""

    def find_by_id(self, id_: str) -> Row | None:
        """The row with this id."""
        return self.get(id_)

    def exists(self, id_: str) -> bool:
        """Whether there is a row with this id."""
        return self._exists(self.key == id_)

    def list(self, *, limit: int = 100, offset: int = 0) -> builtins.list[Row]:
        """Rows, newest first."""
        return self._page(limit=limit, offset=offset)

    def _page(self, *wanted: sa.ColumnElement[bool], limit: int, offset: int) -> builtins.list[Row]:
        # SQLite counts milliseconds. Of two rows in one of them, the later has the higher rowid.
        on_postgres = self.client.target.is_postgres
        last: sa.ColumnElement[Any] = self.key if on_postgres else sa.literal_column("rowid")
        newest = (self.table.c[self.newest].desc(), last.desc())
        page = sa.select(self.model).where(*wanted).order_by(*newest).limit(limit).offset(offset)
        return self.client.read(lambda session: builtins.list(session.scalars(page)))

    def _exists(self, *wanted: sa.ColumnElement[bool]) -> bool:
        return self.client.query_one(sa.select(self.key).where(*wanted)) is not None


class SwarmRepository(_Rows[models.Swarm]):
    """Swarms. One that goes takes its budgets and events with it; its agents stay without it."""

    model = models.Swarm

    def create(self, values: Mapping[str, Any]) -> models.Swarm:
        """Insert a swarm, which is being created unless `values` has another status."""
        return super().create({"status": "creating", **values})

    def find_by_name(self, name: str) -> models.Swarm | None:
        """The newest swarm of this name."""
        return next(iter(self._page(self.table.c.name == name, limit=1, offset=0)), None)

    def update_status(self, id_: str, status: models.SwarmStatus) -> models.Swarm | None:
        """Change the status; with a last one goes the time of it."""
        ended = status in ("completed", "failed", "destroyed")
        return self.update(id_, {"status": status, **_completed(ended)})

    def get_summary(self, id_: str) -> ViewRow | None:
        """A swarm with the number of its agents and its budget, as the view `swarm_summary`."""
        view = views.SWARM_SUMMARY
        return self.client.query_one(sa.select(view).where(view.c.id == id_))

    def list_summaries(self, *, limit: int = 100, offset: int = 0) -> builtins.list[ViewRow]:
        """Summaries of swarms, newest first."""
        view = views.SWARM_SUMMARY
        newest = (view.c.created_at.desc(), view.c.id.desc())
        return self.client.query(sa.select(view).order_by(*newest).limit(limit).offset(offset))


class AgentRepository(_Rows[models.Agent]):
    """Agents."""

    model = models.Agent
    newest = "spawned_at"

    def update_status(self, id_: str, status: models.AgentStatus) -> models.Agent | None:
        """Change the status; an agent that completed or failed gets the time of it."""
        return self.update(id_, {"status": status, **_completed(status in ("completed", "failed"))})

    def pause(self, id_: str, paused_by: str) -> models.Agent | None:
        """Pause an agent, noting who did and when."""
        paused = {"status": "paused", "lifecycle_state": "paused"}
        return self.update(id_, {**paused, "pause_time": shared.now(), "paused_by": paused_by})

    def resume(self, id_: str) -> models.Agent | None:
        """Have an agent run again."""
        running = {"status": "running", "lifecycle_state": "running"}
        return self.update(id_, {**running, "pause_time": None, "paused_by": None})

    def update_lifecycle_state(self, id_: str, state: models.LifecycleState) -> models.Agent | None:
        """Note where the agent is in its life."""
        return self.update(id_, {"lifecycle_state": state})

    def list_activity(
        self, *, swarm_id: str | None = None, limit: int = 100, offset: int = 0
    ) -> builtins.list[ViewRow]:
        """What agents do and for how long, as the view `agent_activity`; newest first."""
        view = views.AGENT_ACTIVITY
        newest = (view.c.spawned_at.desc(), view.c.id.desc())
        page = sa.select(view).order_by(*newest).limit(limit).offset(offset)
        if swarm_id is not None:
            page = page.where(view.c.swarm_id == swarm_id)
        return self.client.query(page)


@dataclass(frozen=True)
class EventStats:
    """Events of the last hours: how many in all, by type, and by each of the five severities."""

    total: int
    by_type: Mapping[str, int]
    by_severity: Mapping[str, int]


class EventRepository(_Rows[models.Event]):
    """Events."""

    model = models.Event
    newest = "timestamp"

    def find_by_filter(
        self,
        *,
        swarm_id: str | None = None,
        agent_id: str | None = None,
        types: Sequence[str] | None = None,
        entity_type: models.EntityType | None = None,
        severity: models.Severity | None = None,
        since: datetime.datetime | None = None,
        until: datetime.datetime | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> builtins.list[models.Event]:
        """Events that meet all of these, from `since` to `until` inclusive; newest first."""
        columns = self.table.c
        equal = {
            "swarm_id": swarm_id,
            "agent_id": agent_id,
            "entity_type": entity_type,
            "severity": severity,
        }
        wanted = [columns[name] == value for name, value in equal.items() if value is not None]
        if types is not None:
            wanted.append(columns.type.in_(types))
        if since is not None:
            wanted.append(columns.timestamp >= since)
        if until is not None:
            wanted.append(columns.timestamp <= until)
        return self._page(*wanted, limit=limit, offset=offset)

    def get_stats(self, hours: float = 24) -> EventStats:
        """Statistics of the last `hours`, by the clock of the database."""
        columns = self.table.c
        groups = (
            sa.select(columns.type, columns.severity, sa.func.count().label("count"))
            .where(columns.timestamp > self._ago(hours))
            .group_by(columns.type, columns.severity)
        )
        by_type: dict[str, int] = {}
        by_severity: dict[str | None, int] = dict.fromkeys(get_args(models.Severity), 0)
        for row in self.client.query(groups):
            by_type[row["type"]] = by_type.get(row["type"], 0) + row["count"]
            by_severity[row["severity"]] = by_severity.get(row["severity"], 0) + row["count"]
        by_severity.pop(None, None)
        return EventStats(
            total=sum(by_type.values()),
            by_type=by_type,
            by_severity={str(severity): count for severity, count in by_severity.items()},
        )

    def list_stats_24h(self) -> builtins.list[ViewRow]:
        """A row for each type of the last day, as the view `event_stats_24h`; most first."""
        view = views.EVENT_STATS_24H
        return self.client.query(sa.select(view).order_by(view.c.event_count.desc(), view.c.type))

    def delete_old(self, older_than: datetime.datetime) -> int:
        """How many events went, which were those before `older_than`."""
        return self.client.execute(sa.delete(self.table).where(self.table.c.timestamp < older_than))

    def _ago(self, hours: float) -> sa.ColumnElement[Any]:
        if not 0 <= hours < math.inf:
            raise ValueError(f"wanted 0 hours or more, found {hours}")
        if self.client.target.is_postgres:
            return sa.func.now() - sa.literal(datetime.timedelta(hours=hours))
        seconds = f"-{hours * 3600:.3f} seconds"
        return sa.func.strftime("%Y-%m-%dT%H:%M:%f000Z", "now", seconds)


class SessionRepository(_Rows[models.Session]):
    """Sessions. Those that have expired are found by their id alone, unless they are asked for."""

    model = models.Session

    def list(
        self, *, limit: int = 100, offset: int = 0, include_expired: bool = False
    ) -> builtins.list[models.Session]:
        """Sessions, newest first."""
        return self._page(*self._alive(include_expired), limit=limit, offset=offset)

    def count(self, *, include_expired: bool = False) -> int:
        """How many sessions there are."""
        alive = self._alive(include_expired)
        counted = sa.select(sa.func.count()).select_from(self.table).where(*alive)
        return self.client.read(lambda session: session.scalar(counted)) or 0

    def exists(self, id_: str, *, include_expired: bool = False) -> bool:
        """Whether there is a session with this id."""
        return self._exists(self.key == id_, *self._alive(include_expired))

    def update_tree_data(
        self, id_: str, tree_data: Mapping[str, Any], branch: str | None = None
    ) -> models.Session | None:
        """Replace the tree; without `branch` the session stays on the one that it is on."""
        on_branch = {} if branch is None else {"current_branch": branch}
        return self.update(id_, {"tree_data": dict(tree_data), **on_branch})

    def merge_metadata(self, id_: str, metadata: Mapping[str, Any]) -> models.Session | None:
        """Set these keys of the metadata, whatever they held, and leave the others."""

        def work(session: orm.Session) -> models.Session | None:
            row = session.get(self.model, id_, with_for_update=True)
            if row is not None:
                row.metadata_ = {**row.metadata_, **metadata}
                session.flush()
                session.refresh(row)
            return row

        return self.client.transaction(work)

    def cleanup_expired(self) -> int:
        """How many sessions went, which were those that have expired."""
        (alive,) = self._alive(include_expired=False)
        return self.client.execute(sa.delete(self.table).where(sa.not_(alive)))

    def _alive(self, include_expired: bool) -> builtins.list[sa.ColumnElement[bool]]:
        expires_at = self.table.c.expires_at
        return [] if include_expired else [expires_at.is_(None) | (expires_at > shared.now())]


@dataclass(frozen=True)
class BudgetUsage:
    """What was spent of a budget, and what is left.

    `remaining_tokens` is None where the budget sets no limit to tokens. A percentage of nothing is
    0. `is_exceeded` tells that a limit has been reached.
    """

    tokens: int
    cost: decimal.Decimal
    percentage_tokens: float
    percentage_cost: float
    is_exceeded: bool
    remaining_tokens: int | None
    remaining_cost: decimal.Decimal


class BudgetRepository(_Rows[models.Budget]):
    """Budgets."""

    model = models.Budget

    def find_by_scope(self, scope_type: models.ScopeType, scope_id: str) -> models.Budget | None:
        """The one budget of this scope."""
        columns = self.table.c
        wanted = (columns.scope_type == scope_type, columns.scope_id == scope_id)
        return next(iter(self._page(*wanted, limit=1, offset=0)), None)

    def consume_budget(self, id_: str, tokens: int, cost: decimal.Decimal | float) -> bool:
        """Whether the budget had both to give, and then they are taken; else it stays as it is.

        A limit may be reached but not passed. The part of a cost that is too small for the column
        counts as one of its last digits. Raises ValueError for less than nothing.
        """
        take = budgets.consumption(self.table, id_, tokens, cost)
        return take is not None and self.client.execute(take) > 0

    def get_usage(self, id_: str) -> BudgetUsage | None:
        """What was spent of this budget."""
        budget = self.get(id_)
        if budget is None:
            return None
        tokens, limit = budget.used_tokens or 0, budget.max_tokens
        return BudgetUsage(
            tokens=tokens,
            cost=budget.consumed,
            percentage_tokens=100 * tokens / limit if limit else 0.0,
            percentage_cost=(
                float(100 * budget.consumed / budget.allocated) if budget.allocated else 0.0
            ),
            is_exceeded=(limit is not None and tokens >= limit)
            or 0 < budget.allocated <= budget.consumed,
            remaining_tokens=None if limit is None else limit - tokens,
            remaining_cost=budget.allocated - budget.consumed,
        )


def _completed(ended: bool) -> dict[str, Any]:
    return {"completed_at": shared.now()} if ended else {}

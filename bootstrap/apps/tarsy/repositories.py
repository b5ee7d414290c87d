"""The repositories of tarsy, one a table."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import sqlalchemy as sa
from sqlalchemy import orm

from bootstrap.apps.tarsy import enums, models
from bootstrap.repository import Repository, Row


class Sessions(Repository[models.AlertSession]):
    """Sessions, the newest first."""

    model = models.AlertSession
    newest = "started_at_us"

    def find(
        self,
        *,
        status: enums.SessionStatus | None = None,
        agent_type: str | None = None,
        alert_type: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[models.AlertSession]:
        """Sessions that meet all of these, started from `since_us` on and before `until_us`."""
        wanted = {"status": status, "agent_type": agent_type, "alert_type": alert_type}
        started = self.table.c.started_at_us
        page = sa.select(self.model).order_by(started.desc().nulls_first(), self.key.desc())
        for name, value in wanted.items():
            if value is not None:
                page = page.where(self.table.c[name] == value)
        if since_us is not None:
            page = page.where(started >= since_us)
        if until_us is not None:
            page = page.where(started < until_us)
        page = page.limit(limit).offset(offset)
        return self.client.read(lambda session: list(session.scalars(page)))

    def set_status(
        self, session_id: str, status: enums.SessionStatus, values: Mapping[str, Any] | None = None
    ) -> models.AlertSession | None:
        """Change the status, and `values` with it; a terminal one sets `completed_at_us`."""
        changes: dict[str, Any] = {"status": status, **(values or {})}
        if status.is_terminal:
            changes.setdefault("completed_at_us", models.epoch_us())
        return self.update(session_id, changes)

    def delete(self, id_: str | int) -> bool:
        """Whether a session went, with all that belongs to it."""
        gone = self.client.transaction(lambda session: delete_sessions(session, [str(id_)]))
        return gone[self.table.name] > 0


class _Parts(Repository[Row]):
    """Rows that belong to one of another table, whose key is in the column `owner`."""

    owner: ClassVar[str] = "session_id"
    order: ClassVar[tuple[str, ...]]

    def of(self, owner_id: str) -> list[Row]:
        """What belongs to this owner, in its order."""
        columns = self.table.c
        wanted = (
            sa.select(self.model)
            .where(columns[self.owner] == owner_id)
            .order_by(*(columns[name].nulls_last() for name in self.order), self.key)
        )
        return self.client.read(lambda session: list(session.scalars(wanted)))


class Stages(_Parts[models.StageExecution]):
    """Stages, those beside each other by their index."""

    model = models.StageExecution
    newest = "started_at_us"
    order = ("stage_index", "parallel_index")


class LLMInteractions(_Parts[models.LLMInteraction]):
    """Calls of language models."""

    model = models.LLMInteraction
    newest = "timestamp_us"
    order = ("timestamp_us",)


class MCPInteractions(_Parts[models.MCPInteraction]):
    """Exchanges with tool servers."""

    model = models.MCPInteraction
    newest = "timestamp_us"
    order = ("timestamp_us",)


class Events(Repository[models.Event]):
    """Events."""

    model = models.Event

    def publish(self, channel: str, payload: Mapping[str, Any]) -> models.Event:
        """Keep an event for those who catch up."""
        return self.create({"channel": channel, "payload": dict(payload)})

    def after(self, channel: str, id_: int, *, limit: int = 100) -> list[models.Event]:
        """What was published on a channel after the event `id_`, the oldest first."""
        columns = self.table.c
        wanted = (
            sa.select(self.model)
            .where(columns.channel == channel, columns.id > id_)
            .order_by(columns.id)
            .limit(limit)
        )
        return self.client.read(lambda session: list(session.scalars(wanted)))


class Chats(_Parts[models.Chat]):
    """Chats on sessions."""

    model = models.Chat
    newest = "created_at_us"
    order = ("created_at_us",)


class ChatMessages(_Parts[models.ChatUserMessage]):
    """Questions of users in chats."""

    model = models.ChatUserMessage
    newest = "created_at_us"
    owner = "chat_id"
    order = ("created_at_us",)


def delete_sessions(session: orm.Session, ids: list[str]) -> dict[str, int]:
    """Delete sessions with all that belongs to them; returns the rows that went, a table.

    It leaves nothing to the rules of the keys: chats have none, and SQLite files that another
    program once took back and forth have lost theirs.
    """
    stages = sa.select(models.StageExecution.execution_id).where(
        models.StageExecution.session_id.in_(ids)
    )
    chats = sa.select(models.Chat.chat_id).where(models.Chat.session_id.in_(ids))
    where: dict[type[models.Base], sa.ColumnElement[bool]] = {
        models.ChatUserMessage: models.ChatUserMessage.chat_id.in_(chats),
        models.Chat: models.Chat.session_id.in_(ids),
        models.LLMInteraction: models.LLMInteraction.session_id.in_(ids)
        | models.LLMInteraction.stage_execution_id.in_(stages),
        models.MCPInteraction: models.MCPInteraction.session_id.in_(ids)
        | models.MCPInteraction.stage_execution_id.in_(stages),
        models.StageExecution: models.StageExecution.session_id.in_(ids),
        models.AlertSession: models.AlertSession.session_id.in_(ids),
    }
    # A stage of another session may have one of these as its parent.
    stage = models.StageExecution
    session.execute(
        sa.update(stage)
        .where(stage.parent_stage_execution_id.in_(stages))
        .where(sa.or_(stage.session_id.is_(None), stage.session_id.not_in(ids)))
        .values(parent_stage_execution_id=None),
        execution_options={"synchronize_session": False},
    )
    return {model.__tablename__: _delete(session, model, each) for model, each in where.items()}


def delete_events(session: orm.Session, ids: list[int]) -> dict[str, int]:
    """Delete events; returns the rows that went, a table."""
    return {models.Event.__tablename__: _delete(session, models.Event, models.Event.id.in_(ids))}


def _delete(session: orm.Session, model: type[models.Base], where: sa.ColumnElement[bool]) -> int:
    statement = sa.delete(model).where(where)
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return cast(sa.CursorResult[Any], result).rowcount

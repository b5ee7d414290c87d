"""The event stream of a session: events are appended, and read on from where a reader stopped."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from bootstrap import models as shared
from bootstrap.apps.agentpane import models
from bootstrap.apps.agentpane.repositories import Rows

Event = models.SessionEvent


class SessionEvents(Rows[models.SessionEvent]):
    """Events, whose offsets are 0, 1, 2 and so on within a session."""

    model = models.SessionEvent

    def append(
        self,
        session_id: str,
        kind: str,
        data: Any,
        *,
        channel: str,
        user_id: str | None = None,
        timestamp_ms: int | None = None,
    ) -> models.SessionEvent:
        """Add an event at the end of a session's stream.

        `data` is any JSON value but null. An unknown session is SQLAlchemy's IntegrityError.
        """

        named = self._named(
            {
                "session_id": session_id,
                "type": kind,
                "channel": channel,
                "data": data,
                "timestamp": shared.epoch_ms() if timestamp_ms is None else timestamp_ms,
                "user_id": user_id,
            }
        )

        def work(session: orm.Session) -> models.SessionEvent:
            owner = sa.select(models.Session.id).where(models.Session.id == session_id)
            # Those who append to the same session wait for each other.
            session.execute(owner.with_for_update(key_share=True))
            last = sa.select(sa.func.max(Event.offset)).where(Event.session_id == session_id)
            latest = session.scalar(last)
            event = Event(**named, offset=0 if latest is None else latest + 1)
            session.add(event)
            session.flush()
            session.refresh(event)
            return event

        return self.client.transaction(work)

    def read(
        self, session_id: str, *, after: int = -1, limit: int = 1000
    ) -> list[models.SessionEvent]:
        """The events of a session whose offset is above `after`, in order."""
        page = (
            sa.select(Event)
            .where(Event.session_id == session_id, Event.offset > after)
            .order_by(Event.offset)
            .limit(limit)
        )
        return self.client.read(lambda session: list(session.scalars(page)))

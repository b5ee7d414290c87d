"""What is older than the retention goes: sessions with all that belongs to them, and events."""

import datetime
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from bootstrap.apps.tarsy import enums, repositories
from bootstrap.apps.tarsy.models import AlertSession, Chat, Event
from bootstrap.client import Client

BATCH = 200


@dataclass(frozen=True)
class Pruned:
    """What went, or with `dry_run` would go: `rows` a table, in `batches` transactions.

    A dry run counts sessions and events, not the rows that go with a session.
    """

    sessions_before: datetime.datetime
    events_before: datetime.datetime
    rows: Mapping[str, int]
    batches: int
    dry_run: bool

    @property
    def message(self) -> str:
        """The report in one sentence."""
        counted = [f"{count} {table}" for table, count in self.rows.items() if count]
        what = ", ".join(counted) or "nothing"
        if self.dry_run:
            return f"would delete {what}"
        return f"deleted {what} in {self.batches} batches"


def prune(
    client: Client,
    *,
    days: float,
    event_hours: float,
    now: datetime.datetime | None = None,
    batch: int = BATCH,
    dry_run: bool = False,
) -> Pruned:
    """Delete what is older, at most `batch` sessions or events a transaction.

    A session is as old as the last that was heard of it or of its chats. One that has not ended
    stays, however old it is. What was deleted when an error comes stays deleted.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    sessions_before = _before(now, days=days)
    events_before = _before(now, hours=event_hours)
    old_sessions = _old_sessions(_epoch_us(sessions_before))
    old_events = sa.select(Event.id).where(Event.created_at < events_before).order_by(Event.id)
    if dry_run:
        found = {
            AlertSession.__tablename__: _count(client, old_sessions),
            Event.__tablename__: _count(client, old_events),
        }
        return Pruned(sessions_before, events_before, found, 0, dry_run=True)

    def delete_some_sessions(session: orm.Session) -> Mapping[str, int]:
        ids = list(session.scalars(old_sessions.limit(batch)))
        return repositories.delete_sessions(session, ids) if ids else {}

    def delete_some_events(session: orm.Session) -> Mapping[str, int]:
        ids = list(session.scalars(old_events.limit(batch)))
        return repositories.delete_events(session, ids) if ids else {}

    rows: Counter[str] = Counter()
    batches = 0
    for work in (delete_some_sessions, delete_some_events):
        while gone := client.transaction(work):
            rows.update(gone)
            batches += 1
    return Pruned(sessions_before, events_before, dict(rows), batches, dry_run=False)


def _before(now: datetime.datetime, **span: float) -> datetime.datetime:
    """The moment so long ago; what is longer ago than the calendar goes is its beginning."""
    try:
        return now - datetime.timedelta(**span)
    except OverflowError:
        return datetime.datetime.min.replace(tzinfo=datetime.UTC)


def _count(client: Client, old: sa.Select[Any]) -> int:
    count = sa.select(sa.func.count()).select_from(old.order_by(None).subquery())
    return client.read(lambda session: session.scalar(count)) or 0


def _old_sessions(before_us: int) -> sa.Select[str]:
    """The ids of the sessions to go, the oldest first."""
    heard_us = sa.func.coalesce(
        AlertSession.completed_at_us, AlertSession.last_interaction_at, AlertSession.started_at_us
    )
    chat_heard_us = sa.func.coalesce(Chat.last_interaction_at, Chat.created_at_us)
    still_talking = (
        sa.select(Chat.chat_id)
        .where(Chat.session_id == AlertSession.session_id, chat_heard_us >= before_us)
        .exists()
    )
    return (
        sa.select(AlertSession.session_id)
        .where(AlertSession.status.in_(sorted(enums.TERMINAL)), heard_us < before_us)
        .where(~still_talking)
        .order_by(heard_us, AlertSession.session_id)
    )


def _epoch_us(moment: datetime.datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond

"""business_os's four tables. The database makes ids and times, and keeps `updated_at` by triggers.

Columns are nullable where the document's are.
"""

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ForeignKey, Index, Integer, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from bootstrap import models

# The names that PostgreSQL gives by itself, as in the document, so that SQLite has them too.
NAMES = {
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "uq": "%(table_name)s_%(column_0_name)s_key",
}


class Base(DeclarativeBase):
    """What every table has."""

    metadata = MetaData(naming_convention=NAMES)

    id: Mapped[str] = mapped_column(
        models.UUID, primary_key=True, server_default=models.random_uuid(), sort_order=-1
    )
    created_at: Mapped[datetime.datetime | None] = mapped_column(
        models.Time, server_default=models.now(), sort_order=1
    )


class Updated(Base):
    """What every table has whose rows change."""

    __abstract__ = True

    updated_at: Mapped[datetime.datetime | None] = mapped_column(
        models.Time, server_default=models.now(), sort_order=2
    )


class User(Updated):
    """Somebody who logs in."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(String(255), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    name: Mapped[str | None] = mapped_column(String(255))


class Business(Updated):
    """A user's business, and what is known of it."""

    __tablename__ = "businesses"
    __table_args__ = (Index("idx_businesses_user_id", "user_id"),)

    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    industry: Mapped[str | None] = mapped_column(String(100))
    stage: Mapped[str | None] = mapped_column(String(50), server_default="idea")
    context: Mapped[dict[str, Any] | None] = mapped_column(models.JSON, server_default="{}")


class Conversation(Updated):
    """A conversation about a business. Nothing counts its messages but who writes them."""

    __tablename__ = "conversations"
    __table_args__ = (Index("idx_conversations_business_id", "business_id"),)

    business_id: Mapped[str | None] = mapped_column(ForeignKey("businesses.id", ondelete="CASCADE"))
    title: Mapped[str | None] = mapped_column(String(255))
    message_count: Mapped[int | None] = mapped_column(Integer, server_default="0")


class Message(Base):
    """One message of a conversation."""

    __tablename__ = "messages"
    __table_args__ = (
        Index("idx_messages_conversation_id", "conversation_id"),
        Index("idx_messages_created_at", "created_at"),
    )

    conversation_id: Mapped[str | None] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE")
    )
    role: Mapped[str] = mapped_column(String(20))
    content: Mapped[str] = mapped_column(Text)
    # The attribute's own name is taken in every declarative class.
    metadata_: Mapped[dict[str, Any] | None] = mapped_column(
        "metadata", models.JSON, server_default="{}"
    )


_FUNCTION = """
CREATE OR REPLACE FUNCTION update_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = now();
    RETURN NEW;
END
$$
"""
_POSTGRES = """
CREATE TRIGGER {table}_updated_at BEFORE UPDATE ON {table}
FOR EACH ROW EXECUTE FUNCTION update_updated_at()
"""
# SQLite's triggers cannot change the row that is to be written, and do not fire for their own work.
_SQLITE = """
CREATE TRIGGER {table}_updated_at AFTER UPDATE ON {table} FOR EACH ROW
BEGIN
    UPDATE {table} SET updated_at = {now} WHERE id = NEW.id;
END
"""


@sa.event.listens_for(Base.metadata, "after_create")
def _keep_updated_at(_: MetaData, connection: sa.Connection, **__: Any) -> None:
    """Make the triggers where the tables are made without revisions."""
    template = _SQLITE
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_FUNCTION.strip())
        template = _POSTGRES
    for table in ("users", "businesses", "conversations"):
        trigger = template.format(table=table, now=models.SQLITE_NOW)
        connection.exec_driver_sql(trigger.strip())

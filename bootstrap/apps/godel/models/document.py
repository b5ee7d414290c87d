"""The four tables of godel's document, with its columns alone.

Ids are made by the program, times are milliseconds since 1970. What was added to these tables later
is in `fleet`: whoever uses only these models neither reads nor writes it.
"""

from typing import Any

from sqlalchemy import BigInteger, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from bootstrap import models
from bootstrap.apps.godel.models.base import Base


def _same_as_created(context: Any) -> int:
    created_at: int = context.get_current_parameters()["created_at"]
    return created_at


class Resource(Base):
    """What every table of the document has."""

    __abstract__ = True

    id: Mapped[str] = mapped_column(Text, primary_key=True, default=models.new_id, sort_order=-1)


class Agent(Resource):
    """An agent with its task."""

    __tablename__ = "agents"

    task: Mapped[str | None] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[int | None] = mapped_column(BigInteger, default=models.epoch_ms)
    updated_at: Mapped[int | None] = mapped_column(
        BigInteger, default=_same_as_created, onupdate=models.epoch_ms
    )
    # The attribute's own name is taken in every declarative class.
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata", models.JSONText(dict))


class Team(Resource):
    """A team with its configuration."""

    __tablename__ = "teams"

    name: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str | None] = mapped_column(Text)
    config: Mapped[dict[str, Any] | None] = mapped_column(models.JSONText(dict))
    created_at: Mapped[int | None] = mapped_column(BigInteger, default=models.epoch_ms)
    updated_at: Mapped[int | None] = mapped_column(
        BigInteger, default=_same_as_created, onupdate=models.epoch_ms
    )


class Workflow(Resource):
    """A workflow with its steps in order."""

    __tablename__ = "workflows"

    name: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str | None] = mapped_column(Text)
    steps: Mapped[list[Any] | None] = mapped_column(models.JSONText(list))
    created_at: Mapped[int | None] = mapped_column(BigInteger, default=models.epoch_ms)
    updated_at: Mapped[int | None] = mapped_column(
        BigInteger, default=_same_as_created, onupdate=models.epoch_ms
    )


class Event(Resource):
    """Something that happened, with its data."""

    __tablename__ = "events"

    type: Mapped[str | None] = mapped_column(Text)
    data: Mapped[dict[str, Any] | None] = mapped_column(models.JSONText(dict))
    created_at: Mapped[int | None] = mapped_column(BigInteger, default=models.epoch_ms)


# Lists come newest first, the id telling rows of one millisecond apart.
for _model in (Agent, Team, Workflow, Event):
    Index(None, _model.created_at, _model.id)

"""Applying revisions and taking them back, one transaction each."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import LISTED, environment, observe, sqlite
from .step import Step, StoppedError

if TYPE_CHECKING:
    from .project import Project


def upgrade(project: Project, revision: str, total: int) -> dict[str, Any]:
    """Apply revisions up to `revision`."""
    script = project.script
    return _migrate(project, lambda rev: script._upgrade_revs(revision, rev), revision, total)


def downgrade(project: Project, revision: str, total: int) -> dict[str, Any]:
    """Take back revisions down to `revision`."""
    script = project.script
    return _migrate(project, lambda rev: script._downgrade_revs(revision, rev), revision, total)


def stamp(project: Project, revision: str, total: int) -> dict[str, Any]:
    """Write `revision` into the version table without running anything."""
    script = project.script
    return _migrate(project, lambda rev: script._stamp_revs(revision, rev), revision, total)


def _migrate(
    project: Project, steps: Callable[[Any], Any], destination: str, total: int
) -> dict[str, Any]:
    def each(rev: Any, context: Any) -> Iterator[Any]:
        project.began = True
        if total > LISTED:
            logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
        for step in steps(rev):
            if project.stopping.is_set():
                raise StoppedError
            revision = getattr(step, "revision", None)
            project.step = Step(project.channel, revision.revision if revision else destination)
            began_s = time.monotonic()
            project.channel.send(
                event="revision_started", revision=project.step.revision, total=total
            )
            by_itself = project.postgres and _commits_by_itself(context)
            if project.observed:
                observe.tell(project, context.connection, outside=by_itself)
            if by_itself:
                project.step.leave_transaction()
            # The transaction of this step ends before the generator is asked for the next one.
            yield step
            _commit_in_external_transaction(context, on_sqlite=not project.postgres)
            project.channel.hold(
                event="revision_done",
                revision=project.step.revision,
                total=total,
                seconds=round(time.monotonic() - began_s, 4),
            )
            project.step = Step(project.channel, None)
        project.channel.flush()

    project.step = Step(project.channel, None)
    project.run_env(each, destination_rev=destination)
    return {}


def _commit_in_external_transaction(context: Any, *, on_sqlite: bool) -> None:
    """Where env.py has begun a transaction around all revisions, end it after each of them."""
    if not environment.is_external(context):
        return
    # By the driver: SQLAlchemy would take the whole `with engine.begin()` for closed.
    connection = context.connection.connection
    connection.commit()
    if on_sqlite:
        sqlite.begin(connection)


def _commits_by_itself(context: Any) -> bool:
    """Whether env.py made the connection in autocommit mode."""
    return getattr(context.connection.connection.dbapi_connection, "autocommit", False) is True

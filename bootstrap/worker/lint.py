"""Each revision by itself, as lint looks at it: its source, and the statements that it would run.

Nothing is judged here: what the parent gets is what this interpreter alone can tell.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.operations import BatchOperations, Operations, ops

from . import failure, render, source
from .step import Step
from .transcript import Transcript

if TYPE_CHECKING:
    from .project import Project


class Seen:
    """What was seen of one revision, for the parent."""

    def __init__(self, project: Project, revision: Any) -> None:
        self._project = project
        self._module = revision.module
        self.statements: list[dict[str, Any]] = []
        self.changes: list[dict[str, Any]] = []
        self.failure: str | None = None
        self._ended = False
        self.facts = {"id": revision.revision, **source.facts(revision)}

    def statement(self, sql: str) -> None:
        """A statement leaves the revision."""
        if self._ended:
            return
        outside = self._project.step.outside
        self.statements.append({"sql": sql, "line": self.line(), "outside": outside})

    def end(self, began: int) -> None:
        """The revision's own work is done; Alembic's remark before it and its stamp after it are
        nobody's."""
        self.statements = self.statements[began:]
        self._ended = True

    def line(self) -> int | None:
        """The line of the revision file that is being run."""
        frame: Any = sys._getframe(1)
        while frame is not None:
            if frame.f_globals is vars(self._module):
                return int(frame.f_lineno)
            frame = frame.f_back
        return None

    def change(self, operations: Any, operation: Any) -> None:
        """An operation of Alembic's, of those whose SQL does not tell everything."""
        dialect = operations.get_context().dialect
        facts = {
            "table": getattr(operation, "table_name", None),
            "schema": getattr(operation, "schema", None),
            "column": getattr(operation, "column_name", None),
            "batch": isinstance(operations, BatchOperations),
            "line": self.line(),
        }
        if isinstance(operation, ops.DropColumnOp):
            self.changes.append({**facts, "kind": "drop-column"})
        elif isinstance(operation, ops.AlterColumnOp):
            if operation.modify_name is not None:
                self.changes.append({**facts, "kind": "rename-column"})
            if operation.modify_nullable is False:
                self.changes.append({**facts, "kind": "set-not-null"})
            if operation.modify_type is not None:
                types = {
                    "old": _named(operation.existing_type, dialect),
                    "new": _named(operation.modify_type, dialect),
                }
                self.changes.append({**facts, **types, "kind": "change-type"})

    def document(self) -> dict[str, Any]:
        """All of it, for the parent."""
        return {
            **self.facts,
            "statements": self.statements,
            "changes": self.changes,
            "failure": self.failure,
        }


def inspect(project: Project, current: list[str], revision: str, fresh: bool) -> dict[str, Any]:
    """The revisions from `current` up to `revision`, and why env.py itself failed, if it did.

    With `fresh` no database is looked at: on SQLite the answer then begins at base.
    """
    seen: list[Seen] = []
    _watch_operations(seen)
    start: Any = tuple(current)

    def steps(rev: Any, context: Any) -> Iterator[Any]:
        if project.postgres:
            context._version.create = lambda *_, **__: None
            context.impl.static_output = _handing_on(seen)
        for step in project.script._upgrade_revs(revision, start if project.postgres else rev):
            project.step = Step(project.channel, None)
            project.channel.send(event="inspecting", revision=step.revision.revision)
            seen.append(Seen(project, step.revision))
            step.migration_fn = _guarded(seen[-1], step.migration_fn)
            yield step

    told = None
    try:
        if project.postgres:
            project.run_env(
                steps, as_sql=True, starting_rev=start or None, output_buffer=_Nowhere()
            )
        else:
            _Listener(seen)
            render.on_copy(project, steps, live=not fresh)
    except (Exception, SystemExit) as error:
        told = failure.told(error, None)["message"]
    return {"revisions": [each.document() for each in seen], "failure": told}


def _handing_on(seen: list[Seen]) -> Callable[[str], None]:
    def hand_on(sql: str) -> None:
        if seen:
            seen[-1].statement(sql)

    return hand_on


class _Listener(Transcript):
    """Hands what is run on SQLite on to the revision that runs it."""

    def __init__(self, seen: list[Seen]) -> None:
        super().__init__(render.quoting())
        self._seen = seen

    def add(self, line: str) -> None:
        if self._seen:
            self._seen[-1].statement(line)


class _Nowhere:
    """An output that keeps nothing: each statement was handed on before."""

    def write(self, _: str) -> None: ...

    def flush(self) -> None: ...


def _guarded(seen: Seen, migrate: Callable[..., Any]) -> Callable[..., None]:
    """A revision's function; its failure is noted, and the next one gets its turn."""

    def guarded(**options: Any) -> None:
        began = len(seen.statements)
        try:
            migrate(**options)
        except (Exception, SystemExit) as error:
            seen.failure = failure.told(error, None)["message"]
        seen.end(began)

    return guarded


def _watch_operations(seen: list[Seen]) -> None:
    base: Any = next(each for each in Operations.__mro__ if "invoke" in vars(each))
    plain = base.invoke

    def invoke(operations: Any, operation: Any) -> Any:
        if seen:
            seen[-1].change(operations, operation)
        return plain(operations, operation)

    base.invoke = invoke


def _named(type_: Any, dialect: Any) -> str | None:
    """A type as the dialect writes it; None where it was not said."""
    if type_ is None:
        return None
    try:
        return str(sa.types.to_instance(type_).compile(dialect=dialect))
    except Exception:  # a type of the project's own may only be known to its database
        return None

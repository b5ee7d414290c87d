"""The differences between models and database, by Alembic's own comparison."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata

from .project import attribute, metadata_sets

if TYPE_CHECKING:
    from .project import Project


def compare(project: Project, metadata: str | None) -> dict[str, Any]:
    """What was found in how many tables; `metadata` is by default what env.py names."""
    found: dict[str, Any] = {}

    def differences(_: Any, context: Any) -> Any:
        declared = attribute(metadata) if metadata else context.opts.get("target_metadata")
        sets = metadata_sets(declared)
        tables = sum(len(each.tables) for each in sets if each is not None)
        found["tables"] = tables
        found["declared"] = declared is not None
        own = {project.request["version_table"][1]}
        found["live"] = len(set(sa.inspect(context.connection).get_table_names()) - own)
        entries = compare_metadata(context, declared) if tables else []
        found["findings"] = [finding for entry in entries for finding in _findings(entry, context)]
        return []

    project.run_env(differences, dont_mutate=True)
    return found


def _findings(entry: Any, context: Any) -> Iterator[dict[str, Any]]:
    """Alembic's difference as object, wanted and found; `missing` marks what breaks an app."""
    if isinstance(entry, list):
        for part in entry:
            yield from _findings(part, context)
        return
    kind = entry[0]
    if kind in ("add_table", "remove_table"):
        name = entry[1].fullname
        wanted, found = ("a table", "nothing") if kind == "add_table" else ("nothing", "a table")
        yield _finding(kind, f"table {name}", wanted, found, missing=kind == "add_table")
    elif kind in ("add_column", "remove_column"):
        column = entry[3]
        name = f"column {_dotted(entry[1], entry[2])}.{column.name}"
        shown = str(column.type.compile(context.dialect))
        wanted, found = (shown, "nothing") if kind == "add_column" else ("nothing", shown)
        yield _finding(kind, name, wanted, found, missing=kind == "add_column")
    elif kind.startswith("modify_"):
        name = f"column {_dotted(entry[1], entry[2])}.{entry[3]}"
        yield _finding(kind, name, _shown(entry[6], context), _shown(entry[5], context))
    else:
        thing = entry[1]
        table = getattr(thing, "table", None)
        what = kind.partition("_")[2].replace("_", " ")
        name = f"{what} {thing.name or '(unnamed)'}" + (
            f" on {table.fullname}" if table is not None else ""
        )
        columns = ", ".join(column.name for column in getattr(thing, "columns", ()))
        shown = (
            f"{'unique ' if getattr(thing, 'unique', False) else ''}({columns})"
            if columns
            else what
        )
        wanted, found = (shown, "nothing") if kind.startswith("add") else ("nothing", shown)
        yield _finding(kind, name, wanted, found)


def _finding(
    kind: str, name: str, wanted: str, found: str, *, missing: bool = False
) -> dict[str, Any]:
    return {"kind": kind, "object": name, "wanted": wanted, "found": found, "missing": missing}


def _dotted(schema: str | None, table: str) -> str:
    return f"{schema}.{table}" if schema else table


def _shown(value: Any, context: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "nullable" if value else "not null"
    if hasattr(value, "compile"):
        return str(value.compile(dialect=context.dialect))
    return str(getattr(value, "arg", value))

"""What env.py has to say of the project: its models and the names that they go by."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import alembic
import sqlalchemy as sa

from .project import attribute, metadata_sets

if TYPE_CHECKING:
    from .project import Project


def survey(project: Project) -> dict[str, Any]:
    """The versions installed here, how many tables the models of env.py hold, and their names.

    `named` lists `package.module:attribute`, the likeliest first.
    """
    found: dict[str, Any] = {"alembic": alembic.__version__, "sqlalchemy": sa.__version__}

    def look(_: Any, context: Any) -> Any:
        declared = context.opts.get("target_metadata")
        sets = [each for each in metadata_sets(declared) if each is not None]
        found["tables"] = sum(len(each.tables) for each in sets)
        found["named"] = sorted(set(_names(project, sets[0])), key=_rank) if len(sets) == 1 else []
        return []

    project.run_env(look, dont_mutate=True)
    return found


def count(_: Project, metadata: str) -> dict[str, Any]:
    """How many tables these models hold when nothing else is imported."""
    sets = metadata_sets(attribute(metadata))
    return {"tables": sum(len(each.tables) for each in sets)}


def _names(project: Project, metadata: Any) -> Iterator[str]:
    roots = [os.path.join(os.path.realpath(root), "") for root in project.request["roots"]]
    for module, loaded in list(sys.modules.items()):
        file = os.path.realpath(getattr(loaded, "__file__", None) or "/")
        if module.startswith("_") or module == "env_py" or "site-packages" in file:
            continue
        if not any(file.startswith(root) for root in roots):
            continue
        for name, value in list(vars(loaded).items()):
            if value is metadata:
                yield f"{module}:{name}"
            elif isinstance(value, type) and vars(value).get("metadata") is metadata:
                yield f"{module}:{name}.metadata"


def _rank(name: str) -> tuple[bool, bool, int, str]:
    """Models are mostly in a module of that name, under a class that is called Base."""
    module, _, path = name.partition(":")
    return "models" not in module, not path.startswith("Base"), module.count("."), name

"""An error, as the parent is told of it."""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .project import Project

_STATEMENT_SHOWN = 500


def told(error: BaseException, project: Project | None) -> dict[str, Any]:
    """Its kind, its message on one line, and what of the step under way cannot be taken back."""
    step = project.step if project else None
    origin = getattr(error, "orig", None)
    kind = type(error).__name__
    # PostgreSQL points at the place in the statement; on one line that points nowhere.
    text = re.sub(r"\nLINE \d+: .*\n *\^", "", str(origin or error))
    message = " ".join(text.split()).rstrip(".")
    if not message:
        message = kind
    elif isinstance(error, KeyError):
        # Its text is the key alone: a revision, say, that another one names as its parent.
        message = f"there is no {message}"
    elif type(error).__module__ == "builtins":
        message = f"{kind}: {message}"
    statement = " ".join(str(getattr(error, "statement", "") or "").split())
    return {
        "kind": kind,
        "message": message,
        "sqlstate": getattr(origin, "sqlstate", None) or getattr(origin, "pgcode", None),
        "statement": statement[:_STATEMENT_SHOWN],
        "disconnected": bool(getattr(error, "connection_invalidated", False)),
        "revision": step.revision if step else None,
        "autocommit": step.autocommit if step else False,
        "early": project.early if project else None,
        "traceback": "".join(traceback.format_exception(type(error), error, error.__traceback__)),
    }

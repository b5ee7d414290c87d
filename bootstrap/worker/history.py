"""The project's revision files: what there are, and new ones."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .project import Project


def describe(project: Project) -> dict[str, Any]:
    """All revisions, base first, and a digest of their files."""
    digest = hashlib.sha256()
    entries = []
    for revision in sorted(project.script.walk_revisions(), key=lambda each: each.path):
        with open(revision.path, "rb") as file:
            digest.update(file.read())
        entries.append(
            {
                "id": revision.revision,
                "title": (revision.doc or "").strip().partition("\n")[0].rstrip("."),
                "path": os.path.abspath(revision.path),
                "down": _tuple(revision.down_revision),
                "needs": _tuple(revision._resolved_dependencies),
                # Alembic hands a label on to all of its branch.
                "labels": sorted(revision._orig_branch_labels),
                "compatible_with": getattr(revision.module, "compatible_with", None),
                "required_stop": getattr(revision.module, "required_stop", None),
            }
        )
    return {"revisions": entries, "digest": digest.hexdigest()}


def new(project: Project, message: str, autogenerate: bool) -> dict[str, Any]:
    """Write a new revision file from the project's template."""
    from alembic import command

    made = command.revision(project.config, message=message, autogenerate=autogenerate)
    scripts = made if isinstance(made, list) else [made]
    return {"paths": [script.path for script in scripts if script is not None]}


def _tuple(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else sorted(value)

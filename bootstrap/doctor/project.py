"""A compose project: what its files declare, and how what they name is called outside of them."""

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.doctor.interpolate import Missing
from bootstrap.doctor.nodes import Node, UnreadableError


@dataclass
class Project:
    """What a set of files declares.

    `texts` are the files that were read, by their shown names; `folders` is what relative paths in
    them start from. `missing` are variables without a value, `absent` files that are not there.
    """

    name: str
    folder: Path
    services: dict[str, Node] = field(default_factory=dict)
    top: dict[str, Node] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    documents: dict[str, Node] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    absent: list[tuple[Node, str]] = field(default_factory=list)
    environments: dict[str, dict[str, Node]] = field(default_factory=dict)

    def path(self, node: Node, text: str) -> Path:
        """A path that an entry names: relative to the folder that counts for its file."""
        path = Path(text)
        with contextlib.suppress(RuntimeError):
            # A home that nobody has stays as it is written.
            path = path.expanduser()
        return self.folders.get(node.file, self.folder) / path

    def volume(self, name: str) -> str:
        """What the engine calls one of the project's volumes."""
        declared = self.top.get("volumes")
        node = declared.get(name) if declared is not None else None
        given = node.said("name") or node.said("external", "name") if node is not None else None
        if given:
            return given
        external = node is not None and node.said("external") == "true"
        return name if external else f"{self.name}_{name}"


def shown(path: Path) -> str:
    """A path as messages name it: relative where it is below the current folder."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith(os.pardir) and path.is_absolute() else relative


def read(path: Path) -> str:
    """The text of a file. Raises UnreadableError."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError(shown(path), None, "is no UTF-8 text") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableError(shown(path), None, f"cannot be read: {reason}") from error

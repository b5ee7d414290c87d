"""The SQL files that a revision loads from beside it, as far as its source names them.

A name in quotes that ends with .sql counts, and `Path(__file__).with_suffix(".sql")` or a name with
a placeholder counts for the files that are named as the revision file is. They are looked for in
the script directory: the folder around that of the revision.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

_NAMED = re.compile(r"(['\"])([^'\"\n]*\.sql)\1")
_DEPTH = 3


class Finder:
    """Finds such files; each folder is listed once."""

    def __init__(self) -> None:
        self._listed: dict[Path, list[Path]] = {}

    def find(self, path: str, source: str) -> tuple[str, ...]:
        """The SQL files of the revision in the file `path`, sorted."""
        revision = Path(path)
        around = revision.parent.parent
        if around not in self._listed:
            self._listed[around] = list(_below(around))
        found: set[Path] = set()
        for _, name in _NAMED.findall(source):
            beside = Path(os.path.normpath(revision.parent / name))
            parts = tuple(part for part in Path(name).parts if part not in ("..", "/"))
            if beside.is_file():
                found.add(beside)
            elif name == ".sql" or "{" in name or "%" in name:
                own = f"{revision.stem}."
                found |= {each for each in self._listed[around] if each.name.startswith(own)}
            else:
                found |= {
                    each for each in self._listed[around] if each.parts[-len(parts) :] == parts
                }
        return tuple(sorted(map(str, found)))


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        place = Path(parent)
        if len(place.parts) - len(folder.parts) >= _DEPTH:
            folders.clear()
        folders[:] = [name for name in folders if name[0] not in "._"]
        yield from (place / name for name in names if name.endswith(".sql"))

"""The snapshot file: a catalog as text that can be read, reviewed and compared line by line.

An object begins a line with its kind and name, what belongs to a table is indented below it, and
its properties are indented once more. A property of several lines has each of them behind a bar.
The same catalog and heads give the same bytes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast, get_args

from bootstrap.catalog.model import (
    OBJECT_KINDS,
    Catalog,
    Dialect,
    Object,
    ObjectKind,
    catalog,
)

FORMAT = 1
_TITLE = "# What an empty database becomes by the revisions up to these heads. Made by bootstrapd."
_HEAD = ("format", "dialect", "server", "heads")
_HOLDERS = ("table", "view")
# These first, the definition and the comment last, all others between them by name.
_PROPERTIES = ("kind", "type", "collation", "not null", "default", "generated", "identity")
_LAST = ("definition", "comment")
_RANKS: Mapping[str, int] = {kind: rank for rank, kind in enumerate(OBJECT_KINDS)}


class SnapshotError(ValueError):
    """This is no snapshot, a damaged one, or one of another format."""


@dataclass(frozen=True)
class Snapshot:
    """What a snapshot file says: the catalog, and the heads that it was made at."""

    heads: tuple[str, ...]
    catalog: Catalog


def dump(of: Catalog, heads: Sequence[str]) -> str:
    """The text of a snapshot file."""
    head: dict[str, str] = {
        "format": str(FORMAT),
        "dialect": of.dialect,
        "server": of.server,
        "heads": ", ".join(sorted(heads)),
    }
    lines = [_TITLE, *(f"{key}: {value}".rstrip() for key, value in head.items())]
    parts: dict[str, list[Object]] = {}
    for each in of.objects:
        parts.setdefault(each.table, []).append(each)
    for each in sorted(parts.pop("", ()), key=_order):
        lines.append("")
        lines += _lines(each, "")
        if each.kind in _HOLDERS:
            for part in sorted(parts.pop(each.name, ()), key=_order):
                lines += _lines(part, "  ")
    for table, left in sorted(parts.items()):
        raise ValueError(f"{left[0].kind} {left[0].name} belongs to {table}, which is not there")
    return "\n".join(lines) + "\n"


def load(text: str) -> Snapshot:
    """Read the text of a snapshot file.

    Raises SnapshotError, which names the line, where the text is none or is damaged.
    """
    # Git may have ended the lines as Windows does; a carriage return of a value is escaped.
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    head = _head(lines)
    objects = list(_objects(lines, len(head) + 1))
    known: set[tuple[str, str, str]] = set()
    for each in objects:
        if each.key in known:
            raise SnapshotError(f"{each.kind} {each.full_name} is there twice")
        known.add(each.key)
    heads = tuple(part for part in head["heads"].split(", ") if part)
    dialect = cast(Dialect, head["dialect"])
    return Snapshot(heads, catalog(dialect, objects, server=head["server"]))


def _order(each: Object) -> tuple[int, int, str]:
    # Tables stand in the order of their names, their columns in the order that they have.
    return _RANKS[each.kind], each.position, each.name


def _lines(each: Object, indent: str) -> Iterator[str]:
    yield f"{indent}{each.kind} {_escaped(each.name)}"
    for key, value in sorted(each.properties.items(), key=_place):
        if not value or "\n" in value or value != value.strip():
            yield f"{indent}    {key}:"
            for line in value.split("\n"):
                yield f"{indent}    | {_escaped(line)}"
        else:
            yield f"{indent}    {key}: {_escaped(value)}"


def _place(item: tuple[str, str]) -> tuple[int, str]:
    key = item[0]
    if key in _PROPERTIES:
        return _PROPERTIES.index(key), key
    return len(_PROPERTIES) + 1 + (_LAST.index(key) if key in _LAST else -1), key


def _head(lines: Sequence[str]) -> dict[str, str]:
    if not lines or not lines[0].startswith("#") or lines[1:2] != [f"format: {FORMAT}"]:
        found = next((line for line in lines if line and not line.startswith("#")), "")
        if found.startswith("format: "):
            raise SnapshotError(
                f"wanted a snapshot of format {FORMAT}, found {found!r}; make it anew"
            )
        raise SnapshotError(f"wanted a snapshot, found a text that begins with {found[:60]!r}")
    head: dict[str, str] = {}
    for number, key in enumerate(_HEAD, 2):
        found, _, value = (lines[number - 1] if len(lines) >= number else "").partition(":")
        if found != key:
            raise SnapshotError(f"line {number}: wanted {key!r}, found {found!r}")
        head[key] = value.strip()
    if head["dialect"] not in get_args(Dialect):
        raise SnapshotError(f"line 3: wanted one of {get_args(Dialect)}, found {head['dialect']!r}")
    return head


def _objects(lines: Sequence[str], start: int) -> Iterator[Object]:
    holder = ""
    properties: dict[str, str] = {}
    block: list[str] | None = None
    indent, open_key = 0, ""
    for number, line in enumerate(lines[start:], start + 1):
        text = line.lstrip(" ")
        if not text:
            continue
        depth = len(line) - len(text)
        if text.startswith("|") and block is not None and depth == indent + 4:
            block.append(_plain(text[2:], number))
            properties[open_key] = "\n".join(block)
            continue
        block = None
        if depth in (0, 2):
            kind, _, name = text.partition(" ")
            if kind not in _RANKS or not name or (depth and not holder):
                raise SnapshotError(f"line {number}: wanted an object, found {text[:60]!r}")
            name, properties, indent = _plain(name, number), {}, depth
            table = holder if depth else ""
            if not depth:
                holder = name if kind in _HOLDERS else ""
            yield Object(cast(ObjectKind, kind), table, name, properties, number)
            continue
        open_key, colon, value = text.partition(":")
        if depth != indent + 4 or not colon or line == text or open_key in properties:
            raise SnapshotError(f"line {number}: wanted a property, found {text[:60]!r}")
        properties[open_key] = _plain(value.removeprefix(" "), number)
        block = [] if not value else None


# What would be lost between lines, at their ends or to an editor.
_ESCAPES = {"\\": "\\\\", "\r": "\\r", "\n": "\\n"}
_ENDS = {" ": "\\s", "\t": "\\t"}
_UNESCAPES = {"\\": "\\", "r": "\r", "n": "\n", "s": " ", "t": "\t"}
_ESCAPED = re.compile(r"\\(.?)")


def _escaped(text: str) -> str:
    if "\\" in text or "\r" in text or "\n" in text:
        text = "".join(_ESCAPES.get(letter, letter) for letter in text)
    return text[:-1] + _ENDS[text[-1]] if text[-1:] in _ENDS else text


def _plain(text: str, number: int) -> str:
    if "\\" not in text:
        return text
    try:
        return _ESCAPED.sub(lambda match: _UNESCAPES[match[1]], text)
    except KeyError as error:
        raise SnapshotError(f"line {number}: found an unknown escape: {text[:60]!r}") from error

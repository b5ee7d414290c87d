"""YAML with the place of each value, so that a finding can name its line and the lines to change.

Scalars stay as they are written: what compose makes of `5432:5432` or `no` is not what YAML 1.1
does.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Union

from bootstrap.errors import SettingsError

Value = Union["dict[str, Node]", "list[Node]", str, None]
_NULLS = ("", "~", "null", "Null", "NULL")
_MERGE = "tag:yaml.org,2002:merge"


class UnreadableError(Exception):
    """A file that is no YAML, or that compose would not read either; `line` may be unknown."""

    def __init__(self, file: str, line: int | None, reason: str) -> None:
        super().__init__(f"{file}:{line}: {reason}" if line else f"{file}: {reason}")


@dataclass(frozen=True, eq=False)
class Node:
    """One value and where it stands.

    `line`, counted from 1, and `column`, from 0, are those of its key, or of the dash before an
    entry of a list (`dash`); `last` is the last line that belongs to it. `whole` tells that it has
    these lines for itself. `tag` is compose's own, !reset or !override.
    """

    file: str
    line: int
    last: int
    column: int
    whole: bool
    value: Value
    tag: str = ""
    dash: bool = False

    @property
    def text(self) -> str | None:
        """The scalar; None for a list, a mapping and for null."""
        return self.value if isinstance(self.value, str) else None

    @property
    def entries(self) -> Mapping[str, "Node"]:
        """The entries of a mapping, none for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> Sequence["Node"]:
        """The entries of a list, none for anything else."""
        return self.value if isinstance(self.value, list) else ()

    def get(self, *path: str) -> "Node | None":
        """What stands under these keys."""
        found: Node | None = self
        for key in path:
            found = found.entries.get(key) if found is not None else None
        return found

    def said(self, *path: str) -> str | None:
        """The scalar under these keys."""
        found = self.get(*path)
        return found.text if found is not None else None

    def walk(self) -> Iterator["Node"]:
        """This node and all below it, those of an alias once."""
        seen: set[int] = set()
        left = [self]
        while left:
            node = left.pop()
            if id(node.value) in seen and not isinstance(node.value, str):
                continue
            seen.add(id(node.value))
            yield node
            left += reversed([*node.entries.values(), *node.items])


def documents(
    text: str, file: str, change: Callable[[str, int], str] = lambda text, _: text
) -> list[Node]:
    """The documents of a YAML text that hold something; `change(text, line)` is put in for scalars.

    Raises UnreadableError.
    """
    import yaml

    try:
        found = list(yaml.compose_all(text, yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context or "it is no YAML"
        raise UnreadableError(file, mark.line + 1 if mark else None, reason) from error
    except (yaml.YAMLError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UnreadableError(file, None, " ".join(reason.split())) from error
    maker = _Maker(text, file, change)
    try:
        return [maker.make(each) for each in found if each is not None]
    except RecursionError as error:
        raise UnreadableError(file, None, "it is nested too deeply") from error


class _Maker:
    """Turns PyYAML's nodes, which aliases share, into ours."""

    def __init__(self, text: str, file: str, change: Callable[[str, int], str]) -> None:
        self._lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", text)
        self._file = file
        self._change = change
        self._made: dict[int, Node] = {}
        self._open: set[int] = set()

    def make(self, node: Any) -> Node:
        """The node at its own place, which its key may move."""
        if id(node) in self._made:
            return self._made[id(node)]
        line = node.start_mark.line + 1
        if id(node) in self._open:
            raise UnreadableError(self._file, line, "an alias stands within what it stands for")
        self._open.add(id(node))
        tag = node.tag if node.tag in ("!reset", "!override") else ""
        value: Value
        if node.id == "mapping":
            value = self._mapping(node)
        elif node.id == "sequence":
            value = [self._item(node, each) for each in node.value]
        elif not node.style and node.value in _NULLS:
            value = None
        else:
            value = self._change(node.value, line)
        made = Node(self._file, line, _last(node), node.start_mark.column, False, value, tag)
        self._open.discard(id(node))
        self._made[id(node)] = made
        return made

    def _item(self, parent: Any, node: Any) -> Node:
        made = self.make(node)
        mark = node.start_mark
        is_alias = mark.index < parent.start_mark.index
        dash = -1 if is_alias else self._lines[mark.line].rfind("-", 0, mark.column)
        if parent.flow_style or dash < 0:
            return replace(made, whole=False)
        return replace(made, column=dash, whole=True, dash=True)

    def _mapping(self, node: Any) -> dict[str, Node]:
        found: dict[str, Node] = {}
        merged: list[Any] = []
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == _MERGE:
                merged += value.value if value.id == "sequence" else [value]
                continue
            if key.id != "scalar":
                raise UnreadableError(self._file, line, "a key is no plain text")
            if key.value in found:
                raise UnreadableError(self._file, line, f"the key {key.value!r} is there twice")
            made = self.make(value)
            is_alias = value.start_mark.index < key.start_mark.index
            found[key.value] = replace(
                made,
                line=line,
                last=line if is_alias else max(line, made.last),
                column=key.start_mark.column,
                whole=not node.flow_style,
                dash=False,
            )
        for each in merged:
            if each.id != "mapping":
                raise UnreadableError(self._file, each.start_mark.line + 1, "<< wants a mapping")
            for name, made in self.make(each).entries.items():
                found.setdefault(name, made)
        return found


def _last(node: Any) -> int:
    """The last line of a node, without the empty lines and comments behind it."""
    if node.id == "scalar" or not node.value:
        end = node.end_mark
        return int(
            end.line if end.column == 0 and end.line > node.start_mark.line else end.line + 1
        )
    if node.flow_style:
        return int(node.end_mark.line + 1)
    below = node.value if node.id == "sequence" else [each for pair in node.value for each in pair]
    # What an alias stands for is elsewhere.
    own = [each for each in below if each.start_mark.index >= node.start_mark.index]
    return max((_last(each) for each in own), default=int(node.start_mark.line + 1))


def settings_error(problems: Sequence[str]) -> SettingsError:
    """All that could not be read, as one error."""
    count = f"{len(problems)} problem{'s' * (len(problems) != 1)}"
    return SettingsError(f"doctor: {count}\n" + "\n".join(f"  {each}" for each in problems))

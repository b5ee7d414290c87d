"""What doctor found, and the lines of the file that would mend it."""

from collections.abc import Iterable
from dataclasses import dataclass

from bootstrap.doctor import rules
from bootstrap.doctor.nodes import Node


@dataclass(frozen=True)
class Edit:
    """Lines `first` to `last` of `file` become `lines`, or these come before `first` where `last`
    is above it. Where `first` is 0 the place cannot be told, as in `{flow: style}`.
    """

    file: str
    first: int
    last: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """One fault. `place` is a file, a container, a volume or the host; `subject` a service.

    `commands` are to be pasted into a shell.
    """

    rule: str
    severity: rules.Severity
    place: str
    line: int | None
    subject: str
    found: str
    why: str
    instead: str
    edits: tuple[Edit, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Allowed:
    """A finding with the reason for which somebody has consented to it."""

    finding: Finding
    reason: str


def at(
    rule: str,
    node: Node,
    subject: str,
    found: str,
    *edits: Edit | None,
    why: str = "",
    instead: str = "",
    severity: rules.Severity | None = None,
) -> Finding:
    """A finding at a place of a file, in the rule's own words where no others are given."""
    known = rules.BY_NAME[rule]
    return Finding(
        rule,
        severity or known.severity,
        node.file,
        node.line,
        subject,
        found,
        why or known.why,
        instead or known.instead,
        tuple(each for each in edits if each is not None),
    )


def outside(
    rule: str,
    place: str,
    subject: str,
    found: str,
    *,
    why: str = "",
    instead: str = "",
    commands: tuple[str, ...] = (),
) -> Finding:
    """A finding that stands in no file."""
    known = rules.BY_NAME[rule]
    return Finding(
        rule,
        known.severity,
        place,
        None,
        subject,
        found,
        why or known.why,
        instead or known.instead,
        (),
        commands,
    )


def put(node: Node, *lines: str) -> Edit:
    """These lines in place of an entry."""
    if not node.whole:
        return Edit(node.file, 0, 0, lines)
    return Edit(node.file, node.line, node.last, _indented(lines, node.column))


def remove(node: Node) -> Edit | None:
    """The entry away."""
    return Edit(node.file, node.line, node.last, ()) if node.whole else None


def add(parent: Node, *lines: str) -> Edit:
    """These lines at the end of a mapping or list."""
    below: Iterable[Node] = parent.items or parent.entries.values()
    columns = [
        each.column
        for each in below
        if each.whole and each.file == parent.file and parent.line < each.line <= parent.last
    ]
    if not columns:
        return Edit(parent.file, 0, 0, lines)
    return Edit(parent.file, parent.last + 1, parent.last, _indented(lines, min(columns)))


def put_in(parent: Node, key: str, *lines: str) -> Edit:
    """These lines in place of the entry `key`, or added where there is none."""
    node = parent.get(key)
    return put(node, *lines) if node is not None else add(parent, *lines)


def applied(text: str, edit: Edit) -> str:
    """The text of a file with an edit made in it, whose place must be known."""
    lines = text.splitlines()
    lines[edit.first - 1 : edit.last] = edit.lines
    return "".join(f"{line}\n" for line in lines)


def _indented(lines: Iterable[str], column: int) -> tuple[str, ...]:
    return tuple(f"{' ' * column}{line}" for line in lines)

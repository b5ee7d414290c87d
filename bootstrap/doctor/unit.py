"""systemd units as files: sections, entries, drop-ins."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bootstrap.doctor import daemon, project
from bootstrap.doctor.daemon import Daemon
from bootstrap.doctor.nodes import Node, UnreadableError

_NO_SERVICE = "is no unit of a service, it has no [Service]"


@dataclass(frozen=True)
class Unit:
    """One unit: its entries by section and key, in order, and what it runs.

    `texts` are its files, the drop-ins after its own; `sections` is where those of its own stand.
    """

    name: str
    file: str
    texts: Mapping[str, str]
    entries: Mapping[tuple[str, str], tuple[Node, ...]]
    sections: Mapping[str, Node]

    def all(self, section: str, key: str) -> tuple[Node, ...]:
        """Every entry of a key; an empty one takes back those before."""
        found: list[Node] = []
        for node in self.entries.get((section, key), ()):
            found = [*found, node] if node.text else []
        return tuple(found)

    def last(self, key: str) -> Node | None:
        """The entry of [Service] that counts."""
        return next(reversed(self.all("Service", key)), None)

    def value(self, key: str, default: str) -> str:
        """What an entry of [Service] says."""
        node = self.last(key)
        return (node.text or default) if node is not None else default

    def names(self, section: str, *keys: str) -> set[str]:
        """The units that these keys name."""
        return {
            word
            for key in keys
            for node in self.all(section, key)
            for word in (node.text or "").split()
        }

    @property
    def variables(self) -> dict[str, Node]:
        """What its Environment= sets."""
        found = {}
        for node in self.all("Service", "Environment"):
            for word in words(node.text or ""):
                name, equals, value = word.partition("=")
                if equals:
                    found[name] = Node(node.file, node.line, node.last, 0, True, value)
        return found

    @property
    def daemon(self) -> Daemon | None:
        """How it runs bootstrapd, if it does."""
        return self._runs("ExecStart")

    @property
    def before(self) -> Daemon | None:
        """How it runs bootstrapd before what it is there for."""
        return self._runs("ExecStartPre")

    def _runs(self, key: str) -> Daemon | None:
        commands = [words((node.text or "").lstrip("-+!@:")) for node in self.all("Service", key)]
        return next(filter(None, map(daemon.within, commands)), None)


def read(path: Path) -> Unit:
    """A unit with its drop-ins, `NAME.service.d/*.conf`. Raises UnreadableError."""
    texts: dict[str, str] = {}
    entries: dict[tuple[str, str], list[Node]] = {}
    sections: dict[str, Node] = {}
    folder = path.with_name(f"{path.name}.d")
    for each in (path, *sorted(folder.glob("*.conf"))):
        file = project.shown(each)
        texts[file] = project.read(each)
        found = _sections(file, texts[file], entries)
        sections = {**found, **sections}
    if "Service" not in sections:
        raise UnreadableError(project.shown(path), None, _NO_SERVICE)
    kept = {key: tuple(nodes) for key, nodes in entries.items()}
    return Unit(path.name, project.shown(path), texts, kept, sections)


def _sections(file: str, text: str, entries: dict[tuple[str, str], list[Node]]) -> dict[str, Node]:
    """Where the sections of one file stand; what is in them is added to the entries."""
    sections: dict[str, Node] = {}
    section = ""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        line, begin = lines[number].strip(), number + 1
        number += 1
        if not line or line[0] in "#;":
            continue
        while line.endswith("\\") and number < len(lines):
            more = lines[number].strip()
            number += 1
            if more[:1] not in ("#", ";"):
                line = f"{line[:-1].rstrip()} {more}"
        if match := re.fullmatch(r"\[([^\]]+)\]", line):
            section = match[1]
            sections[section] = Node(file, begin, begin, 0, True, None)
            continue
        key, equals, value = line.partition("=")
        if not equals or not section:
            raise UnreadableError(file, begin, f"wanted KEY=VALUE in a section, found {line!r}")
        node = Node(file, begin, number, 0, True, value.strip())
        entries.setdefault((section, key.strip()), []).append(node)
        sections[section] = Node(file, sections[section].line, number, 0, True, None)
    return sections


def words(text: str) -> list[str]:
    """The words of a value, quoted ones as one."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()

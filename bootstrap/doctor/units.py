"""systemd units: those that run bootstrapd, and those of the apps that wait for it."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap.doctor import consent, daemon, finding, parts, passwords, project
from bootstrap.doctor.consent import Scope
from bootstrap.doctor.daemon import Daemon
from bootstrap.doctor.finding import Edit, Finding
from bootstrap.doctor.nodes import Node, UnreadableError
from bootstrap.options import SPECS

_INFINITE = ("infinity", "0")
# What systemd gives a unit to start and to stop, unless its own configuration says otherwise.
_DEFAULT_S = 90.0
_NOTIFYING = ("notify", "notify-reload")


@dataclass(frozen=True)
class Unit:
    """One unit: its entries by section and key, in order, and what it runs."""

    name: str
    file: str
    text: str
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
            for word in _words(node.text or ""):
                name, equals, value = word.partition("=")
                if equals:
                    found[name] = Node(node.file, node.line, node.last, 0, True, value)
        return found

    @property
    def daemon(self) -> Daemon | None:
        """How it runs bootstrapd, if it does."""
        commands = [
            _words((node.text or "").lstrip("-+!@:")) for node in self.all("Service", "ExecStart")
        ]
        return next(filter(None, map(daemon.within, commands)), None)


def check(paths: Sequence[Path], problems: list[str]) -> tuple[list[Finding], list[Scope]]:
    """What is wrong in units, each by itself and beside the others."""
    read = []
    for path in paths:
        try:
            read.append(_read(path))
        except UnreadableError as error:
            problems.append(str(error))
    found = [each for unit in read for each in _check(unit, read)]
    held = [scope for unit in read for scope in consent.scopes(unit.file, unit.text, None)]
    return found, held


def _read(path: Path) -> Unit:
    text, file = project.read(path), project.shown(path)
    entries: dict[tuple[str, str], list[Node]] = {}
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
    if "Service" not in sections:
        raise UnreadableError(file, None, "is no unit of a service, it has no [Service]")
    return Unit(path.name, file, text, {k: tuple(v) for k, v in entries.items()}, sections)


def _check(unit: Unit, units: Sequence[Unit]) -> Iterator[Finding]:
    how = unit.daemon
    if how is not None:
        yield from _kind(unit, how)
        yield from _time(unit, how)
        yield from _killing(unit)
    else:
        yield from _order(unit, units)
    yield from _secrets(unit)


def _put(unit: Unit, key: str, line: str, section: str = "Service") -> Edit:
    found = unit.all(section, key)
    if found:
        return finding.put(found[-1], line)
    head = unit.sections.get(section)
    if head is None:
        return Edit(unit.file, 1, 0, (f"[{section}]", line, ""))
    return Edit(unit.file, head.last + 1, head.last, (line,))


def _at(unit: Unit, rule: str, key: str, found: str, *edits: Edit | None, why: str = "") -> Finding:
    node = unit.last(key) or unit.last("ExecStart") or unit.sections["Service"]
    return finding.at(rule, node, unit.name, found, *edits, why=why)


def _kind(unit: Unit, how: Daemon) -> Iterator[Finding]:
    kind = unit.value("Type", "simple")
    wanted = ("oneshot", *_NOTIFYING) if how.ends else _NOTIFYING
    if kind not in wanted:
        edit = _put(unit, "Type", f"Type={wanted[0]}")
        yield _at(unit, "unit-type", "Type", f"Type={kind}", edit)
    restart = unit.value("Restart", "no")
    if kind == "oneshot" and restart in ("always", "on-success"):
        edit = _put(unit, "Restart", "Restart=on-failure")
        why = "systemd refuses a unit of this type that is to be started again after success"
        yield _at(unit, "one-shot-restart", "Restart", f"Restart={restart}", edit, why=why)


def _time(unit: Unit, how: Daemon) -> Iterator[Finding]:
    variables = unit.variables
    spec = SPECS["BOOTSTRAPD_WAIT_TIMEOUT_S"]
    node = variables.get("BOOTSTRAPD_WAIT_TIMEOUT_S")
    given = how.flags.get("--timeout") or (node.text if node else None)
    deadline_s = parts.seconds(given, float(str(spec.default)))
    # A simple unit has started at once, and for one that notifies bootstrapd asks for more time.
    ends = unit.value("Type", "simple") == "oneshot"
    for key in ("TimeoutStartSec", "TimeoutSec") if ends else ():
        limit = unit.last(key)
        if limit is None or limit.text in _INFINITE or limit.text is None:
            continue
        limit_s = parts.seconds(limit.text, _DEFAULT_S)
        if limit_s < deadline_s:
            found = f"{key}={limit.text}, and bootstrapd waits {deadline_s:g} s"
            yield _at(unit, "unit-timeout", key, found, _put(unit, key, f"{key}=infinity"))
    spec = SPECS["BOOTSTRAPD_GRACE_S"]
    node = variables.get("BOOTSTRAPD_GRACE_S")
    grace_s = parts.seconds(node.text if node else None, float(str(spec.default)))
    key = "TimeoutStopSec"
    limit = unit.last(key)
    limit_s = parts.seconds(limit.text if limit else None, _DEFAULT_S)
    if not (limit and limit.text in _INFINITE) and limit_s < grace_s + 3:
        why = (
            f"bootstrapd may take BOOTSTRAPD_GRACE_S = {grace_s:g} s to finish a revision or to "
            "take it back"
        )
        edit = _put(unit, key, f"{key}={grace_s + 3:g}")
        yield _at(unit, "stop-grace", key, f"{key}={limit_s:g}", edit, why=why)


def _killing(unit: Unit) -> Iterator[Finding]:
    mode = unit.value("KillMode", "control-group")
    if mode in ("process", "none"):
        edit = _put(unit, "KillMode", "KillMode=mixed")
        yield _at(unit, "unit-kill", "KillMode", f"KillMode={mode}", edit)


def _order(unit: Unit, units: Sequence[Unit]) -> Iterator[Finding]:
    """An app beside a unit that runs bootstrapd for it."""
    before = [other for other in units if other.daemon is not None]
    if not before:
        return
    after = unit.names("Unit", "After")
    needs = unit.names("Unit", "Requires", "BindsTo", "Requisite")
    names = {other.name for other in before}
    wanted = before[0].name
    missing = [
        f"{key}={wanted}"
        for key, given in (("After", after), ("Requires", needs))
        if not given & names
    ]
    if missing:
        head = unit.sections.get("Unit")
        edit = (
            Edit(unit.file, head.last + 1, head.last, tuple(missing))
            if head is not None
            else Edit(unit.file, 1, 0, ("[Unit]", *missing, ""))
        )
        lacks = " and ".join(each.partition("=")[0] + "=" for each in missing)
        node = head or unit.sections["Service"]
        yield finding.at("unit-order", node, unit.name, f"{lacks} of {wanted} missing", edit)


def _secrets(unit: Unit) -> Iterator[Finding]:
    for name, node in unit.variables.items():
        found = passwords.secret(name, node.text or "")
        if found is None:
            continue
        file = name.lower()
        entry = next(each for each in unit.all("Service", "Environment") if each.line == node.line)
        rest = [word for word in _words(entry.text or "") if not word.startswith(f"{name}=")]
        words = " ".join(
            f'"{word}"' if " " in word else word for word in [*rest, f"{name}_FILE=%d/{file}"]
        )
        yield finding.at(
            "password-in-environment",
            node,
            unit.name,
            f"Environment={found.shown.replace(': ', '=', 1)}",
            finding.put(
                node, f"LoadCredential={file}:/etc/credstore/{file}", f"Environment={words}"
            ),
            why="`systemctl show` tells it to every user of the host",
        )
    for node in unit.all("Service", "ExecStart"):
        shown = passwords.in_command(node.text or "")
        if shown is not None:
            yield finding.at("password-in-command", node, unit.name, f"ExecStart={shown}")


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()

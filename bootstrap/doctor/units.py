"""systemd units: those that run bootstrapd, and those of the apps that wait for it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from bootstrap.doctor import consent, finding, parts, passwords
from bootstrap.doctor import unit as unit_files
from bootstrap.doctor.consent import Scope
from bootstrap.doctor.daemon import Daemon
from bootstrap.doctor.finding import Edit, Finding
from bootstrap.doctor.nodes import UnreadableError
from bootstrap.doctor.unit import Unit
from bootstrap.options import SPECS

_INFINITE = ("infinity", "0")
# What systemd gives a unit to start and to stop, unless its own configuration says otherwise.
_DEFAULT_S = 90.0
_NOTIFYING = ("notify", "notify-reload")


def read(paths: Sequence[Path], problems: list[str]) -> list[Unit]:
    """The units in these files; what cannot be read is a problem."""
    found = []
    for path in paths:
        try:
            found.append(unit_files.read(path))
        except UnreadableError as error:
            problems.append(str(error))
    return found


def check(units: Sequence[Unit]) -> Iterator[Finding]:
    """What is wrong in units, each by itself and beside the others."""
    for unit in units:
        how = unit.daemon
        if how is not None:
            yield from _kind(unit, how)
            yield from _time(unit, how)
            yield from _killing(unit)
        elif unit.before is not None:
            yield from _time(unit, unit.before)
        else:
            yield from _order(unit, units)
        yield from _secrets(unit)


def scopes(units: Sequence[Unit]) -> list[Scope]:
    """The consents in units; each holds for its unit."""
    return [
        scope
        for unit in units
        for file, text in unit.texts.items()
        for scope in consent.scopes(file, text, None)
    ]


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
    start_s, written = _start_limit(unit)
    if start_s is not None and start_s < deadline_s:
        key = "TimeoutStartSec"
        found = f"{key}={written}, and bootstrapd waits {deadline_s:g} s"
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


def _start_limit(unit: Unit) -> tuple[float | None, str]:
    """How long systemd lets bootstrapd start, in seconds, and as it is written; None for ever."""
    kind = unit.value("Type", "simple")
    # A simple unit has started at once, and for one that notifies bootstrapd asks for more time.
    if unit.before is None and kind != "oneshot":
        return None, ""
    node = unit.last("TimeoutStartSec") or unit.last("TimeoutSec")
    if node is None or node.text is None:
        return (None, "") if kind == "oneshot" else (_DEFAULT_S, f"{_DEFAULT_S:g}")
    return (None if node.text in _INFINITE else parts.seconds(node.text, _DEFAULT_S)), node.text


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
        rest = [
            word for word in unit_files.words(entry.text or "") if not word.startswith(f"{name}=")
        ]
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

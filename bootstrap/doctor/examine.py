"""Doctor's work: which files there are, what is wrong in them, and what somebody has allowed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bootstrap.doctor import (
    caches,
    consent,
    data,
    habits,
    health,
    images,
    kubernetes,
    loading,
    nodes,
    order,
    passwords,
    project,
    stack,
    units,
)
from bootstrap.doctor.consent import Scope
from bootstrap.doctor.finding import Finding
from bootstrap.doctor.nodes import UnreadableError
from bootstrap.doctor.project import Project
from bootstrap.doctor.report import Report
from bootstrap.doctor.stack import Stack
from bootstrap.errors import SettingsError

_CHECKS = (
    health.check,
    order.check,
    data.check,
    caches.check,
    images.check,
    passwords.check,
    habits.check,
)


def examine(
    paths: Sequence[Path],
    environ: Mapping[str, str],
    name: str | None = None,
    *,
    host: bool = False,
) -> Report:
    """Look at these files; without any at those of the current folder, and at what runs of them.

    `name` is the project whose containers and volumes are looked at; with `host` the host is, and
    of files only those that are given. Raises SettingsError for what cannot be read.
    """
    report = Report()
    if host:
        from bootstrap.doctor import host as hosts

        facts = hosts.facts()
        report.looked.append(f"host ({facts})")
        report.findings += hosts.check(facts)
        if not paths and name is None:
            return report
    chosen = paths or loading.find(Path(), environ)
    if not chosen and name is None:
        names = ", ".join(loading.NAMES)
        raise SettingsError(f"doctor: no compose file is here (looked for {names}); name one")
    seen = _files(chosen, environ, report, name)
    here = seen.stack.project.name if seen.stack else None
    if name or (here and not paths):
        from bootstrap.doctor import running

        told = {(each.rule, word) for each in seen.found for word in each.subject.split(", ")}
        seen.found += [
            each
            for each in running.look(seen.stack, name or here or "", report)
            if (each.rule, each.subject) not in told
        ]
    _judge(seen, report)
    return report


def files(paths: Sequence[Path], environ: Mapping[str, str], report: Report) -> None:
    """Look at files alone. Raises SettingsError for what cannot be read."""
    _judge(_files(paths, environ, report), report)


@dataclass
class _Seen:
    """What was found before consents; `starts` are the lines of the services in each file."""

    found: list[Finding]
    held: list[Scope]
    starts: dict[str, dict[str, int]]
    stack: Stack | None


def _files(
    paths: Sequence[Path], environ: Mapping[str, str], report: Report, name: str | None = None
) -> _Seen:
    problems: list[str] = []
    listed = [path for path in paths if path.suffix == ".service"]
    read = units.read(listed, problems)
    starts = {file: {unit.name: 1} for unit in read for file in unit.texts}
    seen = _Seen(list(units.check(read)), units.scopes(read), starts, None)
    report.looked += starts
    composed = [
        path for path in paths if path not in listed and not _manifest(path, seen, report, problems)
    ]
    if composed:
        try:
            _compose(loading.load(composed, environ, name), seen, report)
        except SettingsError as error:
            problems += [line.strip() for line in error.message.splitlines()[1:]]
    if problems:
        raise nodes.settings_error(problems)
    return seen


def _manifest(path: Path, seen: _Seen, report: Report, problems: list[str]) -> bool:
    """Look at a file that is for Kubernetes; False for any other."""
    file = project.shown(path)
    try:
        text = project.read(path)
        if not kubernetes.is_manifest(text):
            return False
        seen.found += kubernetes.check(nodes.documents(text, file))
    except UnreadableError as error:
        problems.append(str(error))
        return True
    seen.held += consent.scopes(file, text, None)
    report.looked.append(file)
    return True


def _compose(here: Project, seen: _Seen, report: Report) -> None:
    seen.stack = stack.of(here)
    seen.found += [each for check in _CHECKS for each in check(seen.stack)]
    for file in here.files:
        document = here.documents[file]
        seen.held += consent.scopes(file, here.texts[file], document)
        declared = document.get("services")
        seen.starts[file] = {
            key: node.line
            for key, node in (declared.entries if declared else {}).items()
            if node.file == file
        }
    report.looked += here.files


def _judge(seen: _Seen, report: Report) -> None:
    kept, allowed = consent.judge(seen.found, seen.held, seen.starts)
    places = {file: place for place, file in enumerate(report.looked)}
    kept.sort(key=lambda each: (places.get(each.place, len(places)), each.line or 0, each.rule))
    report.findings += _together(kept)
    report.allowed += allowed


def _together(found: Sequence[Finding]) -> list[Finding]:
    """One finding for what several services share by an anchor."""
    merged: dict[tuple[object, ...], Finding] = {}
    for each in found:
        key = (each.rule, each.place, each.line, each.found)
        if key not in merged:
            merged[key] = each
            continue
        held = merged[key]
        subjects = dict.fromkeys([*held.subject.split(", "), each.subject])
        edits = dict.fromkeys([*held.edits, *each.edits])
        merged[key] = replace(held, subject=", ".join(subjects), edits=tuple(edits))
    return list(merged.values())

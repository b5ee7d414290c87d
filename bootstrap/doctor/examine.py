"""Doctor's work: which files there are, what is wrong in them, and what somebody has allowed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bootstrap.doctor import (
    consent,
    data,
    habits,
    health,
    images,
    nodes,
    order,
    passwords,
    project,
    stack,
    units,
)
from bootstrap.doctor.finding import Allowed, Finding
from bootstrap.doctor.project import Project
from bootstrap.errors import DriftError, SettingsError

_CHECKS = (
    health.check,
    order.check,
    data.check,
    images.check,
    passwords.check,
    habits.check,
)


@dataclass
class Report:
    """What was looked at and what was found; `notes` say what could not be looked at."""

    looked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    allowed: list[Allowed] = field(default_factory=list)

    @property
    def errors(self) -> list[Finding]:
        """The findings that must not stay."""
        return [each for each in self.findings if each.severity == "error"]

    def document(self) -> dict[str, Any]:
        """The report as JSON shows it."""
        return {
            "looked_at": self.looked,
            "notes": self.notes,
            "findings": [asdict(each) for each in self.findings],
            "allowed": [{**asdict(each.finding), "reason": each.reason} for each in self.allowed],
        }


def examine(paths: Sequence[Path], environ: Mapping[str, str]) -> Report:
    """Look at these files, or at those that compose takes in the current folder.

    Raises SettingsError for what cannot be read.
    """
    report = Report()
    chosen = paths or project.find(Path(), environ)
    if not chosen:
        names = ", ".join(project.NAMES)
        raise SettingsError(f"doctor: no compose file is here (looked for {names}); name one")
    files(chosen, environ, report)
    return report


def judge(report: Report) -> None:
    """Raise DriftError for errors."""
    if report.errors:
        places = {each.place for each in report.errors}
        where = next(iter(places)) if len(places) == 1 else f"{len(places)} places"
        raise DriftError(
            f"doctor found {count(report.errors, 'error')} in {where}", **report.document()
        )


def count(found: Collection[object], noun: str) -> str:
    """How many there are of what."""
    return f"{len(found)} {noun}{'s' * (len(found) != 1)}"


def files(
    paths: Sequence[Path], environ: Mapping[str, str], report: Report, name: str | None = None
) -> Project | None:
    """Look at files; those of compose are one project, which is returned.

    Raises SettingsError for what cannot be read.
    """
    problems: list[str] = []
    ours = [path for path in paths if path.suffix == ".service"]
    composed = [path for path in paths if path not in ours]
    found, held = units.check(ours, problems)
    report.looked += map(project.shown, ours)
    starts: dict[str, dict[str, int]] = {}
    here = None
    if composed:
        try:
            here = project.load(composed, environ, name)
        except SettingsError as error:
            problems += [line.strip() for line in error.message.splitlines()[1:]]
    if problems:
        raise nodes.settings_error(problems)
    if here is not None:
        services = stack.of(here)
        found += [each for check in _CHECKS for each in check(services)]
        for file in here.files:
            document = here.documents[file]
            held += consent.scopes(file, here.texts[file], document)
            declared = document.get("services")
            starts[file] = {
                key: node.line
                for key, node in (declared.entries if declared else {}).items()
                if node.file == file
            }
        report.looked += here.files
    kept, allowed = consent.judge(found, held, starts)
    kept = _together(kept)
    order_of = {file: place for place, file in enumerate(report.looked)}
    kept.sort(key=lambda each: (order_of.get(each.place, len(order_of)), each.line or 0, each.rule))
    report.findings += kept
    report.allowed += allowed
    return here


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

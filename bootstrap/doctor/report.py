"""What doctor looked at and found, for people, for JSON and as an exit code."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

from bootstrap.doctor.finding import Allowed, Finding
from bootstrap.errors import DriftError


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

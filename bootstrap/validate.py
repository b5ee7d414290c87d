"""The validate stage: the database is at the release's heads and holds what the models expect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bootstrap import child, journal, settings
from bootstrap.errors import DriftError

Means = Literal["models", "heads"]
SHOWN = 20


@dataclass(frozen=True)
class Finding:
    """One difference: what the release wants and what the database has.

    `missing` marks a table or column that the app needs and will not find.
    """

    kind: str
    object: str
    wanted: str
    found: str
    missing: bool

    def __str__(self) -> str:
        return f"{self.object}: wanted {self.wanted}, found {self.found}"


@dataclass(frozen=True)
class Validated:
    """What was compared (`models`, or only the `heads` where no models are declared) and found."""

    means: Means
    tables: int
    findings: tuple[Finding, ...]


def compare(loaded: settings.Loaded, worker: child.Worker, record: journal.Journal) -> Validated:
    """Compare the declared models with the live schema, by Alembic's own comparison."""
    try:
        answer = worker.call("compare", metadata=loaded.app.metadata)
    except child.WorkerError as error:
        raise DriftError(
            f"the models of app {loaded.app.name} could not be compared with "
            f"{loaded.target.identity}: {error.failure['message']}; check metadata in "
            f"{loaded.app.declared_in}",
            sqlstate=error.failure["sqlstate"],
        ) from error
    findings = tuple(Finding(**entry) for entry in answer["findings"])
    record.set(findings=tuple(vars(finding) for finding in findings))
    if not answer["tables"]:
        # An empty comparison finds nothing and proves nothing.
        record.event(
            "no_models",
            f"app {loaded.app.name} declares no models, so only its revisions were checked; set "
            f"metadata in {loaded.app.declared_in}",
            level="warning",
        )
        return Validated("heads", 0, findings)
    return Validated("models", answer["tables"], findings)


def judge(loaded: settings.Loaded, validated: Validated, record: journal.Journal) -> None:
    """Stop the start for the differences that the settings say, report the others."""
    mode = settings.validate_mode(loaded.settings)
    stopping = [
        finding
        for finding in validated.findings
        if mode == "any" or (mode == "missing" and finding.missing)
    ]
    if stopping:
        raise drift(loaded, stopping)
    if validated.findings:
        record.event(
            "differences",
            f"{_count(validated.findings)} between models and {loaded.target.identity} (tolerated: "
            f"BOOTSTRAPD_VALIDATE={mode}){_listed(validated.findings)}",
            level="warning",
            findings=[vars(finding) for finding in validated.findings],
        )


def drift(loaded: settings.Loaded, findings: Sequence[Finding]) -> DriftError:
    """The error that names these differences."""
    return DriftError(
        f"{_count(findings)} between the models of app {loaded.app.name} and "
        f"{loaded.target.identity}{_listed(findings)}\n"
        "write a revision for what the models want (bootstrapd new NAME), or undo what was changed "
        "by hand",
        findings=[vars(finding) for finding in findings],
    )


def document(validated: Validated) -> Mapping[str, Any]:
    """The result as JSON shows it."""
    return {
        "means": validated.means,
        "tables": validated.tables,
        "findings": [vars(finding) for finding in validated.findings],
    }


def _count(findings: Sequence[Finding]) -> str:
    return f"{len(findings)} difference{'s' * (len(findings) != 1)}"


def _listed(findings: Sequence[Finding]) -> str:
    lines = [f"\n  {finding}" for finding in findings[:SHOWN]]
    if len(findings) > SHOWN:
        lines.append(f"\n  and {len(findings) - SHOWN} more")
    return ":" + "".join(lines)

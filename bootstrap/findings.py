"""What validation finds, and which of it stops a start."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

from bootstrap import catalog, libpq, settings

# What the database was compared with: the snapshot beside the revisions, the revisions replayed on
# a scratch database, the models, or - where there is none of these - the heads alone.
Means = Literal["snapshot", "replay", "models", "heads"]
Severity = Literal["stop", "report", "ignore"]
SEVERITIES: tuple[Severity, ...] = ("stop", "report", "ignore")

SHOWN = 20
_MISSING = ("missing-table", "missing-column")
# What is wrong with a database whose schema may be just as wanted.
_FLAWS = (
    "invalid-index",
    "not-validated",
    "disabled-trigger",
    "sequence-behind",
    "collation-version",
    "ddl-role",
    "owner",
    "broken-row",
    "damaged-file",
    "not-checked",
)


@dataclass(frozen=True)
class Finding:
    """One difference or flaw: its class, what it is about, what is wanted and what was found.

    `fix` are the statements that mend it, to be run one by one outside of a transaction; `note`
    says what is to be known about them, or why there are none. `destructive` marks a fix by which
    data are lost for good.
    """

    kind: catalog.Kind
    object: str
    wanted: str
    found: str
    fix: tuple[str, ...] = ()
    destructive: bool = False
    note: str = ""

    def __str__(self) -> str:
        return f"{self.object}: wanted {self.wanted}, found {self.found}"

    def document(self) -> dict[str, Any]:
        """The finding as JSON shows it."""
        return {**asdict(self), "fix": list(self.fix), "missing": self.kind in _MISSING}


def of(differences: Iterable[catalog.Difference], schema: str = "public") -> tuple[Finding, ...]:
    """The findings that differences between two catalogs, or flaws of one, are.

    Fixes name no default schema: where that is not `public`, it is set before each of them.
    """
    before = () if schema in ("", "public") else (f"SET search_path TO {libpq.identifier(schema)}",)
    return tuple(
        Finding(
            each.kind,
            each.object,
            each.wanted,
            each.found,
            (*before, *each.fix) if each.fix else (),
            each.destructive,
            each.note,
        )
        for each in differences
    )


def rules(text: str) -> dict[str, str]:
    """Severities by class, from `class=severity, class=severity`.

    Raises ValueError for a class or severity that there is not.
    """
    found = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        kind, _, wanted = (part.strip() for part in entry.partition("="))
        check_rule(kind, wanted)
        found[kind] = wanted
    return found


def check_rule(kind: str, severity: object) -> None:
    """Raise ValueError for a class or severity that there is not."""
    if kind not in catalog.KINDS:
        raise ValueError(f"unknown class {kind!r}; known are {', '.join(catalog.KINDS)}")
    if severity not in SEVERITIES:
        raise ValueError(f"{kind}: wanted {', '.join(SEVERITIES)}, found {severity!r}")


def severity(loaded: settings.Loaded, means: Means, found: Finding) -> Severity:
    """Whether a finding stops a start, is only reported, or is nobody's concern."""
    given = {**loaded.app.findings, **rules(loaded.settings.findings)}
    if found.kind in given:
        return cast(Severity, given[found.kind])
    return by_mode(loaded.settings.validate, means, found.kind)


def by_mode(mode: str, means: Means, kind: catalog.Kind) -> Severity:
    """What BOOTSTRAPD_VALIDATE says of a class."""
    if mode == "auto":
        # The models' comparison takes sound databases for different ones; a catalog's does not.
        mode = "changed" if means in ("snapshot", "replay") else "missing"
    return "stop" if _stops(mode, kind) else "report"


def count(found: Sequence[Finding]) -> str:
    """How many, as messages begin."""
    return f"{len(found)} difference{'s' * (len(found) != 1)}"


def listed(found: Sequence[Finding]) -> str:
    """A line for each, as messages end."""
    lines = [f"\n  {finding}" for finding in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"\n  and {len(found) - SHOWN} more")
    return ":" + "".join(lines)


def fix_sql(found: Iterable[Mapping[str, Any]]) -> str:
    """The statements that mend findings, given as documents.

    Those by which data are lost are commented out. What mends several findings at once, as a table
    of SQLite that is made anew, is printed with the first of them.
    """
    lines: list[str] = []
    printed: set[tuple[str, ...]] = set()
    for each in found:
        lines.append(f"-- {each['object']}: wanted {each['wanted']}, found {each['found']}")
        if each["note"]:
            lines.append(f"-- {each['note']}")
        fix = tuple(each["fix"])
        if fix and fix in printed:
            lines.append("-- mended by the statements above")
            fix = ()
        printed.add(fix)
        for statement in fix:
            text = f"{statement.rstrip(';')};"
            lines += [f"-- {line}" for line in text.splitlines()] if each["destructive"] else [text]
        lines.append("")
    return "\n".join(lines)


def _stops(mode: str, kind: str) -> bool:
    if mode == "changed":
        # An app finds its schema whole beside what somebody has added to it.
        return not (kind.startswith("extra-") or kind == "comment" or kind in _FLAWS)
    return mode == "any" or (mode == "missing" and kind in _MISSING)

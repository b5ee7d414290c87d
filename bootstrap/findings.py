"""What validation finds, and which of it stops a start."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from bootstrap import catalog, libpq, settings
from bootstrap.catalog import MISSING, Finding

# What the database was compared with: the snapshot beside the revisions, the revisions replayed on
# a scratch database, the models, or - where there is none of these - the heads alone.
Means = Literal["snapshot", "replay", "models", "heads"]
Severity = Literal["stop", "report", "ignore"]
SEVERITIES: tuple[Severity, ...] = ("stop", "report", "ignore")

SHOWN = 20
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


def placed(found: Iterable[Finding], schema: str) -> tuple[Finding, ...]:
    """The same findings, whose fixes may be run in a session of any search path.

    Fixes name no default schema: where that is not `public`, it is set before each of them.
    """
    if schema in ("", "public"):
        return tuple(found)
    before = f"SET search_path TO {libpq.identifier(schema)}"
    return tuple(replace(each, fix=(before, *each.fix)) if each.fix else each for each in found)


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


def by_severity(
    loaded: settings.Loaded, means: Means, found: Iterable[Finding]
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Those that stop a start, and those that are only reported; the others concern nobody."""
    given = {**loaded.app.findings, **rules(loaded.settings.findings)}
    mode = loaded.settings.validate
    stopping, reported = [], []
    for each in found:
        severity = given.get(each.kind) or by_mode(mode, means, each.kind)
        if severity == "stop":
            stopping.append(each)
        elif severity == "report":
            reported.append(each)
    return tuple(stopping), tuple(reported)


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
    return mode == "any" or (mode == "missing" and kind in MISSING)

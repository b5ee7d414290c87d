"""The report as people read it."""

import itertools
import os
from pathlib import Path

from bootstrap.lint.finding import Finding
from bootstrap.lint.stage import HOW, Report, count


def report(found: Report) -> str:
    """Each finding with what it does and what to do, what was allowed and why, and the sum."""
    lines = []
    for each, following in itertools.zip_longest(found.findings, found.findings[1:]):
        lines.append(f"{_place(each)}: {each.severity}: {_what(each)}")
        # What twenty indexes of one revision do is said once.
        if following is None or _said(following) != _said(each):
            lines += [f"    {each.effect}", f"    instead: {each.instead}"]
    for passed, after in itertools.zip_longest(found.allowed, found.allowed[1:]):
        lines.append(f"{_place(passed.finding)}: allowed: {_what(passed.finding)}")
        if after is None or (_said(after.finding)[:2], after.reason) != (
            _said(passed.finding)[:2],
            passed.reason,
        ):
            lines.append(f"    because {passed.reason}")
    warnings = len(found.findings) - len(found.errors)
    lines.append(
        f"{count(found.revisions, 'revision')} linted for {_read_as(found)}: "
        f"{count(found.errors, 'error')}, {count(range(warnings), 'warning')}, "
        f"{len(found.allowed)} allowed"
    )
    if found.errors:
        lines.append(HOW)
    return "".join(f"{line}\n" for line in lines)


def _said(each: Finding) -> tuple[str, ...]:
    return each.revision, each.rule, each.effect


def _place(each: Finding) -> str:
    if not each.file:
        return "all revisions"
    path = os.path.relpath(each.file)
    shown = each.file if path.startswith(os.pardir) else path
    return f"{shown}:{each.line}" if each.line else shown


def _what(each: Finding) -> str:
    where = f", line {each.sql_line} of its SQL" if each.sql_line else ""
    shown = f": {each.statement}" if each.statement else ""
    revision = f" (revision {each.revision}{where})" if each.revision else ""
    return f"{each.rule}{revision}{shown}"


def _read_as(found: Report) -> str:
    if found.dialect == "sqlite":
        return "SQLite, by bootstrapd's own rules alone (squawk reads SQL for PostgreSQL)"
    version = f" {found.server}" if found.server else ""
    config = f" with {Path(found.squawk_config).name}" if found.squawk_config else ""
    return f"PostgreSQL{version}{config}"

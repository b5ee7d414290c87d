"""The report as people read it."""

from collections.abc import Iterator

from bootstrap import redact
from bootstrap.doctor.finding import Edit, Finding
from bootstrap.doctor.report import Report, count


def shown(found: Report) -> str:
    """Each finding with why it is one and the lines to change, what was allowed, and the sum."""
    lines: list[str] = []
    for each in found.findings:
        lines += _finding(each)
    for passed in found.allowed:
        lines.append(f"{_place(passed.finding)}: allowed: {_what(passed.finding)}")
        lines.append(f"    because {passed.reason}")
    lines += found.notes
    warnings = len(found.findings) - len(found.errors)
    lines.append(
        f"{', '.join(found.looked) or 'nothing'}: {count(found.errors, 'error')}, "
        f"{count(range(warnings), 'warning')}, {len(found.allowed)} allowed"
    )
    return "".join(f"{line}\n" for line in lines)


def _finding(each: Finding) -> Iterator[str]:
    yield f"{_place(each)}: {each.severity}: {_what(each)}"
    yield f"    {redact.text(each.why)}"
    yield f"    instead: {each.instead}{':' if each.edits or each.commands else ''}"
    for edit in each.edits:
        yield f"      {_where(edit, each)}"
        yield from (f"        {redact.text(line)}" for line in edit.lines)
    yield from (f"        {line}" for line in each.commands)


def _where(edit: Edit, each: Finding) -> str:
    file = "" if edit.file == each.place else f"{edit.file}, "
    if not edit.first:
        return f"{file}there:"
    if edit.last < edit.first:
        return f"{file}after line {edit.last}:"
    span = f"line {edit.first}" if edit.first == edit.last else f"lines {edit.first} to {edit.last}"
    return f"{file}{span}:" if edit.lines else f"{file}{span} away"


def _place(each: Finding) -> str:
    return f"{each.place}:{each.line}" if each.line else each.place


def _what(each: Finding) -> str:
    subject = f" ({each.subject})" if each.subject and each.subject != each.place else ""
    return f"{each.rule}{subject}: {redact.text(each.found)}"

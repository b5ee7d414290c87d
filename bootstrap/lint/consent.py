"""Consent to a finding: `# bootstrapd: allow RULE, because REASON` in the revision file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.lint import rules

_FORM = re.compile(
    r"allow\s+(?P<rules>[\w-]+(?:(?:\s*,\s*|\s+and\s+)(?!because\b)[\w-]+)*)"
    r"(?:\s*,?\s*because\b\s*(?P<reason>.*))?",
    re.DOTALL,
)
_BETWEEN = re.compile(r"\s*,\s*|\s+and\s+")


@dataclass(frozen=True)
class Consent:
    """One note to bootstrapd in a revision file: the rules that it allows, and why.

    `rules` is empty where the note cannot be read, `reason` where none is given; neither allows
    anything.
    """

    line: int
    text: str
    rules: tuple[str, ...]
    reason: str


def read(notes: Sequence[Mapping[str, Any]]) -> tuple[Consent, ...]:
    """The consents among a revision's notes to bootstrapd."""
    return tuple(_consent(note["line"], note["text"]) for note in notes)


def _consent(line: int, text: str) -> Consent:
    match = _FORM.fullmatch(text)
    if match is None:
        return Consent(line, text, (), "")
    # Whoever knows a rule by squawk's name may use that.
    names = tuple(
        rules.BY_SQUAWK[name].name if name in rules.BY_SQUAWK else name
        for name in _BETWEEN.split(match["rules"])
    )
    return Consent(line, text, names, (match["reason"] or "").strip(" ."))

"""Consent to a finding, in the words that lint knows: `# bootstrapd: allow RULE, because REASON`.

In a compose file it holds for the service that it stands in or above, or for the top key or the
whole file that it stands above; in a unit for the unit.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bootstrap.doctor import rules
from bootstrap.doctor.finding import Allowed, Finding
from bootstrap.doctor.nodes import Node
from bootstrap.lint import consent
from bootstrap.lint.consent import Consent

_NOTE = re.compile(r"(?:^|\s)#\s*bootstrapd:\s*(?P<text>.*\S)")
_COMMENT = re.compile(r"\s*(?:[#;].*)?")


@dataclass(frozen=True)
class Scope:
    """A consent and the lines of its file that it holds for."""

    file: str
    consent: Consent
    first: int
    last: int

    def holds(self, found: Finding, starts: Mapping[str, int]) -> bool:
        """Whether it is about this finding; `starts` are the lines of the services in its file."""
        if found.rule not in self.consent.rules:
            return False
        line = found.line if found.place == self.file else starts.get(found.subject)
        lines = [each for each in (line, starts.get(found.subject)) if each is not None]
        return any(self.first <= each <= self.last for each in lines)


def scopes(file: str, text: str, document: Node | None) -> list[Scope]:
    """The consents of a file; without a document each holds for all of it."""
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        match = _NOTE.search(line)
        if match is None:
            continue
        (each,) = consent.read([{"line": number, "text": match["text"]}])
        first, last = _range(lines, number, document)
        found.append(Scope(file, each, first, last))
    return found


def _range(lines: Sequence[str], number: int, document: Node | None) -> tuple[int, int]:
    everything = (1, len(lines))
    if document is None:
        return everything
    place = number
    while place <= len(lines) and _COMMENT.fullmatch(lines[place - 1]):
        place += 1
    if all(_COMMENT.fullmatch(line) for line in lines[: place - 1]):
        return everything
    for key, top in document.entries.items():
        if key in ("services", "volumes", "networks", "secrets", "configs"):
            for each in top.entries.values():
                if each.file == document.file and each.line <= place <= each.last:
                    return each.line, each.last
        if top.line <= place <= top.last:
            return top.line, top.last
    return number, number


def judge(
    found: Sequence[Finding], held: Sequence[Scope], starts: Mapping[str, Mapping[str, int]]
) -> tuple[list[Finding], list[Allowed]]:
    """What is left of findings after consents, and what was consented to."""
    kept: list[Finding] = []
    allowed: list[Allowed] = []
    used: set[tuple[int, str]] = set()
    for each in found:
        scope = next(
            (
                scope
                for scope in held
                if scope.consent.reason and scope.holds(each, starts.get(scope.file, {}))
            ),
            None,
        )
        if scope is None:
            kept.append(each)
        else:
            allowed.append(Allowed(each, scope.consent.reason))
            used.add((id(scope), each.rule))
    return [*kept, *_useless(held, used)], allowed


def _useless(held: Sequence[Scope], used: set[tuple[int, str]]) -> Iterator[Finding]:
    known = rules.BY_NAME["consent"]
    for scope in held:
        each = scope.consent
        reasons = []
        if not each.rules:
            reasons.append("it cannot be read, so nothing is allowed by it")
        elif not each.reason:
            reasons.append("it gives no reason, so nothing is allowed by it")
        else:
            for rule in each.rules:
                if rule not in rules.BY_NAME:
                    reasons.append(f"{rule} is no rule of doctor")
                elif (id(scope), rule) not in used:
                    reasons.append(f"nothing is found by {rule} where it holds")
        for why in reasons:
            yield Finding(
                known.name,
                known.severity,
                scope.file,
                each.line,
                "",
                f"# bootstrapd: {each.text}",
                why,
                known.instead,
            )

"""What lint found, and the revision that it was found in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.lint import consent, rules
from bootstrap.lint.statements import Statement, split


@dataclass(frozen=True)
class Finding:
    """One statement, or one revision, that a rule speaks of.

    `revision` is empty for the project as a whole. `line` is the line in `file`, `sql_line` that in
    the revision's SQL as `bootstrapd plan` prints it without its first comment.
    """

    revision: str
    file: str
    line: int | None
    sql_line: int | None
    statement: str
    rule: str
    severity: rules.Severity
    effect: str
    instead: str


@dataclass(frozen=True)
class Allowed:
    """A finding with the reason for which somebody has consented to it."""

    finding: Finding
    reason: str


@dataclass(frozen=True)
class Revision:
    """One revision as a worker saw it.

    `changes` are the operations of Alembic that tell more than their SQL, `failure` is why its SQL
    is not, or not wholly, known.
    """

    id: str
    path: str
    statements: tuple[Statement, ...]
    changes: tuple[Mapping[str, Any], ...]
    consents: tuple[consent.Consent, ...]
    downgrade: str
    downgrade_line: int | None
    offline_line: int | None
    failure: str | None

    def find(
        self,
        rule: str,
        statement: Statement | None = None,
        *,
        line: int | None = None,
        effect: str = "",
        instead: str = "",
        severity: rules.Severity | None = None,
        shown: str = "",
    ) -> Finding:
        """A finding of this revision, in the rule's own words where no others are given."""
        known = rules.BY_NAME.get(rule)
        return Finding(
            self.id,
            self.path,
            statement.source_line if statement else line,
            statement.line if statement else None,
            statement.shown if statement else shown,
            rule,
            severity or (known.severity if known else "warning"),
            effect or (known.effect if known else ""),
            instead or (known.instead if known else ""),
        )


def revision(seen: Mapping[str, Any], *, splits: bool) -> Revision:
    """What the worker says of one revision; with `splits` one text may hold several statements."""
    return Revision(
        id=seen["id"],
        path=seen["path"],
        statements=tuple(_statements(seen["statements"], splits=splits)),
        changes=tuple(seen["changes"]),
        consents=consent.read(seen["notes"]),
        downgrade=seen["downgrade"],
        downgrade_line=seen.get("downgrade_line"),
        offline_line=seen["offline"],
        failure=seen["failure"],
    )


def _statements(entries: Sequence[Mapping[str, Any]], *, splits: bool) -> list[Statement]:
    found: list[Statement] = []
    line = 1
    for entry in entries:
        text = entry["sql"]
        parts = list(split(text))
        if not splits and parts:
            parts = [(text, parts[0][1], tuple(word for part in parts for word in part[2]))]
        for part, offset, words in parts:
            # The autocommit block's own bounds are no work of the revision.
            if not (entry["outside"] and words in (("commit",), ("begin",))):
                found.append(
                    Statement(part, words, line + offset - 1, entry["line"], entry["outside"])
                )
        line += text.count("\n") + 2
    return found

"""What came of a move."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bootstrap.move.problems import Action, Class, Problem


@dataclass(frozen=True)
class Table:
    """One table that was moved: rows read, rows written, and the digest that both sides have."""

    name: str
    rows: int
    moved: int
    digest: str
    bytes: int


@dataclass(frozen=True)
class Moved:
    """A move, or with `dry_run` the scan alone. Durations are seconds, by part of the work."""

    source: str
    target: str
    app: str
    dry_run: bool
    source_version: str
    target_version: str
    revisions: tuple[str, ...]
    tables: tuple[Table, ...]
    found: Mapping[Class, int]
    problems: tuple[Problem, ...]
    actions: Mapping[Class, Action]
    durations_s: Mapping[str, float]
    digest: str = ""
    repeated: bool = False
    rejected: int = 0
    rejects: str | None = None
    cut_over: Mapping[str, Any] | None = None

    @property
    def rows(self) -> int:
        """The rows that the target has by this move."""
        return sum(table.moved for table in self.tables)

    def document(self) -> dict[str, Any]:
        """The report as JSON."""
        document = dataclasses.asdict(self)
        document["problems"] = [problem.document() for problem in self.problems]
        return {**document, "rows": self.rows, "changed": not (self.dry_run or self.repeated)}

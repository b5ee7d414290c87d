"""Where problems are collected: all of them in the reject file, the first ones in the report."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from bootstrap.move.problems import Action, Class, Problem
from bootstrap.move.request import unwritable

KEPT = 1000


class Findings:
    """Counts problems by class, keeps the first thousand, writes each one to the reject file."""

    def __init__(self, policy: Mapping[Class, Action], rejects: Path | None) -> None:
        self.policy = policy
        self.found: Counter[Class] = Counter()
        self.first: list[Problem] = []
        self.stopping = 0
        self.skipped = 0
        self._path = rejects
        self._file: TextIO | None = None
        if rejects is not None:
            try:
                self._file = rejects.open("a", encoding="utf-8")
            except OSError as error:
                raise unwritable("--rejects", rejects, error) from error

    def start(self) -> None:
        """All rows are looked at now: what an earlier look has written goes."""
        if self._file is not None:
            self._file.truncate(0)

    def add(self, problem: Problem) -> None:
        """One more."""
        self.found[problem.kind] += 1
        self.stopping += problem.action == "stop"
        self.skipped += problem.action == "skip"
        if len(self.first) < KEPT:
            self.first.append(problem)
        if self._file is not None:
            self._file.write(json.dumps(problem.document(), ensure_ascii=True) + "\n")

    def silent(self) -> "Findings":
        """Others by the same policy, for rows that were looked at before."""
        return Findings(self.policy, None)

    def flush(self) -> None:
        """Write out what is held."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the reject file."""
        if self._file is not None:
            self._file.close()

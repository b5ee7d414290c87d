"""What is run on SQLite in this process, as SQL that could be run by hand."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

from . import sqlite

_LOOK = re.compile(r"\s*(select\b|pragma\s[^=]*$)", re.IGNORECASE)
# A question mark in a text, a name or a comment stays what it is.
_PLACEHOLDER = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|\?")


class Transcript:
    """Listens to every engine from its making on; `quoting` is a SQLite connection."""

    def __init__(self, quoting: Any) -> None:
        self._lines: list[str] = []
        self._quoting = quoting
        engine = sa.engine.Engine
        sa.event.listen(engine, "begin", lambda connection: self._bound(connection, "BEGIN;"))
        sa.event.listen(engine, "commit", lambda connection: self._bound(connection, "COMMIT;"))
        sa.event.listen(engine, "rollback", lambda connection: self._bound(connection, "ROLLBACK;"))
        sa.event.listen(engine, "before_cursor_execute", self._statement)

    @property
    def text(self) -> str:
        """All of it, transactions in which nothing happened left out."""
        kept: list[str] = []
        for line in self._lines:
            if line in ("COMMIT;", "ROLLBACK;") and kept[-1:] == ["BEGIN;"]:
                kept.pop()
            else:
                kept.append(line)
        return "".join(f"{line}\n\n" for line in kept)

    def remark(self, text: str) -> None:
        """Add a comment."""
        self.add(f"-- {text}")

    def add(self, line: str) -> None:
        """Take up one statement or comment."""
        self._lines.append(line)

    def _bound(self, connection: Any, line: str) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            self.add(line)

    def _statement(
        self, connection: Any, _: Any, statement: str, values: Any, _context: Any, many: bool
    ) -> None:
        # How revisions look around is left out.
        if _LOOK.match(statement):
            return
        lines = [self._filled(statement.strip(), row) for row in (values if many else [values])]
        if connection.info.get(sqlite.CUT):
            lines = ["COMMIT;", *lines, "BEGIN;"]
        for line in lines:
            self.add(line)

    def _filled(self, statement: str, values: Any) -> str:
        left = iter(values or ())

        def fill(match: re.Match[str]) -> str:
            if match[0] != "?":
                return match[0]
            (literal,) = self._quoting.execute("select quote(?)", (next(left),)).fetchone()
            return str(literal)

        text = _PLACEHOLDER.sub(fill, statement)
        return text if text.endswith(";") else f"{text};"

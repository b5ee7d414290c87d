"""Columns that a CHECK has proven to hold no null, so that SET NOT NULL reads nothing any more."""

from collections.abc import Iterator

from bootstrap.lint.statements import Name, Statement, name

Column = tuple[Name, str]


class Proven:
    """Follows the checks through the statements of revision after revision."""

    def __init__(self) -> None:
        self._checks: dict[tuple[Name, str], str] = {}
        self._columns: set[Column] = set()

    def holds(self, statement: Statement) -> bool:
        """Whether each SET NOT NULL of the statement is of a column without nulls."""
        table = name(statement.tokens, 2)
        return table is not None and all(
            (table, column) in self._columns for column in _set_not_null(statement)
        )

    def follow(self, statement: Statement) -> None:
        """Take in a check that is added, validated or dropped."""
        words = statement.tokens
        table = name(words, 2) if statement.starts("alter", "table") else None
        if table is None:
            return
        if (place := statement.after("add", "constraint")) is not None:
            checked = _checked(words[place + 1 :])
            if checked is not None:
                self._checks[(table, words[place])] = checked
                if not statement.has("not", "valid"):
                    self._columns.add((table, checked))
        elif (place := statement.after("validate", "constraint")) is not None:
            checked = self._checks.get((table, words[place]))
            if checked is not None:
                self._columns.add((table, checked))
        elif (place := statement.after("drop", "constraint")) is not None:
            checked = self._checks.pop((table, words[place]), None)
            if checked is not None:
                self._columns.discard((table, checked))


def _checked(words: tuple[str, ...]) -> str | None:
    """The column of a plain CHECK (column IS NOT NULL)."""
    plain = [word for word in words if word not in ("(", ")")]
    if (
        plain[:1] == ["check"]
        and plain[2:5] == ["is", "not", "null"]
        and plain[5:]
        in (
            [],
            ["not", "valid"],
        )
    ):
        return plain[1]
    return None


def _set_not_null(statement: Statement) -> Iterator[str]:
    words = statement.tokens
    for place in range(1, len(words) - 2):
        if words[place : place + 3] == ("set", "not", "null"):
            yield words[place - 1]

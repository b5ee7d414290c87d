"""What only the server knows: how it prints a value of a rare type, and whether it takes a row."""

import json
from collections.abc import Callable, Mapping, Sequence

from bootstrap import libpq
from bootstrap.move import load, wanted

# Classes of SQLSTATE: what a type does not take, and what breaks a constraint.
_BAD_DATA = ("22", "23")


def bad_data(error: libpq.Error) -> bool:
    """Whether the server refuses the values, not the way they were brought."""
    return (error.sqlstate or "").startswith(_BAD_DATA)


class Asker:
    """Asks over a connection of its own, since the other one is busy with a COPY.

    No table is read or written: the server is given the values themselves.
    """

    def __init__(self, reach: Callable[[], libpq.Connection]) -> None:
        self._reach = reach
        self._connection: libpq.Connection | None = None

    def __call__(self, type_: str, texts: Sequence[str]) -> Mapping[str, str | None]:
        """Each text as the type prints it; None for those that the type does not take."""
        return {text: self._one(type_, text) for text in texts}

    def _one(self, type_: str, text: str) -> str | None:
        try:
            (found,) = self._open().row(f"select ($1::{type_})::text", text)
        except libpq.Error as error:
            if not bad_data(error):
                raise
            return None
        return None if found is None else str(found)

    def broken(
        self,
        check: wanted.Check,
        columns: Sequence[wanted.Column],
        rows: Sequence[Sequence[str | None]],
    ) -> list[int]:
        """The places of those `rows` that break a CHECK; they are its columns' values as text.

        A row that the CHECK cannot be computed for breaks it. Raises libpq.Error where the CHECK
        asks for more than values.
        """
        values = ", ".join(
            f"(v ->> {place})::{column.type} as {libpq.identifier(column.name)}"
            for place, column in enumerate(columns)
        )
        query = (
            f'select "the place" from (select n - 1 as "the place", {values}'
            " from json_array_elements($1::json) with ordinality as r(v, n)) as t"
            f" where not ({check.expression})"
        )
        try:
            return [int(place) for (place,) in self._open().execute(query, json.dumps(rows))]
        except libpq.Error as error:
            if not bad_data(error):
                raise
        if len(rows) == 1:
            return [0]
        half = len(rows) // 2
        later = self.broken(check, columns, rows[half:])
        return [*self.broken(check, columns, rows[:half]), *(half + place for place in later)]

    def _open(self) -> libpq.Connection:
        if self._connection is None:
            self._connection = self._reach()
            self._connection.execute(load.SESSION.replace("set local", "set"))
            # A function of a CHECK may say that it reads no table, and wait for the load's lock.
            self._connection.execute("set lock_timeout = '2s'")
        return self._connection

    def close(self) -> None:
        """End the connection, if it was ever needed."""
        if self._connection is not None:
            self._connection.close()

"""What only the server knows: how it prints a value of a rare type, and whether it takes a row."""

import json
from collections.abc import Callable, Mapping, Sequence

from bootstrap import libpq
from bootstrap.move import load, wanted

# Classes of SQLSTATE: what a type does not take, and what breaks a constraint.
_BAD_DATA = ("22", "23")
# Types that round what they read.
_ROUNDING = ("numeric", "timestamp", "time ", "interval")


def bad_data(error: libpq.Error) -> bool:
    """Whether the server refuses the values, not the way they were brought."""
    return (error.sqlstate or "").startswith(_BAD_DATA)


def _readings(column: wanted.Column) -> dict[str, str]:
    """The types that a text of JSON is read as: `v` is the column's.

    `w` is the same without a modifier, where that rounds.
    """
    if column.bare in ("json", "jsonb"):
        # As such it would be a string.
        return {"v": "text"}
    if column.type != column.bare and column.bare.startswith(_ROUNDING):
        return {"v": column.type, "w": column.bare}
    return {"v": column.type}


def _printing(column: wanted.Column, readings: Mapping[str, str]) -> str:
    """The query that prints texts, which are read as COPY reads them: a cast would cut them."""
    columns = ", ".join(f"{name} {type_}" for name, type_ in readings.items())
    same = "v = w" if "w" in readings else "true"
    return (
        f"select case when {same} then v::{column.type}::text end"
        f" from rows from (json_to_recordset($1::json) as ({columns}))"
        " with ordinality order by ordinality"
    )


class Asker:
    """Asks over a connection of its own, since the other one is busy with a COPY.

    No table is read or written: the server is given the values themselves.
    """

    def __init__(self, reach: Callable[[], libpq.Connection]) -> None:
        self._reach = reach
        self._connection: libpq.Connection | None = None

    def __call__(self, column: wanted.Column, texts: Sequence[str]) -> Mapping[str, str | None]:
        """Each text as the column prints it; None for those that it does not take as they are."""
        if not texts:
            return {}
        readings = _readings(column)
        rows = json.dumps([dict.fromkeys(readings, text) for text in texts])
        try:
            found = self._open().execute(_printing(column, readings), rows)
        except libpq.Error as error:
            if not bad_data(error):
                raise
            if len(texts) == 1:
                return {texts[0]: None}
            half = len(texts) // 2
            return {**self(column, texts[:half]), **self(column, texts[half:])}
        return dict(zip(texts, (printed for (printed,) in found), strict=True))

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

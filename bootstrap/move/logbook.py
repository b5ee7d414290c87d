"""What the target itself remembers of moves: written in the same transaction as their rows."""

import json
from collections.abc import Mapping
from typing import Any

from bootstrap import libpq


class Logbook:
    """The table bootstrapd.move, for one app."""

    def __init__(self, connection: libpq.Connection, app: str) -> None:
        self._connection = connection
        self._app = app

    def is_there(self) -> bool:
        """Whether bootstrapd's record is in this database."""
        return bool(self._connection.row("select to_regclass('bootstrapd.move') is not null")[0])

    def moved(self) -> tuple[str, Mapping[str, Any]] | None:
        """The file that was moved into this database and the report on that, if one was."""
        rows = self._last("moved")
        return (rows[0][0], rows[0][1]) if rows else None

    def begun(self) -> bool:
        """Whether a move began when this database was empty."""
        return bool(self._last("begun"))

    def prepared(self) -> Mapping[str, int] | None:
        """The rows that the revisions put into an empty database, by table."""
        rows = self._last("prepared")
        return rows[0][1] if rows else None

    def write(self, state: str, source: str, report: Mapping[str, Any]) -> None:
        """Add an entry, which counts if the transaction does."""
        self._connection.execute(
            "insert into bootstrapd.move (app, state, source, report)"
            " values ($1, $2, $3, $4::json)",
            self._app,
            state,
            source,
            json.dumps(report),
        )

    def _last(self, state: str) -> list[libpq.Row]:
        try:
            return self._connection.execute(
                "select source, report from bootstrapd.move where app = $1 and state = $2"
                " order by id desc limit 1",
                self._app,
                state,
            )
        except libpq.Error as error:
            # Nobody has migrated this database yet, or an older release did.
            if error.sqlstate not in ("42P01", "3F000"):
                raise
            return []

"""The times of demo rows: a row is as old as its number, and all its times fit that."""

import datetime
import math
import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from . import chance, words
from .sources import Made, Source
from .values import Kind

# The interpreter is the app's own, which may be older than datetime.UTC.
_UTC = datetime.timezone.utc  # noqa: UP017
# The rows are spread over half a year. It ends at a fixed time: the same seed gives the same rows.
END = datetime.datetime(2026, 1, 1, tzinfo=_UTC)
SPAN_US = 180 * 86_400 * 1_000_000
HOUR_US = 3600 * 1_000_000
DAY_US = 24 * HOUR_US
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=_UTC)
_START_US = (END - _EPOCH) // datetime.timedelta(microseconds=1) - SPAN_US

_ENDED = re.compile(
    "^(completed|closed|ended?|finished|merged|removed|stopped|resolved|cancell?ed|archived"
    "|deleted|approved|rejected|revoked|failed|destroyed)_|_end_|^end_"
)
_FUTURE = re.compile("expire|expiry|^next_|due|deadline|valid_(to|until)")
_AFTER = re.compile("updated|modified|changed|^last_|synced|seen|applied|published|captured")
_MOMENT = re.compile("_at$|_at_(us|ms)$|_time_(us|ms)$|(^|_)timestamp(_us|_ms)?$|^last_\\w+_at$")
# What rows have in some states alone; without a state to go by, a share of them.
_BY_STATE: list[tuple[re.Pattern[str], frozenset[str], float]] = [
    (re.compile("^paused?_"), frozenset(["paused"]), 0.2),
    (re.compile("error|failure|reject"), frozenset(words.FAILED), 0.08),
    (_ENDED, frozenset(words.OVER), 0.5),
]


class Clock:
    """The times of a table's rows: a row is as old as its number, and all its times fit that."""

    def __init__(self, seed: int, first: int, rows: int, table: sa.Table) -> None:
        self.seed = seed
        self.first = first
        self.rows = rows
        self.table = table
        # A name may not tell the unit that those beside it do.
        self.in_us = any(column.name.endswith("_us") for column in table.columns)

    def counts(self, column: sa.Column[Any]) -> bool:
        """Whether a whole number counts time since 1970."""
        return bool(_MOMENT.search(column.name)) and not isinstance(column.type, sa.SmallInteger)

    def source(self, column: sa.Column[Any], kind: Kind, states: Made | None) -> Source:
        """The times of one column."""
        moment = self._moment(column.name, bool(column.nullable), states)
        if kind == "whole":
            if not isinstance(column.type, sa.BigInteger):
                divisor = 1_000_000
            else:
                divisor = 1 if self.in_us else 1_000
            return Made(lambda index: None if (us := moment(index)) is None else us // divisor)
        aware = _takes_zones(column)

        def at(index: int) -> Any:
            us = moment(index)
            if us is None:
                return None
            time = _EPOCH + datetime.timedelta(microseconds=us)
            if kind == "date":
                return time.date()
            return time if aware else time.replace(tzinfo=None)

        return Made(at)

    def _moment(
        self, name: str, nullable: bool, states: Made | None
    ) -> Callable[[int], int | None]:
        """Microseconds since 1970, or None."""
        first, rows, table = self.first, self.rows, self.table.fullname

        def born(index: int) -> int:
            return _START_US + int(SPAN_US * _rhythm((index - first) / rows))

        drawn = chance.fraction(self.seed, table, name)
        if _FUTURE.search(name):
            return lambda index: born(index) + int((1 + 60 * drawn(index)) * DAY_US)
        if _AFTER.search(name):
            return lambda index: born(index) + int(drawn(index) ** 2 * 12 * HOUR_US)
        fits = self.fits(name, states) if nullable else None
        if fits is None and not _ENDED.search(name):
            return born

        def over(index: int) -> int | None:
            if fits is not None and not fits(index):
                return None
            # Later than what is done in between.
            return born(index) + 12 * HOUR_US + int(drawn(index) ** 2 * 6 * DAY_US)

        return over

    def fits(self, name: str, states: Made | None) -> Callable[[int], bool] | None:
        """Whether a row's state has something of this name; None where that does not go by it."""
        found = next((each for each in _BY_STATE if each[0].search(name)), None)
        if found is None:
            return None
        _, wanted, share = found
        if states is not None:
            at = states.at
            return lambda index: at(index) in wanted
        drawn = chance.fraction(self.seed, self.table.fullname, name, "fits")
        return lambda index: drawn(index) < share


def _rhythm(share: float) -> float:
    """A share of all rows as a share of the time: there are more by day than by night.

    It never goes backwards, so rows keep their order, also beside those of other tables.
    """
    turn = 2 * math.pi * SPAN_US / DAY_US
    return share + 0.9 / turn * math.sin(turn * share)


def _takes_zones(column: sa.Column[Any]) -> bool:
    if not isinstance(column.type, sa.types.TypeDecorator):
        return bool(getattr(column.type, "timezone", False))
    process = column.type.process_bind_param
    try:
        process(END, sa.engine.default.DefaultDialect())
    except (TypeError, ValueError):
        return False
    return True

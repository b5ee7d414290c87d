"""Moments, dates and times of day."""

import datetime as dt
import decimal
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bootstrap.move.forms.form import BadValueError, Fixes, Kinds

_MOMENT = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<time>\d\d:\d\d(?::\d\d)?)(?:[.,](?P<fraction>\d{1,9}))?"
    r" ?(?P<zone>Z|z|UTC|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_DIGITS = str.maketrans("123456789", "000000000")
# A moment with so many digits after the second.
_SHAPES: Mapping[int, str] = {
    6: "0000-00-00 00:00:00.000000\0",
    0: "0000-00-00 00:00:00\0",
    3: "0000-00-00 00:00:00.000\0",
}
_UNITS: Mapping[str, int] = {"epoch_s": 1_000_000, "epoch_ms": 1000, "epoch_us": 1}
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001
_ISO = "an ISO 8601 time"
_SINCE_1970 = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{6})?", re.ASCII)


def learn(known: set[str], texts: set[str], parse: Callable[[str], object]) -> bool:
    """Whether all texts can be parsed; those that could are `known` from then on."""
    try:
        for text in texts - known:
            parse(text)
    except ValueError:
        return False
    known |= texts
    return True


class Moment:
    """timestamp and timestamptz. Text without a zone is UTC, as SQLAlchemy and SQLite write it.

    Numbers are times only by the rule for the column.
    """

    def __init__(self, digits: int, rule: str | None, *, zoned: bool) -> None:
        self._digits = digits
        self._rule = rule
        self._zoned = zoned
        self._suffix = "+00" if zoned else ""

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {str}:
            return None
        joined = "\0".join((*values, "")).replace("T", " ")
        # UTC may be said in one of two ways.
        if "Z\0" in joined:
            joined = joined.replace("Z\0", "\0")
        else:
            joined = joined.replace("+00:00\0", "\0")
        shape = joined.translate(_DIGITS)
        digits = next((each for each in _SHAPES if shape == _SHAPES[each] * len(values)), None)
        # Newer Pythons take midnight for the end of a day.
        if digits is None or digits > self._digits or " 24:" in joined:
            return None
        try:
            deque(map(dt.datetime.fromisoformat, values), maxlen=0)
        except ValueError:
            return None
        for _ in range(digits):
            if "0\0" not in joined:
                break
            joined = joined.replace("0\0", "\0")
        joined = joined.replace(".\0", "\0").replace("\0", f"{self._suffix}\0")
        return joined.split("\0")[:-1]

    def one(self, value: Any) -> str:
        if isinstance(value, str):
            moment, fraction = self._read(value)
        elif isinstance(value, int | float) and self._rule is not None:
            moment, fraction = self._counted(value)
        else:
            hint = "" if self._rule or isinstance(value, bytes) else " (or a rule: --time)"
            raise BadValueError("time", f"{_ISO}{hint}")
        text = f"{moment.year:04}-{moment:%m-%d %H:%M:%S}"
        fraction = fraction.rstrip("0")
        if len(fraction) > self._digits:
            wanted = f"at most {self._digits} digits after the second"
            raise BadValueError("time", wanted, self._rounded(moment, fraction))
        return f"{text}{f'.{fraction}' if fraction else ''}{self._suffix}"

    def _rounded(self, moment: dt.datetime, fraction: str) -> Fixes:
        unit = decimal.Decimal(1).scaleb(-self._digits)
        part = decimal.Decimal(f"0.{fraction}").quantize(unit, decimal.ROUND_HALF_UP)
        try:
            near = moment + dt.timedelta(microseconds=int(part * 1_000_000))
        except OverflowError:
            return {}
        return {"round": near.isoformat(" ", "microseconds")}

    def _read(self, text: str) -> tuple[dt.datetime, str]:
        found = _MOMENT.fullmatch(text.strip())
        if found is None:
            raise BadValueError("time", _ISO)
        try:
            moment = dt.datetime.fromisoformat(f"{found['date']} {found['time'] or '00:00'}")
            zone = found["zone"]
            if zone and zone not in ("Z", "z", "UTC"):
                ahead = dt.timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]) * (len(zone) > 3))
                if ahead and not self._zoned:
                    raise BadValueError("time", "a time without a zone, or in UTC")
                if ahead >= dt.timedelta(hours=16):
                    raise BadValueError("time", _ISO)
                moment += -ahead if zone[0] == "+" else ahead
        except (ValueError, OverflowError):
            raise BadValueError("time", f"{_ISO} that exists") from None
        return moment, found["fraction"] or ""

    def _counted(self, value: float) -> tuple[dt.datetime, str]:
        assert self._rule is not None
        try:
            moment = _EPOCH + _length(value, self._rule)
        except OverflowError:
            raise BadValueError("time", "a time before the year 10000") from None
        return moment.replace(microsecond=0), f"{moment.microsecond:06}"


def _length(value: float, rule: str) -> dt.timedelta:
    """How long so many units of the rule are."""
    exact = decimal.Decimal(repr(value)) * _UNITS[rule]
    try:
        if exact != exact.to_integral_value():
            raise BadValueError("time", "a count of whole microseconds")
        return dt.timedelta(microseconds=int(exact))
    except (ArithmeticError, ValueError):
        raise BadValueError("time", "a time before the year 10000") from None


class Date:
    """date; a time of day that is not midnight would be lost."""

    def __init__(self, rule: str | None) -> None:
        self._moment = Moment(6, rule, zoned=False)
        self._dates: set[str] = set()

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {str}:
            return None
        return values if learn(self._dates, set(values), _date) else None

    def one(self, value: Any) -> str:
        date, _, time = self._moment.one(value).partition(" ")
        if time != "00:00:00":
            raise BadValueError("time", "a date without a time of day")
        return date


def _date(text: str) -> dt.date:
    # Python also reads dates by the week.
    if text.translate(_DIGITS) != "0000-00-00":
        raise ValueError(text)
    return dt.date.fromisoformat(text)


def long(value: Any, rule: str | None) -> str:
    """A length of time, in words that PostgreSQL knows.

    SQLAlchemy writes it to SQLite as the moment that long after 1970 began; a number of some unit
    it is only by the rule for the column. Raises BadValueError.
    """
    if isinstance(value, str):
        found = _SINCE_1970.fullmatch(value)
        if found is None:
            return value
        try:
            length = dt.datetime.fromisoformat(value) - _EPOCH
        except ValueError:
            raise BadValueError("time", f"{_ISO} that exists") from None
    elif isinstance(value, int | float) and rule is not None:
        length = _length(value, rule)
    else:
        hint = "" if rule or isinstance(value, bytes) else " (or a rule: --time)"
        raise BadValueError("time", f"an interval{hint}")
    return f"{length.days} days {length.seconds}.{length.microseconds:06} seconds"


class TimeOfDay:
    """time without time zone, with so many digits after the second."""

    _FORM = re.compile(r"(?P<time>\d\d:\d\d(:\d\d)?)(?:\.(?P<fraction>\d{1,9}))?", re.ASCII)

    def __init__(self, digits: int) -> None:
        self._digits = digits

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:  # noqa: ARG002
        return None

    def one(self, value: Any) -> str:
        found = self._FORM.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise BadValueError("time", "a time of day, HH:MM:SS")
        try:
            text = f"{dt.time.fromisoformat(found['time']):%H:%M:%S}"
        except ValueError:
            raise BadValueError("time", "a time of day that exists") from None
        fraction = (found["fraction"] or "").rstrip("0")
        if len(fraction) > self._digits:
            raise BadValueError("time", f"at most {self._digits} digits after the second")
        return f"{text}.{fraction}" if fraction else text

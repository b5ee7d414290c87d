"""From SQLite's values to the text that PostgreSQL itself prints of them, many at a time.

A form gives a whole list of values in a few calls of C (`many`), or declines; then each value is
looked at alone (`one`), which says what is wrong with it. What it gives is escaped for COPY, and is
what `COPY ... TO` gives back: so the two sides can be compared byte by byte.
"""

import datetime as dt
import decimal
import fractions
import math
import operator
import re
import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bootstrap.move import jsontext
from bootstrap.move.problems import Action, Class
from bootstrap.move.wanted import Column

NULL = "\\N"
Kinds = set[type]
# A value that changes with each thing that is done about it is given up on.
Fixes = Mapping[Action, Any]

_ESCAPES = {
    "\\": "\\\\",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\v": "\\v",
    "\f": "\\f",
    "\r": "\\r",
}
_ESCAPING = str.maketrans(_ESCAPES)
_SPECIAL = tuple(_ESCAPES)
_DIGITS = str.maketrans("123456789", "000000000")
_HEXADECIMAL = str.maketrans("123456789abcdef", "000000000000000")


class BadValueError(Exception):
    """A value that the column does not take: its class, what is wanted, what could be put there."""

    def __init__(self, kind: Class, wanted: str, fixes: Fixes | None = None) -> None:
        super().__init__(wanted)
        self.kind = kind
        self.wanted = wanted
        self.fixes = fixes or {}


class Form(Protocol):
    """One type of the target."""

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        """All of them, or None where at least one needs a look of its own. None is NULL-free."""

    def one(self, value: Any) -> str:
        """One of them; raises BadValueError."""


def escaped(text: str) -> str:
    """As COPY writes it."""
    return text.translate(_ESCAPING)


def escaped_bytes(data: bytes) -> bytes:
    """The same for bytes of UTF-8."""
    for plain, written in _ESCAPES.items():
        data = data.replace(plain.encode(), written.encode())
    return data


# -- text -----------------------------------------------------------------------------------------


class Text:
    """text, varchar(n), char(n)."""

    def __init__(self, length: int | None, *, padded: bool = False) -> None:
        self._length = length
        self._padded = padded

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {str} or self._padded:
            return None
        if self._length is not None and max(map(len, values)) > self._length:
            return None
        joined = "\0".join(values)
        if joined.count("\0") != len(values) - 1 or not encodable(joined):
            return None
        return escaped_all(values, joined)

    def one(self, value: Any) -> str:
        text = _text(value)
        if "\0" in text:
            raise BadValueError("nul", "text without NUL", {"strip": text.replace("\0", "")})
        if not encodable(text):
            clean = text.encode("utf-8", "ignore").decode()
            raise BadValueError("utf8", "text in UTF-8", {"strip": clean})
        if self._length is not None and len(text) > self._length:
            raise BadValueError(
                "too_long", f"at most {self._length} characters", {"truncate": text[: self._length]}
            )
        return escaped(text.ljust(self._length or 0) if self._padded else text)


def encodable(text: str) -> bool:
    """Whether no lone surrogate is in it, which stands for a byte that is no UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def escaped_all(values: Sequence[str], joined: str) -> Sequence[str]:
    """`values`, which are `joined` by NUL, as COPY writes them."""
    found = [special for special in _SPECIAL if special in joined]
    if not found:
        return values
    for special in found:
        joined = joined.replace(special, _ESCAPES[special])
    return joined.split("\0")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            fixes: Fixes = {"convert": value.decode()}
        except UnicodeDecodeError:
            fixes = {}
        raise BadValueError("storage_class", "text", fixes)
    raise BadValueError("storage_class", "text", {"convert": _number_text(value)})


def _number_text(value: float) -> str:
    return float_text(value) if isinstance(value, float) else str(value)


class Enum:
    """An enumeration."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._rendered = {label: escaped(label) for label in labels}

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:  # noqa: ARG002
        try:
            return list(map(self._rendered.__getitem__, values))
        except KeyError:
            return None

    def one(self, value: Any) -> str:
        text = _text(value)
        if text not in self._rendered:
            raise BadValueError("enum", f"one of {', '.join(self._rendered)}")
        return self._rendered[text]


# -- numbers and booleans -------------------------------------------------------------------------


class Boolean:
    """0 and 1, true and false."""

    _WORDS: Mapping[Any, str] = {0: "f", 1: "t"}
    _TEXTS: Mapping[str, str] = {"false": "f", "true": "t"}
    _MORE: Mapping[str, int] = {
        **dict.fromkeys(("f", "n", "no", "off", "0"), 0),
        **dict.fromkeys(("t", "y", "yes", "on", "1"), 1),
    }

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {int}:
            return None
        try:
            return list(map(self._WORDS.__getitem__, values))
        except KeyError:
            return None

    def one(self, value: Any) -> str:
        if isinstance(value, int) and value in self._WORDS:
            return self._WORDS[value]
        if isinstance(value, str) and value.lower() in self._TEXTS:
            return self._TEXTS[value.lower()]
        fixes: dict[Action, Any] = {}
        if isinstance(value, float) and value in self._WORDS:
            fixes["convert"] = int(value)
        elif isinstance(value, str) and value.strip().lower() in self._MORE:
            fixes["convert"] = self._MORE[value.strip().lower()]
        raise BadValueError("boolean", "0, 1, true or false", fixes)


class Integer:
    """smallint, integer and bigint."""

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._least, self._most = -(1 << (8 * size - 1)), (1 << (8 * size - 1)) - 1
        self._any = size == 8

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {int}:
            return None
        if not self._any and (min(values) < self._least or max(values) > self._most):
            return None
        return list(map(int.__repr__, values))

    def one(self, value: Any) -> str:
        if not isinstance(value, int):
            raise BadValueError("storage_class", f"an {self._name}", _as_integer(value))
        if not self._least <= value <= self._most:
            raise BadValueError(
                "integer_range", f"an {self._name}, from {self._least} to {self._most}"
            )
        return str(value)


def _as_integer(value: Any) -> Fixes:
    if isinstance(value, float) and value.is_integer():
        return {"convert": int(value)}
    if isinstance(value, str) and re.fullmatch(r"\s*[-+]?[0-9]{1,19}(\.0*)?\s*", value):
        return {"convert": int(value.partition(".")[0])}
    return {}


class Double:
    """double precision."""

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {float}:
            return None
        joined = "\0".join(map(float.__repr__, values)) + "\0"
        # Exponents and infinities are spelt otherwise.
        if "e" in joined or "n" in joined or max(map(abs, values)) >= 1e15:
            return None
        return joined.replace(".0\0", "\0").split("\0")[:-1]

    def one(self, value: Any) -> str:
        if isinstance(value, float):
            return float_text(value)
        if isinstance(value, int):
            if int(float(value)) != value:
                raise BadValueError(
                    "precision", "a number that a double holds", {"round": float(value)}
                )
            return float_text(float(value))
        raise BadValueError("storage_class", "a number", _as_float(value))


class Single:
    """real, of which a double is one only if its digits fit."""

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:  # noqa: ARG002
        return None

    def one(self, value: Any) -> str:
        if not isinstance(value, int | float):
            raise BadValueError("storage_class", "a number", _as_float(value))
        try:
            (single,) = struct.unpack("f", struct.pack("f", value))
        except OverflowError:
            raise BadValueError("precision", "a number that a real holds") from None
        if math.isinf(single):
            return float_text(single)
        shortest = _inside(single, _next_single)
        if float(shortest) != value:
            raise BadValueError(
                "precision", "a number that a real holds", {"round": float(shortest)}
            )
        return _spelt(shortest, turn=6)


def _next_single(value: float, towards: float) -> float:
    """The real beside this one, in the direction of an infinity."""
    (bits,) = struct.unpack("i", struct.pack("f", abs(value)))
    outwards = (towards > 0) == (value > 0)
    (beside,) = struct.unpack("f", struct.pack("i", bits + (1 if outwards else -1)))
    return math.copysign(beside, value)


def _as_float(value: Any) -> Fixes:
    try:
        return {"convert": float(value)} if isinstance(value, str) else {}
    except ValueError:
        return {}


def float_text(value: float) -> str:
    """The shortest digits that are this number, as PostgreSQL writes them."""
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    shortest = repr(value) if abs(value) < _HALVES else _inside(value, math.nextafter)
    return _spelt(shortest, turn=15)


def _spelt(number: str, turn: int) -> str:
    """With an exponent from ten to the power of `turn` on, and below 0.0001."""
    minus = "-" if number.startswith("-") else ""
    _, digits, exponent = decimal.Decimal(number).normalize().as_tuple()
    assert isinstance(exponent, int)
    if digits == (0,):
        return f"{minus}0"
    point = len(digits) + exponent
    text = "".join(map(str, digits))
    if -4 < point <= turn:
        return minus + format(decimal.Decimal((0, digits, exponent)), "f")
    fraction = f".{text[1:]}" if len(text) > 1 else ""
    return f"{minus}{text[0]}{fraction}e{point - 1:+03d}"


def _inside(value: float, neighbour: Callable[[float, float], float]) -> str:
    """The shortest digits that lie nearer to this number than to any other of its type.

    Python also takes those that lie just in the middle; they are few, and all of large numbers.
    """
    exact = fractions.Fraction(value)
    for digits in range(17):
        text = f"{value:.{digits}e}"
        away = fractions.Fraction(text) - exact
        if not away:
            return text
        outwards = math.inf if away > 0 else -math.inf
        beside = neighbour(value, outwards)
        if math.isinf(beside):
            # The greatest there is: as far as to the next smaller one.
            beside = neighbour(value, -outwards)
        if 2 * abs(away) < abs(fractions.Fraction(beside) - exact):
            return text
    return repr(value)


class Numeric:
    """numeric, numeric(p, s)."""

    def __init__(self, modifier: Sequence[int]) -> None:
        self._places = (modifier[1] if len(modifier) > 1 else 0) if modifier else None
        self._whole = modifier[0] - (self._places or 0) if modifier else 0
        self._limit = 10.0**self._whole
        # SQLite's zero may have a sign, numeric has none.
        self._minus_zero = f"{-0.0:.{self._places or 0}f}"

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if self._places is None or not kinds <= {int, float}:
            return None
        if max(map(abs, values)) >= min(self._limit, 1e15):
            return None
        texts = list(map(f"{{:.{self._places}f}}".format, values))
        # What was cut off would show; beyond fifteen digits it is looked at more closely.
        if max(map(len, texts)) > 15 or list(map(float, texts)) != list(values):
            return None
        return None if self._minus_zero in texts else texts

    def one(self, value: Any) -> str:
        if not isinstance(value, int | float | decimal.Decimal):
            raise BadValueError("storage_class", "a number", _as_float(value))
        if value in (float("inf"), float("-inf")):
            if self._places is not None:
                raise BadValueError("precision", "a finite number")
            return float_text(float(value))
        number = decimal.Decimal(str(value))
        if number == 0:
            number = abs(number)
        if self._places is None:
            text = format(number, "f")
            return text[:-2] if isinstance(value, float) and text.endswith(".0") else text
        with decimal.localcontext(decimal.Context(prec=2000)):
            rounded = number.quantize(decimal.Decimal(1).scaleb(-self._places), _HALF_UP)
        if abs(rounded) >= decimal.Decimal(10) ** self._whole:
            raise BadValueError("precision", f"at most {self._whole} digits before the point")
        if rounded != number:
            raise BadValueError(
                "precision", f"at most {self._places} digits after the point", {"round": rounded}
            )
        return format(rounded, "f")


_HALVES = 2.0**53
_HALF_UP = decimal.ROUND_HALF_UP


# -- times ----------------------------------------------------------------------------------------

_MOMENT = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<time>\d\d:\d\d(?::\d\d)?)(?:[.,](?P<fraction>\d{1,9}))?"
    r" ?(?P<zone>Z|z|UTC|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_SHAPES = {"0000-00-00 00:00:00.000000", "0000-00-00T00:00:00.000000", ""}
_DATE, _TIME = operator.itemgetter(slice(10)), operator.itemgetter(slice(11, 19))
_UNITS: Mapping[str, int] = {"epoch_s": 1_000_000, "epoch_ms": 1000, "epoch_us": 1}
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001
_ISO = "an ISO 8601 time"


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
        self._dates: set[str] = set()
        self._times: set[str] = set()

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {str} or self._digits != 6 or set(map(len, values)) != {26}:
            return None
        joined = "\0".join((*values, ""))
        if not set(joined.translate(_DIGITS).split("\0")) <= _SHAPES:
            return None
        if not learn(self._dates, set(map(_DATE, values)), dt.date.fromisoformat):
            return None
        if not learn(self._times, set(map(_TIME, values)), dt.time.fromisoformat):
            return None
        joined = joined.replace("T", " ")
        # Noughts at the end of the fraction, of which there are six at most.
        for _ in range(6):
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
            raise BadValueError("time", f"at most {self._digits} digits after the second")
        return f"{text}{f'.{fraction}' if fraction else ''}{self._suffix}"

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
        exact = decimal.Decimal(repr(value)) * _UNITS[self._rule]
        try:
            if exact != exact.to_integral_value():
                raise BadValueError("time", "a count of whole microseconds")
            moment = _EPOCH + dt.timedelta(microseconds=int(exact))
        except (ArithmeticError, ValueError):
            raise BadValueError("time", "a time before the year 10000") from None
        return moment.replace(microsecond=0), f"{moment.microsecond:06}"


class Date:
    """date; a time of day that is not midnight would be lost."""

    def __init__(self, rule: str | None) -> None:
        self._moment = Moment(6, rule, zoned=False)
        self._dates: set[str] = set()

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {str} or set(map(len, values)) != {10}:
            return None
        if not all(value[4] == "-" for value in values):
            return None
        return values if learn(self._dates, set(values), dt.date.fromisoformat) else None

    def one(self, value: Any) -> str:
        date, _, time = self._moment.one(value).partition(" ")
        if time != "00:00:00":
            raise BadValueError("time", "a date without a time of day")
        return date


class TimeOfDay:
    """time without time zone."""

    _FORM = re.compile(r"(?P<time>\d\d:\d\d(:\d\d)?)(?:\.(?P<fraction>\d{1,6}))?", re.ASCII)

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
        return f"{text}.{fraction}" if fraction else text


# -- the others -----------------------------------------------------------------------------------


class Uuid:
    """uuid: text with or without hyphens, or 16 bytes."""

    _SHAPE = "00000000-0000-0000-0000-000000000000"

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {str}:
            return None
        shapes = set("\0".join(values).translate(_HEXADECIMAL).split("\0"))
        return values if shapes == {self._SHAPE} else None

    def one(self, value: Any) -> str:
        try:
            if isinstance(value, bytes) and len(value) == 16:
                return str(uuid.UUID(bytes=value))
            if isinstance(value, str) and re.fullmatch(
                r"\{?[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\}?", value
            ):
                return str(uuid.UUID(value))
        except ValueError:
            pass
        raise BadValueError("other", "a UUID")


class Bytes:
    """bytea."""

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {bytes}:
            return None
        return [f"\\\\x{value.hex()}" for value in values]

    def one(self, value: Any) -> str:
        if isinstance(value, bytes):
            return f"\\\\x{value.hex()}"
        text = value if isinstance(value, str) else _number_text(value)
        raise BadValueError("storage_class", "a blob", {"convert": text.encode(errors="replace")})


class Json:
    """json keeps its text, jsonb does not."""

    def __init__(self, *, binary: bool) -> None:
        self._binary = binary

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {str}:
            return None
        found = jsontext.many(values) if self._binary else jsontext.checked(values)
        if found is None:
            return None
        joined = "\0".join(found)
        return escaped_all(found, joined) if encodable(joined) else None

    def one(self, value: Any) -> str:
        if isinstance(value, bytes):
            return self.one(_text(value))
        # A JSON column of SQLite turns a text that is a number into one.
        text = value if isinstance(value, str) else _number_text(value)
        if not encodable(text):
            clean = text.encode("utf-8", "ignore").decode()
            raise BadValueError("utf8", "JSON in UTF-8", {"strip": clean})
        if "\0" in text:
            raise BadValueError("nul", "JSON without NUL", {"strip": text.replace("\0", "")})
        try:
            normal = jsontext.one(text)
        except jsontext.NulError:
            if self._binary:
                raise BadValueError(
                    "nul", "JSON without \\u0000", {"strip": jsontext.without_nul(text)}
                ) from None
            return escaped(text)
        except ValueError as error:
            raise BadValueError("json", f"JSON ({error})") from None
        return escaped(normal if self._binary else text)


class Asked:
    """Any other type: what the server itself makes of the text."""

    def __init__(
        self, type_: str, ask: Callable[[str, Sequence[str]], Mapping[str, str | None]]
    ) -> None:
        self._type = type_
        self._ask = ask
        self._known: dict[str, str | None] = {}

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {str}:
            return None
        new = [value for value in set(values) - self._known.keys() if encodable(value)]
        if new:
            if len(self._known) > 10_000:
                self._known.clear()
                new = [value for value in set(values) if encodable(value)]
            self._known.update(self._ask(self._type, [each for each in new if "\0" not in each]))
        found = list(map(self._known.get, values))
        if None in found:
            return None
        return [escaped(each) for each in found if each is not None]

    def one(self, value: Any) -> str:
        text = value if isinstance(value, str) else None
        if isinstance(value, int | float):
            text = _number_text(value)
        if text is not None and "\0" not in text and encodable(text):
            if text not in self._known:
                self._known.update(self._ask(self._type, [text]))
            found = self._known[text]
            if found is not None:
                return escaped(found)
        raise BadValueError("other", f"a value of type {self._type}")


class Array:
    """An array, which SQLite keeps as a JSON array."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:  # noqa: ARG002
        return None

    def one(self, value: Any) -> str:
        if isinstance(value, str) and value.lstrip().startswith("["):
            try:
                return self._asked.one(jsontext.array(value))
            except ValueError:
                raise BadValueError("json", "a JSON array") from None
        return self._asked.one(value)


def of(
    column: Column,
    rule: str | None,
    ask: Callable[[str, Sequence[str]], Mapping[str, str | None]],
) -> Form:
    """The form of a column; `rule` says what a number in a column of times is."""
    first = column.modifier[0] if column.modifier else None
    simple: Mapping[str, Callable[[], Form]] = {
        "bool": Boolean,
        "int2": lambda: Integer("smallint", 2),
        "int4": lambda: Integer("integer", 4),
        "int8": lambda: Integer("bigint", 8),
        "float4": Single,
        "float8": Double,
        "numeric": lambda: Numeric(column.modifier),
        "text": lambda: Text(None),
        "varchar": lambda: Text(first),
        "bpchar": lambda: Text(first, padded=True),
        "uuid": Uuid,
        "json": lambda: Json(binary=False),
        "jsonb": lambda: Json(binary=True),
        "timestamp": lambda: Moment(6 if first is None else first, rule, zoned=False),
        "timestamptz": lambda: Moment(6 if first is None else first, rule, zoned=True),
        "date": lambda: Date(rule),
        "time": TimeOfDay,
        "bytea": Bytes,
        "enum": lambda: Enum(column.labels),
    }
    if column.base in simple:
        return simple[column.base]()
    asked = Asked(column.type, ask)
    return Array(asked) if column.type.endswith("[]") else asked

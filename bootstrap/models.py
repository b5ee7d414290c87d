"""What the models of the shipped apps have in common: names, types, defaults made by the database.

The types give the same Python values on both dialects, and the tests hold that.
"""

import datetime
import decimal
import json
import math
import re
import time
import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import functions

# Without fixed names PostgreSQL chooses its own and SQLite none, and no revision could drop them.
NAMES = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


_LARGE_FLOAT = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9.]+e\+[0-9]+')
# An escaped NUL, and no escaped backslash before "u0000".
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class JSONText(sa.types.TypeDecorator[Any]):
    """A JSON value in a TEXT column; `shape` is the Python type that a value must have.

    Text that another program stored and that is no JSON comes back as it is.
    """

    impl = sa.Text
    cache_ok = True

    def __init__(self, shape: type = object) -> None:
        super().__init__()
        self.shape = shape

    def process_bind_param(self, value: Any, _: sa.Dialect) -> str | None:
        """The value as JSON text."""
        return None if value is None else json.dumps(value, ensure_ascii=False, allow_nan=False)

    def process_result_value(self, value: Any, _: sa.Dialect) -> Any:
        """The value that the text stands for."""
        if value is None:
            return None
        try:
            return read_json(value)
        except (ValueError, RecursionError):
            return value


class _JSON(JSONText):
    """A JSON value in a TEXT column that jsonb would hold too."""

    cache_ok = True

    def process_bind_param(self, value: Any, _: sa.Dialect) -> str | None:
        """The value as JSON text."""
        return None if value is None else write_json(value)


# jsonb on PostgreSQL, text on SQLite: a column of the type JSON would there turn a large number
# into a float. None is SQL's NULL, never JSON's null.
JSON = _JSON().with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


class Time(sa.types.TypeDecorator[datetime.datetime]):
    """A moment, in Python always aware and in UTC; a value without a zone is a ValueError.

    PostgreSQL has timestamptz, or with `zone=False` a timestamp that is UTC. SQLite has text of one
    length, so that it sorts by time: 2026-01-31T12:00:00.000000Z. Other ISO forms are read too.
    """

    impl = sa.DateTime
    cache_ok = True

    def __init__(self, *, zone: bool = True) -> None:
        super().__init__(timezone=zone)
        self.zone = zone

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """The type of the column."""
        on_sqlite = dialect.name == "sqlite"
        return dialect.type_descriptor(sa.Text() if on_sqlite else sa.DateTime(timezone=self.zone))

    def process_bind_param(
        self, value: datetime.datetime | None, dialect: sa.Dialect
    ) -> datetime.datetime | str | None:
        """The moment as the database keeps it."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"wanted a time with a zone, found {value.isoformat()}")
        moment = value.astimezone(datetime.UTC)
        if dialect.name == "sqlite":
            return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
        return moment if self.zone else moment.replace(tzinfo=None)

    def process_result_value(self, value: Any, _: sa.Dialect) -> datetime.datetime | None:
        """The moment in UTC."""
        if value is None:
            return None
        moment: datetime.datetime = (
            datetime.datetime.fromisoformat(value) if isinstance(value, str) else value
        )
        if moment.tzinfo is None:
            return moment.replace(tzinfo=datetime.UTC)
        return moment.astimezone(datetime.UTC)


class UUID(sa.types.TypeDecorator[str]):
    """A UUID, in Python its text in lower case; text that is none is a ValueError.

    PostgreSQL has its own type, SQLite 36 characters.
    """

    impl = sa.Uuid
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(as_uuid=False)

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """The type of the column."""
        on_sqlite = dialect.name == "sqlite"
        return dialect.type_descriptor(sa.String(36) if on_sqlite else sa.Uuid(as_uuid=False))

    def process_bind_param(self, value: Any, _: sa.Dialect) -> str | None:
        """Its text in one form."""
        return None if value is None else str(uuid.UUID(str(value)))


class Exact(sa.types.TypeDecorator[decimal.Decimal]):
    """A decimal number of `precision` digits, of which `scale` are after the point.

    More places are rounded, half away from zero; a number that does not fit is a ValueError. SQLite
    keeps a float or an integer, which tells all decimals of up to 15 digits apart.
    """

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        if precision > 15:
            raise ValueError(f"wanted at most 15 digits, found {precision}")
        super().__init__(precision, scale)
        self.precision = precision
        self.scale = scale

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """The type of the column."""
        if dialect.name == "sqlite":
            return _SQLiteNumeric(self.precision, self.scale)
        return dialect.type_descriptor(sa.Numeric(self.precision, self.scale))

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> decimal.Decimal | str | None:
        """The number in its places."""
        if value is None:
            return None
        number = self.fit(value)
        return str(number) if dialect.name == "sqlite" else number

    def process_result_value(self, value: Any, _: sa.Dialect) -> decimal.Decimal | None:
        """The number in its places."""
        return None if value is None else self.fit(value)

    def fit(self, value: decimal.Decimal | float | str) -> decimal.Decimal:
        """The number as a column of this type holds it; a float stands for its shortest form."""
        number = decimal.Decimal(str(value))
        if number.is_finite() and number.adjusted() < self.precision:
            places = decimal.Decimal(1).scaleb(-self.scale)
            rounded = number.quantize(places, decimal.ROUND_HALF_UP)
            if rounded.adjusted() < self.precision - self.scale:
                # There is no negative zero in a database.
                return rounded or abs(rounded)
        raise ValueError(f"{value} does not fit into numeric({self.precision}, {self.scale})")


class _SQLiteNumeric(sa.types.UserDefinedType[Any]):
    """NUMERIC with its digits, without SQLAlchemy's own detour over floats."""

    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        self.precision = precision
        self.scale = scale

    def get_col_spec(self, **_: Any) -> str:
        return f"NUMERIC({self.precision}, {self.scale})"


class now(functions.FunctionElement[Any]):  # noqa: N801 - it reads as the SQL that it is
    """The present moment as the default of a `Time` column; `zone` as there."""

    inherit_cache = True

    def __init__(self, *, zone: bool = True) -> None:
        super().__init__()
        self.zone = zone


class random_uuid(functions.FunctionElement[Any]):  # noqa: N801
    """A random UUID as the default of a `UUID` column."""

    inherit_cache = True


# SQLite counts milliseconds; three zeros give the text the length that `Time` writes.
SQLITE_NOW = "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"


@compiles(now, "sqlite")
def _now_on_sqlite(*_: Any, **__: Any) -> str:
    return f"({SQLITE_NOW})"


@compiles(now, "postgresql")
def _now_on_postgresql(element: now, *_: Any, **__: Any) -> str:
    return "now()" if element.zone else "timezone('utc', now())"


@compiles(random_uuid, "sqlite")
def _uuid_on_sqlite(*_: Any, **__: Any) -> str:
    two, variant = "hex(randomblob(2))", "substr('89ab', 1 + (random() & 3), 1)"
    return (
        f"(lower(hex(randomblob(4)) || '-' || {two} || '-4' || substr({two}, 2) || '-' || {variant}"
        f" || substr({two}, 2) || '-' || hex(randomblob(6))))"
    )


@compiles(random_uuid, "postgresql")
def _uuid_on_postgresql(*_: Any, **__: Any) -> str:
    return "gen_random_uuid()"


def write_json(value: Any) -> str:
    """JSON as its standard has it, which both databases give back as the same value.

    Raises ValueError for NaN, infinity and text with NUL characters.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if _NUL.search(text):
        raise ValueError("wanted JSON without NUL characters, which jsonb cannot hold")
    # jsonb keeps decimals: without a fraction, a large float would come back as an integer.
    return _LARGE_FLOAT.sub(_with_fraction, text) if "e+" in text else text


def read_json(text: str | bytes, **hooks: Any) -> Any:
    """Parse JSON as its standard has it: no NaN, no Infinity, no number that overflows to them.

    Raises ValueError, and RecursionError for nesting beyond what Python can follow. `hooks` go to
    `json.loads`.
    """
    return json.loads(text, parse_constant=_no_number, parse_float=_finite, **hooks)


def new_id() -> str:
    """A random id."""
    return str(uuid.uuid4())


def epoch_ms() -> int:
    """Milliseconds since 1970, as JavaScript's Date.now() counts them: 64 bits in a database."""
    return time.time_ns() // 1_000_000


def _with_fraction(match: re.Match[str]) -> str:
    found = match[0]
    return found if found[0] == '"' else f"{decimal.Decimal(found):f}.0"


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:20]} is too large a number")
    return number

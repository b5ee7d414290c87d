"""Whatever a column of any shipped app may hold comes back as it went in, on every database."""

import datetime
import decimal
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bootstrap import app, engine, models, target
from bootstrap.apps.agentpane.models.base import OneOf
from bootstrap.demo.schema import Table

UTC = datetime.UTC
Value = Any

# PostgreSQL has no NUL in a text, and half a surrogate pair is no character.
_LETTERS = st.characters(exclude_characters="\0", codec="utf-8")
TEXT = st.text(_LETTERS)
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.booleans() | NUMBERS | TEXT,
    lambda inner: (
        st.lists(st.none() | inner, max_size=4)
        | st.dictionaries(TEXT, st.none() | inner, max_size=4)
    ),
    max_leaves=12,
)
TIMES = st.datetimes(
    datetime.datetime(2, 1, 1),  # noqa: DTZ001 - their zones are drawn apart
    datetime.datetime(9998, 12, 31),  # noqa: DTZ001
    timezones=st.timezones()
    | st.integers(-1439, 1439).map(
        lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
    ),
)
AWKWARD = "'\"`\\;--%s:name{}\r\n\t\u2028\U0001d518🤖é"


def _columns() -> Iterator[sa.Column[Any]]:
    for name in app.SHIPPED:
        module, _, attribute = str(app.shipped(name).metadata).partition(":")
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        for table in found.tables.values():
            yield from table.columns


def _kind(type_: sa.types.TypeEngine[Any]) -> str:
    """What tells types apart whose values are not the same."""
    words = [repr(type_)]
    words += [
        f"{name}={getattr(type_, name)}" for name in ("zone", "values") if hasattr(type_, name)
    ]
    return " ".join(words)


# One column for each type that any column of any app has.
TYPES = {_kind(column.type): column.type for column in _columns()}
NAMES = {f"c{number}": type_ for number, type_ in enumerate(TYPES.values())}


def _values(type_: sa.types.TypeEngine[Any]) -> st.SearchStrategy[Value]:
    """All that a column of this type may hold."""
    if isinstance(type_, OneOf):
        return st.sampled_from(type_.values)
    if isinstance(type_, models.Exact):
        most = decimal.Decimal(10) ** (type_.precision - type_.scale)
        step = decimal.Decimal(1).scaleb(-type_.scale)
        return st.decimals(step - most, most - step, places=type_.scale)
    if isinstance(type_, sa.Integer):
        bits = 63 if isinstance(type_, sa.BigInteger) else 31
        return st.integers(-(2**bits), 2**bits - 1)
    if isinstance(type_, sa.String):
        return st.text(_LETTERS, max_size=type_.length)
    by_type: dict[type[Any], st.SearchStrategy[Value]] = {
        models.Time: TIMES,
        models.UUID: st.uuids().map(str),
        models.JSONText: JSON,
        sa.Boolean: st.booleans(),
        sa.Float: st.floats(allow_nan=False, allow_infinity=False),
    }
    return next(values for kind, values in by_type.items() if isinstance(type_, kind))


ROWS = st.fixed_dictionaries({name: st.none() | _values(type_) for name, type_ in NAMES.items()})


def _row(of: Callable[[sa.types.TypeEngine[Any]], Value]) -> dict[str, Value]:
    return {name: of(type_) for name, type_ in NAMES.items()}


def _largest(type_: sa.types.TypeEngine[Any], sign: int = 1) -> Value:
    """The value at the end of what a type can hold."""
    if isinstance(type_, models.Exact):
        return sign * (
            10 ** (type_.precision - type_.scale) - decimal.Decimal(1).scaleb(-type_.scale)
        )
    if isinstance(type_, sa.Integer):
        bits = 63 if isinstance(type_, sa.BigInteger) else 31
        return 2**bits - 1 if sign > 0 else -(2**bits)
    if isinstance(type_, sa.Float):
        return sign * 1.7976931348623157e308
    if isinstance(type_, models.JSONText):
        return {AWKWARD: [sign * (2**63), sign * 1.7976931348623157e308, sign * 5e-324, AWKWARD]}
    if isinstance(type_, models.Time):
        year, offset = (9998, -1439) if sign > 0 else (2, 1439)
        zone = datetime.timezone(datetime.timedelta(minutes=offset))
        return datetime.datetime(year, 12, 31, 23, 59, 59, 999_999, zone)
    if isinstance(type_, sa.String):
        return (AWKWARD * 20)[: type_.length]
    return None


@pytest.fixture
def table(database_url: str) -> Iterator[tuple[sa.Engine, Table]]:
    """A table with a column of every type, on each database."""
    where = target.parse(database_url)
    if where.path is not None:
        where.path.touch()
    metadata = sa.MetaData()
    columns = [sa.Column(name, type_) for name, type_ in NAMES.items()]
    made = sa.Table("every", metadata, sa.Column("id", sa.Integer, primary_key=True), *columns)
    open_engine = engine.make(where, engine.Options())
    metadata.create_all(open_engine)
    yield open_engine, made
    open_engine.dispose()


def _expected(value: Value) -> Value:
    return value.astimezone(UTC) if isinstance(value, datetime.datetime) else value


def test_no_type_is_left_out() -> None:
    assert len(TYPES) > 20
    assert {type(type_).__name__ for type_ in TYPES.values()} == {
        "BigInteger", "Boolean", "Double", "Exact", "Integer", "JSONText", "OneOf", "String",
        "Text", "Time", "UUID", "_JSON",
    }  # fmt: skip


@settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(row=_row(_largest))
@example(row=_row(lambda type_: _largest(type_, -1)))
@given(row=ROWS)
def test_what_goes_in_comes_back(table: tuple[sa.Engine, Table], row: dict[str, Value]) -> None:
    open_engine, every = table
    with open_engine.begin() as connection:
        (id_,) = connection.execute(sa.insert(every).values(row)).inserted_primary_key or (None,)
        found = connection.execute(sa.select(every).where(every.c.id == id_)).mappings().one()
        for name, value in row.items():
            assert found[name] == _expected(value), repr(NAMES[name])
            assert type(found[name]) is type(value), repr(NAMES[name])
        # And it is found by them.
        same = [
            every.c[name].is_not_distinct_from(value)
            for name, value in row.items()
            if value is None or not isinstance(NAMES[name], models.JSONText)
        ]
        assert connection.scalar(sa.select(every.c.id).where(every.c.id == id_, *same)) == id_


def test_a_megabyte_of_everything_awkward(table: tuple[sa.Engine, Table]) -> None:
    open_engine, every = table
    text = AWKWARD * 40_000
    assert len(text.encode()) > 1_000_000
    large: dict[str, Value] = {
        name: text
        for name, type_ in NAMES.items()
        if type(type_) is sa.Text or repr(type_) == "String()"
    }
    large |= {
        name: {"a": [text]} for name, type_ in NAMES.items() if isinstance(type_, models.JSONText)
    }
    with open_engine.begin() as connection:
        connection.execute(sa.insert(every).values(large))
        found = connection.execute(sa.select(every)).mappings().one()
        assert {name: found[name] for name in large} == large
        assert len(large) == 4

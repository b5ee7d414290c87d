"""What is sent for a value is what PostgreSQL prints of it, so that the bytes can be compared."""

import datetime as dt
import decimal
import json
import operator
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bootstrap.move import forms, single, source, wanted
from bootstrap.move.forms import jsontext
from tests.support.postgres import Server

Printed = Callable[[str, str], str]
_QUICK = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def printed(server18: Server) -> Iterator[Printed]:
    """`printed(type, text)`: the text that the server makes of a value."""
    url = server18.url("postgres")
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection:

        def ask(type_: str, text: str) -> str:
            row = connection.execute(f"select (%s::{type_})::text", [text]).fetchone()
            assert row is not None
            return str(row[0])

        yield ask


def form(type_: str, rule: str | None = None) -> forms.Form:
    base, _, rest = type_.partition("(")
    modifier = tuple(map(int, re.findall(r"\d+", rest)))
    column = wanted.Column("x", type_, base, modifier, True, False, False)
    return forms.of(column, rule, lambda *_: {})


def text(form: forms.Form, value: Any) -> str:
    """What is sent, after COPY's escapes are taken off; alone and among others it is the same."""
    one = form.one(value)
    many = form.many([value] * 3, {type(value)})
    assert many is None or list(many) == [one] * 3
    return single.unescaped(one.encode()).decode()


# -- numbers --------------------------------------------------------------------------------------


@_QUICK
@given(st.floats(allow_nan=False))
@example(1e15)
@example(999999999999999.9)
@example(0.0001)
@example(0.00009999)
@example(5e-324)
@example(1.7976931348623157e308)
@example(2.0**60)
@example(2.495286621171571e16)
@example(-0.0)
def test_doubles(printed: Printed, value: float) -> None:
    assert text(form("float8"), value) == printed("float8", repr(value))


@_QUICK
@given(st.floats(allow_nan=False, width=32))
@example(1e6)
@example(3.4028234663852886e38)
@example(8.484725402970672e19)
@example(999999.0)
def test_reals(printed: Printed, value: float) -> None:
    # What SQLite keeps of a real is the double with the fewest digits that is this real.
    short = float(printed("float4", repr(value)))
    assert text(form("float4"), short) == printed("float4", repr(value))


@_QUICK
@given(st.integers(-(10**9), 10**9), st.sampled_from(["numeric(12,3)", "numeric"]))
def test_numerics(printed: Printed, thousandths: int, type_: str) -> None:
    value = thousandths / 1000
    assert text(form(type_), value) == printed(type_, repr(value).removesuffix(".0"))


def as_number(type_: str, written: str) -> Any:
    """What a text is converted to where that is allowed."""
    with pytest.raises(forms.BadValueError) as caught:
        form(type_).one(written)
    assert caught.value.kind == "storage_class"
    return caught.value.fixes.get("convert")


@pytest.mark.parametrize(
    ("type_", "written"),
    [
        ("numeric", "12.50"),
        ("numeric", " -1e-5"),
        ("numeric", "1E+30"),
        ("numeric", "-Infinity"),
        ("numeric(20,2)", "12345678901234567.89"),
        ("numeric(20,2)", "0e50"),
        ("numeric(9,2)", "nan"),
        ("float8", "0.1"),
        ("float8", "1e22"),
        ("float8", "NaN"),
        ("float8", "-inf"),
        ("float4", ".1"),
        ("float4", "nan"),
        ("float4", "Infinity"),
    ],
)
def test_a_text_that_is_a_number_becomes_that_number(
    printed: Printed, type_: str, written: str
) -> None:
    assert text(form(type_), as_number(type_, written)) == printed(type_, written)


@pytest.mark.parametrize(
    ("type_", "written"),
    [
        ("numeric(9,2)", "1.005"),
        ("numeric(9,2)", "1e5000"),
        ("numeric(9,2)", "1e-5000"),
        ("numeric(9,2)", "inf"),
        ("float8", "12345678901234567890"),
        ("float8", "1e400"),
        ("float8", "1e-400"),
        ("float4", "16777217"),
        ("float4", "1e39"),
        ("float4", "1e400"),
    ],
)
def test_a_text_of_more_digits_than_the_column_keeps_is_not_cut(type_: str, written: str) -> None:
    with pytest.raises(forms.BadValueError) as caught:
        form(type_).one(as_number(type_, written))
    assert caught.value.kind == "precision"


@pytest.mark.parametrize("type_", ["numeric", "float8", "float4"])
@pytest.mark.parametrize("written", ["1_000", "\u0663", "0x10", "1e99999", "", ".", "nan 1"])
def test_what_only_looks_like_a_number_is_none(type_: str, written: str) -> None:
    assert as_number(type_, written) is None


@given(st.floats(-1e6, 1e6))
def test_a_digit_more_than_the_column_has_is_an_error(value: float) -> None:
    exact = decimal.Decimal(repr(value))
    fits = exact == exact.quantize(decimal.Decimal("0.01"))
    if fits:
        assert decimal.Decimal(form("numeric(9,2)").one(value)) == exact
    else:
        assert form("numeric(9,2)").many([value], {float}) is None
        with pytest.raises(forms.BadValueError) as caught:
            form("numeric(9,2)").one(value)
        assert caught.value.kind == "precision"


# -- JSON -----------------------------------------------------------------------------------------

_NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,8})?([eE][+-]?[0-9]{1,2})?", fullmatch=True
)
_STRINGS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


class _Raw(str):
    """A number by its digits."""

    __slots__ = ()


def _documents() -> st.SearchStrategy[Any]:
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        _NUMBERS.map(_Raw),
        _STRINGS,
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(_STRINGS, inner, max_size=5)
        ),
        max_leaves=12,
    )


def _written(value: Any, ascii_: bool) -> str:
    if isinstance(value, _Raw):
        return str(value)
    if isinstance(value, dict):
        pairs = (
            f"{json.dumps(key, ensure_ascii=ascii_)} :{_written(each, ascii_)}"
            for key, each in value.items()
        )
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[ " + ",".join(_written(each, ascii_) for each in value) + "]"
    return json.dumps(value, ensure_ascii=ascii_)


@_QUICK
@given(_documents(), st.booleans())
@example({"b": 1, "a": [], "aa": {}, "": None, "é": 1, "zz": 2}, False)
@example(_Raw("1.50"), True)
@example(_Raw("-0.0"), True)
@example(_Raw("1E400"), True)
def test_jsonb(printed: Printed, document: Any, ascii_: bool) -> None:
    written = _written(document, ascii_)
    assert text(form("jsonb"), written) == printed("jsonb", written)


_SHAPES = (
    '{"kind": %s, "n": %s, "ok": [%s, %s]}',
    '{"b":%s,"aa":{"d":%s},"a":[%s,{"b":%s}]}',
    ' {"b": %s, "a": %s, "b": %s, "100%%": %s }',
    "[%s, [%s, %s], {}, %s]",
    "{%s: %s, %s: %s}",
    "%s %s %s, %s",
)
_LEAVES = st.one_of(
    _NUMBERS,
    _STRINGS.map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(
        ["true", "null", "[]", "{}", '[1, "a"]', "[1,2]", "-0.0", "1e5", "01", '"\\n"']
    ),
    st.text(st.sampled_from('"\\,:{}[] 01-.eE\0\1aé\udc80'), max_size=4),
)


@_QUICK
@given(
    st.lists(
        st.builds(
            operator.mod,
            st.sampled_from(_SHAPES),
            st.tuples(_LEAVES, _LEAVES, _LEAVES, _LEAVES),
        ),
        min_size=1,
        max_size=8,
    )
)
@example(["[1, [1, 1], {}, 1]", "[1, [1, 1], {}, 1]\1\0[1, [1, 1], {}, 1]", "0"])
@example(["[1, [1, 1], {}, 1]", "x[1, [1, 1], {}, 1]"])
@example(["{1: 2}", '{"a": 2}'])
@example(['{"a": 1 "b": 2}', '{"a": 1, 2}', '["a": 1]'])
def test_documents_of_a_shape_seen_before_are_printed_as_if_they_were_new(
    documents: list[str],
) -> None:
    """Whatever was learnt before, and whatever is among them."""
    form_ = form("jsonb")
    expected = [alone(form("jsonb"), each) for each in documents]
    for first, last in ((0, 1), (0, len(documents)), (0, len(documents))):
        some, wanted_ = documents[first:last], expected[first:last]
        found = form_.many(some, {str})
        assert list(found) == wanted_ if found is not None else True
        if None in wanted_:
            assert found is None


def test_documents_of_one_shape_are_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    form_ = form("jsonb")
    some = [f'{{"name": "x{n}", "id": {n}, "tags": [{n}.50, "100%"]}}' for n in range(9)]
    wanted_ = [form_.one(text) for text in some]
    form_.many(some[:1], {str})
    monkeypatch.delattr(jsontext, "many")
    assert form_.many(some, {str}) == wanted_


def alone(form: forms.Form, value: Any) -> str | None:
    try:
        return form.one(value)
    except forms.BadValueError:
        return None


def test_of_the_same_key_the_last_one_counts(printed: Printed) -> None:
    written = '{"b": 1, "a": 2, "b": 3}'
    assert text(form("jsonb"), written) == printed("jsonb", written) == '{"a": 2, "b": 3}'


def test_json_keeps_its_text() -> None:
    assert text(form("json"), '{"b":1,\n "a":2.50}') == '{"b":1,\n "a":2.50}'


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("{", "json"),
        ("{'a': 1}", "json"),
        ('{"a": NaN}', "json"),
        ('["\\ud800"]', "json"),
        ('{"a": 1} x', "json"),
        ("", "json"),
        ('"\\u0000"', "nul"),
        ("[1, 2" + "]" * 2, "json"),
    ],
)
def test_what_jsonb_does_not_take(server18: Server, written: str, kind: str) -> None:
    with psycopg.connect(server18.url("postgres")) as connection, pytest.raises(psycopg.DataError):
        connection.execute("select %s::jsonb", [written])
    good = '{"a": 1}'
    assert jsontext.many([good, written, good]) is None or kind == "json"
    with pytest.raises(forms.BadValueError) as caught:
        form("jsonb").one(written)
    assert caught.value.kind == kind
    assert form("jsonb").many([good, written, good], {str}) is None


def test_two_halves_do_not_pass_for_two_documents() -> None:
    assert form("jsonb").many(['["a', 'b"]'], {str}) is None
    assert form("jsonb").many(["[1", "2]"], {str}) is None


# -- times ----------------------------------------------------------------------------------------

_MOMENTS = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30))  # noqa: DTZ001


@_QUICK
@given(_MOMENTS, st.sampled_from([" ", "T"]), st.sampled_from(["timestamp", "timestamptz"]))
@example(dt.datetime(2024, 2, 29), " ", "timestamptz")  # noqa: DTZ001
def test_moments(printed: Printed, moment: dt.datetime, between: str, type_: str) -> None:
    for written in (moment.isoformat(between), moment.isoformat(between, "microseconds")):
        assert text(form(type_), written) == printed(type_, written)


@_QUICK
@given(_MOMENTS, st.integers(-15 * 60, 15 * 60))
def test_moments_with_a_zone(printed: Printed, moment: dt.datetime, minutes: int) -> None:
    zone = dt.timezone(dt.timedelta(minutes=minutes))
    written = moment.replace(tzinfo=zone).isoformat()
    assert text(form("timestamptz"), written) == printed("timestamptz", written)


_ZONES = st.sampled_from(["", "Z", "+00:00", "+00:00Z", "Z+00:00", "+00", "+01:00", "z", " "])
_SPECS = st.sampled_from(["auto", "seconds", "milliseconds", "microseconds"])


@_QUICK
@given(
    st.lists(_MOMENTS, min_size=1, max_size=4),
    st.sampled_from([" ", "T", "t", "\0"]),
    _SPECS,
    _ZONES,
    st.sampled_from(["timestamp", "timestamptz", "timestamp(3)", "timestamptz(0)"]),
)
@example([dt.datetime(2024, 1, 1)], " ", "microseconds", "", "timestamp")  # noqa: DTZ001
@example([dt.datetime(2024, 1, 1, 0, 0, 30)], "T", "seconds", "Z", "timestamp")  # noqa: DTZ001
def test_many_moments_are_printed_as_each_alone(
    moments: list[dt.datetime], between: str, digits: str, zone: str, type_: str
) -> None:
    written = [moment.isoformat(between, digits) + zone for moment in moments]
    found = form(type_).many(written, {str})
    assert found is None or list(found) == [alone(form(type_), each) for each in written]


@pytest.mark.parametrize(
    "written",
    ["2024-01-01 00:00:00", "2024-01-01T00:00:30.120Z", "2024-01-01 10:00:00.100000+00:00"],
)
def test_the_usual_ways_to_write_a_moment_are_read_together(written: str) -> None:
    assert form("timestamptz").many([written] * 2, {str}) is not None


@pytest.mark.parametrize("hour", ["24:00:00", "24:00:00.000000"])
def test_the_end_of_a_day_is_looked_at_alone(hour: str) -> None:
    assert form("timestamp").many([f"2024-01-01 {hour}"], {str}) is None


@pytest.mark.parametrize(
    "length",
    [
        dt.timedelta(days=3, seconds=5),
        dt.timedelta(microseconds=1),
        dt.timedelta(seconds=-5),
        dt.timedelta(0),
        dt.timedelta(days=40_000, hours=23),
    ],
)
def test_a_length_of_time_as_sqlalchemy_keeps_it(server18: Server, length: dt.timedelta) -> None:
    table = sa.Table("nap", sa.MetaData(), sa.Column("length", sa.Interval()))
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        table.create(connection)
        connection.execute(table.insert().values(length=length))
        kept = connection.exec_driver_sql("select length from nap").scalar_one()
    engine.dispose()
    assert isinstance(kept, str)
    for value, rule in (
        (kept, None),
        (length // dt.timedelta(microseconds=1), "epoch_us"),
        (length.total_seconds(), "epoch_s"),
    ):
        with psycopg.connect(server18.url("postgres")) as connection:
            sent = text(interval(rule), value)
            assert connection.execute("select %s::interval", [sent]).fetchall() == [(length,)]


def interval(rule: str | None = None) -> forms.Form:
    column = wanted.Column("x", "interval", "other", (), True, False, False, bare="interval")
    return forms.of(column, rule, lambda _, texts: {each: each for each in texts})


@pytest.mark.parametrize("type_", ["timestamp", "timestamptz", "timestamp(0)", "timestamptz(3)"])
@pytest.mark.parametrize(
    "written",
    [
        "2024-06-01T12:00:00.1234567Z",
        "2024-06-01 12:00:00.123456499",
        "2024-12-31 23:59:59.999999999",
        "0001-01-01 00:00:00.000600001",
    ],
)
def test_a_finer_fraction_is_rounded_where_that_is_allowed(
    printed: Printed, type_: str, written: str
) -> None:
    column = form(type_)
    with pytest.raises(forms.BadValueError) as caught:
        column.one(written)
    assert caught.value.kind == "time"
    assert text(column, caught.value.fixes["round"]) == printed(type_, written)


@pytest.mark.parametrize("value", [5, 5.0, b"5", "1970-02-30 00:00:00"])
def test_what_is_no_length_of_time(value: Any) -> None:
    assert interval().many([value], {type(value)}) is None
    with pytest.raises(forms.BadValueError) as caught:
        interval().one(value)
    assert caught.value.kind == "time"


def test_a_text_becomes_the_bytes_that_it_is_made_of() -> None:
    with pytest.raises(forms.BadValueError) as caught:
        form("bytea").one(source.decoded(b"a\xff\xed\xa0\x80\xc3\xa9"))
    assert caught.value.fixes == {"convert": b"a\xff\xed\xa0\x80\xc3\xa9"}


@pytest.mark.parametrize("written", ["2024-W01-1", "2024-1-01x", "20240101", "2024-02-30"])
def test_what_is_no_date(written: str) -> None:
    assert form("date").many([written], {str}) is None
    with pytest.raises(forms.BadValueError):
        form("date").one(written)


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        ("epoch_s", 1717171717, "2024-05-31 16:08:37+00"),
        ("epoch_s", 1717171717.5, "2024-05-31 16:08:37.5+00"),
        ("epoch_ms", 1717171717123, "2024-05-31 16:08:37.123+00"),
        ("epoch_us", 1717171717123456, "2024-05-31 16:08:37.123456+00"),
        ("epoch_s", -1, "1969-12-31 23:59:59+00"),
    ],
)
def test_numbers_are_times_by_a_rule_alone(rule: str, value: float, expected: str) -> None:
    assert text(form("timestamptz", rule), value) == expected
    with pytest.raises(forms.BadValueError, match="--time"):
        form("timestamptz").one(value)


@pytest.mark.parametrize(
    "written",
    [
        "2024-02-30",
        "2024-13-01 00:00:00",
        "24-01-01",
        "now",
        "infinity",
        "2024-01-01 25:00:00",
        "1717171717",
        "2024-01-01 00:00:00.0000001",
        "",
    ],
)
def test_what_is_no_moment(written: str) -> None:
    with pytest.raises(forms.BadValueError) as caught:
        form("timestamp").one(written)
    assert caught.value.kind == "time"


# -- text -----------------------------------------------------------------------------------------


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_text_comes_as_it_is(value: str) -> None:
    assert text(form("text"), value) == value


# -- UUIDs ----------------------------------------------------------------------------------------

_WAYS: list[Callable[[uuid.UUID], str]] = [
    str,
    lambda each: each.hex,
    lambda each: each.hex.upper(),
    lambda each: f"{{{each}}}",
]


@given(st.uuids(), st.sampled_from(_WAYS))
def test_uuids_in_any_of_their_ways(value: uuid.UUID, way: Callable[[uuid.UUID], str]) -> None:
    assert text(form("uuid"), way(value)) == str(value)


@pytest.mark.parametrize(("usual", "other"), [(str, _WAYS[1]), (_WAYS[1], str)])
def test_uuids_are_read_together_in_the_way_of_the_first_ones_alone(
    usual: Callable[[uuid.UUID], str], other: Callable[[uuid.UUID], str]
) -> None:
    values = [uuid.UUID(int=number) for number in range(3)]
    column = form("uuid")
    assert column.many(["none"], {str}) is None
    for _ in range(2):
        together = column.many(list(map(usual, values)), {str})
        assert together is not None
        assert list(together) == list(map(str, values))
        assert column.many(list(map(other, values)), {str}) is None

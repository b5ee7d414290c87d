"""Believable values, by a column's type and, where that says little, by its name."""

import datetime
import decimal
import random
import re
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from . import words
from .schema import Bounds

Kind = Literal[
    "uuid", "json", "choice", "switch", "whole", "number", "time", "date", "clock", "span",
    "binary", "list", "text", "unknown",
]  # fmt: skip
# So many different values have the columns that need not be unique.
POOL = 1_000
MAX_INT = {sa.SmallInteger: 2**15 - 1, sa.BigInteger: 2**53}

_POSTGRESQL: sa.engine.Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]

Make = Callable[[random.Random], Any]


def kind_of(column: sa.Column[Any], bounds: Bounds, dialect: sa.engine.Dialect) -> Kind:
    """What sort of values a column takes."""
    types = (column.type, column.type.dialect_impl(dialect))
    if choices(column, bounds):
        return "choice"
    if _items(column) is not None:
        return "list"
    if any(isinstance(each, sa.JSON) or hasattr(each, "shape") for each in types):
        return "json"
    if any("uuid" in type(each).__name__.lower() for each in types):
        return "uuid"
    python = python_type(column.type)
    # In this order: a switch is a whole number and a time is a date too.
    kinds: list[tuple[type, Kind]] = [
        (bool, "switch"),
        (int, "whole"),
        (decimal.Decimal, "number"),
        (float, "number"),
        (datetime.datetime, "time"),
        (datetime.date, "date"),
        (datetime.time, "clock"),
        (datetime.timedelta, "span"),
        (bytes, "binary"),
        (str, "text"),
        (uuid.UUID, "uuid"),
    ]
    return next((kind for each, kind in kinds if issubclass(python, each)), "unknown")


def python_type(type_: Any) -> type:
    """What the values are in Python; `object` where the type does not tell."""
    try:
        found: type = type_.python_type
    except NotImplementedError:
        found = object
    # A decorator does not say what the type says that it decorates.
    if found is object and isinstance(type_, sa.types.TypeDecorator):
        return python_type(type_.impl)
    return found


def _items(column: sa.Column[Any]) -> Any:
    """The type of what is in an array, which a column may be on PostgreSQL alone."""
    on_postgres = column.type.dialect_impl(_POSTGRESQL)
    return on_postgres.item_type if isinstance(on_postgres, sa.ARRAY) else None


def choices(column: sa.Column[Any], bounds: Bounds) -> list[str] | None:
    """The words of which a column holds one, as its checks or its type list them."""
    if bounds.values:
        return bounds.values
    listed = getattr(column.type, "enums", None) or getattr(column.type, "values", None)
    listed = listed or column.info.get("values")
    if listed is None or callable(listed):
        return None
    return [str(getattr(each, "value", each)) for each in listed]


def pool(
    column: sa.Column[Any],
    kind: Kind,
    bounds: Bounds,
    rng: random.Random,
) -> list[Any] | None:
    """Values to draw from, NULL among them where the column may hold it; None for no idea."""
    if kind == "choice":
        return _weighted(choices(column, bounds) or [], rng)
    make = _maker(column, kind, bounds)
    if make is None:
        return None
    made = [make(rng) for _ in range(POOL)]
    share = _null_share(column)
    return [None if rng.random() < share else value for value in made]


def text_length(column: sa.Column[Any]) -> int | None:
    """How long a text may be; None for any length."""
    return getattr(column.type, "length", None)


def ranges(column: sa.Column[Any], bounds: Bounds) -> tuple[int, int]:
    """The least and the highest whole number that a column may be given, by type and checks."""
    most = next((most for type_, most in MAX_INT.items() if isinstance(column.type, type_)), 2**31)
    low = 0 if bounds.low is None else int(bounds.low)
    return low, int(most - 1 if bounds.high is None else bounds.high)


def _null_share(column: sa.Column[Any]) -> float:
    if not column.nullable or column.server_default is not None or column.default is not None:
        return 0.0
    return 0.92 if _RARE.search(column.name) else 0.25


def _weighted(listed: Sequence[str], rng: random.Random) -> list[str]:
    """The first words more often than the last, as states and levels mostly are listed."""
    weights = [1 / (place + 1.5) for place in range(len(listed))]
    return [*listed, *rng.choices(listed, weights, k=POOL)]


_SELDOM = re.compile("default|revoked|deleted|archived|locked|hidden|admin|error|failed")
_NAMES = re.compile("(tag|label|scope|host|skill|command|tool|topic|categorie|feature)s$")
_LISTS = re.compile(
    "(step|node|edge|turn|mount|agent|plugin|input|output|item|entrie|message|dependencie|child)s?$"
    "|children|conversation|history|list"
)
_RARE = re.compile("error|failure|reason|deleted|removed|rejected|stack")


def _maker(column: sa.Column[Any], kind: Kind, bounds: Bounds) -> Make | None:
    name = column.name.lower()
    if kind == "uuid":
        as_text = not (getattr(column.type, "as_uuid", False))
        return lambda rng: _uuid(rng, as_text=as_text)
    if kind == "json":
        return _json(column, name)
    if kind == "list":
        numbers = python_type(_items(column)) in (int, float, decimal.Decimal)
        draw: Make = (lambda rng: rng.randrange(100)) if numbers else _noun
        return lambda rng: [draw(rng) for _ in range(rng.randrange(4))]
    if kind == "switch":
        share = 0.1 if _SELDOM.search(name) else 0.8
        return lambda rng: rng.random() < share
    if kind == "whole":
        return _whole(column, name, bounds)
    if kind == "number":
        return _number(column, name, bounds)
    if kind == "clock":
        return lambda rng: datetime.time(rng.randrange(24), rng.randrange(60))
    if kind == "span":
        return lambda rng: datetime.timedelta(seconds=rng.randrange(1, 86_400))
    if kind == "binary":
        return lambda rng: rng.randbytes(min(text_length(column) or 32, 32))
    if kind == "text":
        return _cut(_text(name), text_length(column))
    return None


def _uuid(rng: random.Random, *, as_text: bool) -> Any:
    made = uuid.UUID(int=rng.getrandbits(128), version=4)
    return str(made) if as_text else made


def _object(rng: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = {
        rng.choice(words.KEYS): rng.choice((rng.randrange(1000), rng.random() < 0.5, _noun(rng)))
        for _ in range(rng.randrange(4))
    }
    if rng.random() < 0.3:
        made["tags"] = [_noun(rng) for _ in range(rng.randrange(4))]
    return made


def _json(column: sa.Column[Any], name: str) -> Make:
    default = str(getattr(column.server_default, "arg", ""))
    shape = getattr(column.type, "shape", None)
    if shape is dict or "{" in default:
        return _object
    if _NAMES.search(name):
        return lambda rng: [_noun(rng) for _ in range(rng.randrange(4))]
    return _list if shape is list or "[" in default or _LISTS.search(name) else _object


def _list(rng: random.Random) -> list[Any]:
    return [{"name": _noun(rng), "value": rng.randrange(100)} for _ in range(rng.randrange(5))]


# The highest that a number with such a name is likely to be.
_SCALES: list[tuple[str, int]] = [
    ("cpu|core|worker|replica|concurrent|parallel", 16),
    ("token", 20_000),
    ("_ms$|duration|runtime|elapsed|latency", 60_000),
    ("bytes|size|memory", 8_192),
    ("port", 65_535),
    ("percent|confidence|score|progress", 100),
    ("timeout|minutes|seconds|interval", 120),
    ("retr|attempt|rejection|priority|level|rank|version", 5),
    ("index|position|order|offset|turn|iteration|step", 40),
    ("count|number|quantity|total|lines|files", 200),
]


def _whole(column: sa.Column[Any], name: str, bounds: Bounds) -> Make:
    low, high = ranges(column, bounds)
    top = max(low, min(high, low + _likely(name)))
    # Small numbers are more frequent than large ones.
    return lambda rng: low + int((top - low) * rng.random() ** 2)


def _number(column: sa.Column[Any], name: str, bounds: Bounds) -> Make:
    scale = getattr(column.type, "scale", None)
    digits = getattr(column.type, "precision", None)
    small = re.search("rate|ratio|share|temperature|probability|confidence", name)
    top = 1.0 if small else float(_likely(name))
    if digits and scale is not None:
        top = min(top, 10.0 ** (digits - scale) - 1)
    low = bounds.low or 0.0
    high = bounds.high if bounds.high is not None else low + top
    places = 2 if scale is None else min(scale, 2)
    exact = python_type(column.type) is decimal.Decimal

    def make(rng: random.Random) -> Any:
        number = round(low + (high - low) * rng.random() ** 2, places)
        return decimal.Decimal(f"{number:.{places}f}") if exact else number

    return make


def _likely(name: str) -> int:
    return next((most for pattern, most in _SCALES if re.search(pattern, name)), 1000)


def _noun(rng: random.Random) -> str:
    return rng.choice(words.NOUNS)


def _title(rng: random.Random) -> str:
    return f"{rng.choice(words.ADJECTIVES)} {_noun(rng)}".capitalize()


def _sentence(rng: random.Random) -> str:
    verb, adjective = rng.choice(words.VERBS), rng.choice(words.ADJECTIVES)
    return f"{verb} the {adjective} {_noun(rng)} for the {_noun(rng)}".capitalize()


def _prose(rng: random.Random) -> str:
    return ". ".join(_sentence(rng) for _ in range(rng.randrange(1, 6))) + "."


def person(rng: random.Random) -> str:
    """A person's name."""
    return f"{rng.choice(words.FIRST_NAMES)} {rng.choice(words.LAST_NAMES)}"


def email(name: str, number: int) -> str:
    """The address of this person, in a domain that is set aside for examples."""
    return f"{name.lower().replace(' ', '.')}.{number}@example.com"


def _email(rng: random.Random) -> str:
    return email(person(rng), rng.randrange(100))


def _slug(rng: random.Random) -> str:
    return f"{rng.choice(words.ADJECTIVES)}-{_noun(rng)}"


def _hex(length: int) -> Make:
    return lambda rng: f"{rng.getrandbits(4 * length):0{length}x}"


def _one(listed: Sequence[str]) -> Make:
    return lambda rng: rng.choice(listed)


def _path(rng: random.Random) -> str:
    return f"/srv/{_noun(rng)}/{_slug(rng)}"


def _url(rng: random.Random) -> str:
    return f"https://{_noun(rng)}.example.com/{_slug(rng)}"


# The first that fits counts.
_TEXTS: list[tuple[str, Make]] = [
    ("e?mail", _email),
    ("first_?name|given_?name", _one(words.FIRST_NAMES)),
    ("last_?name|surname|family_?name", _one(words.LAST_NAMES)),
    ("user_?name|login|owner|author|_by$|org", lambda rng: person(rng).lower().replace(" ", ".")),
    ("phone", lambda rng: f"+1 555 01{rng.randrange(100):02d}"),
    ("url|website|link|endpoint", _url),
    ("path|cwd|dir|file", _path),
    ("host|domain", lambda rng: f"{_slug(rng)}.example.com"),
    ("(^|_)ip(_|$)|address", lambda rng: f"192.0.2.{rng.randrange(1, 255)}"),
    ("password|hash|sha|token|secret|fingerprint|digest|checksum|signature|encrypted", _hex(40)),
    ("(^|_)(id|key|uid|ref)$", _hex(16)),
    ("state|status", _one(words.STATES)),
    ("severity|priority|level", _one(words.LEVELS)),
    ("role", _one(words.ROLES)),
    ("stage|phase", _one(words.STAGES)),
    ("currency", _one(words.CURRENCIES)),
    ("country", _one(words.COUNTRIES)),
    ("city", _one(words.CITIES)),
    ("industry", _one(words.INDUSTRIES)),
    ("provider|vendor", _one(words.PROVIDERS)),
    ("model", _one(words.MODELS)),
    ("version", lambda rng: f"{rng.randrange(5)}.{rng.randrange(20)}.{rng.randrange(10)}"),
    ("branch", lambda rng: rng.choice(("main", f"feature/{_slug(rng)}"))),
    ("repo|namespace|slug|channel|tool|server", _slug),
    ("image", lambda rng: f"{_noun(rng)}:{rng.randrange(1, 9)}.{rng.randrange(20)}"),
    ("(^|_)(type|kind|category|format)$", lambda rng: f"{_noun(rng)}.{rng.choice(words.EVENTS)}"),
    ("error|failure|reason", _one(words.ERRORS)),
    ("name|label", _title),
    ("title|subject|goal|task|step", _sentence),
    ("content|message|body|description|summary|text|note|comment|analysis|readme|plan", _prose),
]


def _text(name: str) -> Make:
    return next((make for pattern, make in _TEXTS if re.search(pattern, name)), _title)


def _cut(make: Make, length: int | None) -> Make:
    return make if length is None else lambda rng: make(rng)[:length]

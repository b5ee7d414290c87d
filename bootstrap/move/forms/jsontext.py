"""JSON as PostgreSQL's jsonb prints it, made from any text of the same meaning.

Keys are ordered by their length and then by their bytes, of the same key the last counts; numbers
keep their digits, without an exponent.
"""

import decimal
import json
import re
from collections.abc import Callable, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any

_VALUE = itemgetter(0)
_ENCODER: Any = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    None, None, json.encoder.encode_basestring, None, ": ", ", ", False, False, False
)
# The keys of an object in order and what gets their values, by the keys as they came; () where
# that is in order.
_Order = tuple[()] | tuple[tuple[str, ...], Callable[[dict[str, Any]], tuple[Any, ...]]]
_orders: dict[tuple[str, ...], _Order] = {}
_ORDERS = 10_000


def _encode(value: Any) -> str:
    return "".join(_ENCODER(value, 0))


class NulError(ValueError):
    r"""There is a \u0000, which jsonb cannot hold."""


class _OddError(Exception):
    """A number that Python would not print as it came."""


def many(texts: Sequence[str]) -> list[str] | None:
    """All of them as jsonb prints them; None where one needs a look of its own."""
    try:
        found = list(map(_FAST, texts, repeat(0)))
    except (_OddError, ValueError, StopIteration, RecursionError):
        return None
    if [end for _, end in found] != list(map(len, texts)):
        return None
    printed = list(map("".join, map(_ENCODER, map(_VALUE, found), repeat(0))))
    return None if "\\u0000" in "\0".join(printed) else printed


def checked(texts: Sequence[str]) -> Sequence[str] | None:
    """The texts as they are, if all are JSON; None where one needs a look of its own."""
    try:
        found = list(map(_PLAIN, texts, repeat(0)))
    except (_OddError, ValueError, StopIteration, RecursionError):
        return None
    if [end for _, end in found] != list(map(len, texts)) or "\0" in "".join(texts):
        return None
    return texts


def one(text: str) -> str:
    """As jsonb prints it; ValueError where it is none, NulError where it holds a NUL."""
    try:
        value = _SLOW.decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos}") from None
    printed: list[str] = []
    _print(value, printed)
    joined = "".join(printed)
    if "\\u0000" in joined and re.search(r"(?<!\\)(\\\\)*\\u0000", joined):
        raise NulError(r"holds \u0000")
    try:
        joined.encode()
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair") from None
    return joined


def without_nul(text: str) -> str:
    r"""The text without each \u0000 in it."""
    return re.sub(r"(?<!\\)((?:\\\\)*)\\u0000", r"\1", text)


def array(text: str) -> str:
    """A JSON array as PostgreSQL reads an array; ValueError where it is none."""
    value = json.loads(text)
    if not isinstance(value, list):
        raise ValueError("no array")
    return _array(value)


def _array(values: list[Any]) -> str:
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return _array(value)
    text = value if isinstance(value, str) else json.dumps(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _object(found: dict[str, Any]) -> dict[str, Any]:
    keys = tuple(found)
    order = _orders.get(keys)
    if order is None:
        order = _learn(keys)
    return dict(zip(order[0], order[1](found), strict=True)) if order else found


def _learn(keys: tuple[str, ...]) -> _Order:
    if len(_orders) >= _ORDERS:
        _orders.clear()
    raw = {key: key.encode("utf-8", "surrogatepass") for key in keys}
    ordered = tuple(sorted(keys, key=lambda key: (len(raw[key]), raw[key])))
    _orders[keys] = () if ordered == keys else (ordered, itemgetter(*ordered))
    return _orders[keys]


def _float(text: str) -> float:
    value = float(text)
    if repr(value) != text or "e" in text or value == 0:
        raise _OddError
    return value


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


class _Number(str):
    """A number by its digits."""

    __slots__ = ()


def _number(text: str) -> _Number:
    number = decimal.Decimal(text)
    if not -20_000 < number.adjusted() < 140_000:
        raise ValueError("a number that numeric cannot hold")
    if not number:
        return _Number(format(abs(number), "f"))
    return _Number(format(number, "f"))


def _print(value: Any, out: list[str]) -> None:
    if isinstance(value, _Number):
        out.append(str(value))
    elif isinstance(value, dict):
        out.append("{")
        for place, (key, each) in enumerate(value.items()):
            out.append(f"{', ' if place else ''}{_encode(key)}: ")
            _print(each, out)
        out.append("}")
    elif isinstance(value, list):
        out.append("[")
        for place, each in enumerate(value):
            if place:
                out.append(", ")
            _print(each, out)
        out.append("]")
    else:
        out.append(_encode(value))


# What reads one value where a text begins; the stubs do not know it.
_FAST: Any = vars(
    json.JSONDecoder(object_hook=_object, parse_float=_float, parse_constant=_constant)
)["scan_once"]
_PLAIN: Any = vars(json.JSONDecoder(parse_constant=_constant))["scan_once"]
_SLOW = json.JSONDecoder(
    object_hook=_object, parse_float=_number, parse_int=_number, parse_constant=_constant
)

"""Floating-point numbers by their shortest digits."""

import decimal
import fractions
import math
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

from bootstrap.move.forms.form import BadValueError, Fixes, Kinds

_HALVES = 2.0**53
# An exponent of any length could stand for more digits than there is memory.
_DIGITS = re.compile(r"\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?\s*", re.ASCII)
_ENDLESS = re.compile(r"\s*(?:[-+]?inf(?:inity)?|nan)\s*", re.ASCII | re.IGNORECASE)


class Double:
    """double precision."""

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {float}:
            return None
        # Exponents and infinities are spelt otherwise.
        if max(values) >= 1e15 or min(values) <= -1e15:
            return None
        joined = "\0".join(map(float.__repr__, values)) + "\0"
        if "e" in joined or "n" in joined:
            return None
        return joined.replace(".0\0", "\0").split("\0")[:-1]

    def one(self, value: Any) -> str:
        if isinstance(value, float):
            return text(value)
        if not isinstance(value, int | decimal.Decimal):
            raise BadValueError("storage_class", "a number", as_number(value))
        nearest = float(value)
        if exact(nearest if isinstance(value, decimal.Decimal) else int(nearest)) != value:
            raise BadValueError("precision", "a number that a double holds", _rounded(nearest))
        return text(nearest)


class Single:
    """real, of which a double is one only if its digits fit."""

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:  # noqa: ARG002
        return None

    def one(self, value: Any) -> str:
        if not isinstance(value, int | float | decimal.Decimal):
            raise BadValueError("storage_class", "a number", as_number(value))
        if isinstance(value, float) and not math.isfinite(value):
            return text(value)
        try:
            (single,) = struct.unpack("f", struct.pack("f", value))
        except OverflowError:
            single = math.inf
        if math.isinf(single):
            raise BadValueError("precision", "a number that a real holds")
        shortest = _inside(single, _next_single)
        if decimal.Decimal(shortest) != exact(value):
            raise BadValueError(
                "precision", "a number that a real holds", _rounded(float(shortest))
            )
        return _spelt(shortest, turn=6)


def _next_single(value: float, towards: float) -> float:
    """The real beside this one, in the direction of an infinity."""
    (bits,) = struct.unpack("i", struct.pack("f", abs(value)))
    outwards = (towards > 0) == (value > 0)
    (beside,) = struct.unpack("f", struct.pack("i", bits + (1 if outwards else -1)))
    return math.copysign(beside, value)


def exact(number: float | decimal.Decimal) -> decimal.Decimal:
    """A number by the digits that it is written with."""
    return number if isinstance(number, decimal.Decimal) else decimal.Decimal(repr(number))


def as_number(value: Any) -> Fixes:
    """What could be put for a text that is a number: one with all its digits."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return {"convert": decimal.Decimal(value.strip())}
    if isinstance(value, str) and _ENDLESS.fullmatch(value):
        return {"convert": float(value)}
    return {}


def _rounded(nearest: float) -> Fixes:
    return {"round": nearest} if math.isfinite(nearest) else {}


def text(value: float) -> str:
    """The shortest digits that are this number, as PostgreSQL writes them."""
    if math.isnan(value):
        return "NaN"
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

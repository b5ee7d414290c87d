"""Booleans, integers and decimal numbers."""

import decimal
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.move.forms import floats
from bootstrap.move.forms.form import BadValueError, Fixes, Kinds
from bootstrap.move.problems import Action


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
            raise BadValueError("storage_class", "a number", floats.as_number(value))
        if isinstance(value, float) and not math.isfinite(value):
            if self._places is not None and math.isinf(value):
                raise BadValueError("precision", "a finite number")
            return floats.text(value)
        number = floats.exact(value)
        if number == 0:
            number = abs(number)
        if self._places is None:
            text = format(number, "f")
            return text[:-2] if isinstance(value, float) and text.endswith(".0") else text
        too_wide = BadValueError("precision", f"at most {self._whole} digits before the point")
        if number and number.adjusted() >= self._whole:
            raise too_wide
        with decimal.localcontext(decimal.Context(prec=2000)):
            rounded = number.quantize(decimal.Decimal(1).scaleb(-self._places), _HALF_UP)
        if abs(rounded) >= decimal.Decimal(10) ** self._whole:
            raise too_wide
        if rounded != number:
            raise BadValueError(
                "precision", f"at most {self._places} digits after the point", {"round": rounded}
            )
        return format(rounded, "f")


_HALF_UP = decimal.ROUND_HALF_UP

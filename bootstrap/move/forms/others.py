"""UUIDs, bytes, and what only the server knows."""

import re
import uuid
from collections.abc import Sequence
from typing import Any

from bootstrap.move.forms import jsontext, texts, times
from bootstrap.move.forms.form import Ask, BadValueError, Kinds
from bootstrap.move.wanted import Column

_HEXADECIMAL = str.maketrans("123456789abcdef", "000000000000000")


class Uuid:
    """uuid: text with or without hyphens, or 16 bytes."""

    _HYPHENS = "00000000-0000-0000-0000-000000000000"
    _BARE = "0" * 32

    def __init__(self) -> None:
        # A column mostly has one of the two; what is written otherwise is looked at alone.
        self._usual: str | None = None

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {str}:
            return None
        shape, *others = set("\0".join(values).translate(_HEXADECIMAL).split("\0"))
        if others or shape not in (self._HYPHENS, self._BARE):
            return None
        self._usual = self._usual or shape
        if shape != self._usual:
            return None
        return values if shape == self._HYPHENS else list(map(_with_hyphens, values))

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


def _with_hyphens(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Bytes:
    """bytea."""

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {bytes}:
            return None
        return [f"\\\\x{value.hex()}" for value in values]

    def one(self, value: Any) -> str:
        if isinstance(value, bytes):
            return f"\\\\x{value.hex()}"
        text = value if isinstance(value, str) else texts.number_text(value)
        # What is no UTF-8 becomes the very bytes that it is.
        data = text.encode(errors="surrogateescape")
        raise BadValueError("storage_class", "a blob", {"convert": data})


class Asked:
    """Any other type: what the server itself makes of the text."""

    def __init__(self, column: Column, ask: Ask) -> None:
        self._column = column
        self._ask = ask
        self._known: dict[str, str | None] = {}

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if not kinds <= {str, int, float}:
            return None
        if kinds != {str}:
            values = [each if isinstance(each, str) else texts.number_text(each) for each in values]
        new = [value for value in set(values) - self._known.keys() if texts.encodable(value)]
        if new:
            if len(self._known) > 10_000:
                self._known.clear()
                new = [value for value in set(values) if texts.encodable(value)]
            self._known.update(self._ask(self._column, [each for each in new if "\0" not in each]))
        found = list(map(self._known.get, values))
        if None in found:
            return None
        return [texts.escaped(each) for each in found if each is not None]

    def one(self, value: Any) -> str:
        text = value if isinstance(value, str) else None
        if isinstance(value, int | float):
            text = texts.number_text(value)
        if text is not None and "\0" not in text and texts.encodable(text):
            if text not in self._known:
                self._known.update(self._ask(self._column, [text]))
            found = self._known[text]
            if found is not None:
                return texts.escaped(found)
        raise BadValueError("other", f"a value of type {self._column.type}")


class Interval:
    """interval, by what the server makes of it in PostgreSQL's words."""

    def __init__(self, asked: Asked, rule: str | None) -> None:
        self._asked = asked
        self._rule = rule

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:  # noqa: ARG002
        try:
            return self._asked.many([times.long(value, self._rule) for value in values], {str})
        except BadValueError:
            return None

    def one(self, value: Any) -> str:
        return self._asked.one(times.long(value, self._rule))


class Array:
    """An array, which SQLite keeps as a JSON array."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        if kinds != {str}:
            return None
        try:
            return self._asked.many(list(map(_array, values)), kinds)
        except ValueError:
            return None

    def one(self, value: Any) -> str:
        try:
            return self._asked.one(_array(value) if isinstance(value, str) else value)
        except ValueError:
            raise BadValueError("json", "a JSON array") from None


def _array(text: str) -> str:
    """An array as PostgreSQL writes it; ValueError for JSON that is none."""
    return jsontext.array(text) if text.lstrip().startswith("[") else text

"""Texts and enumerations."""

from collections.abc import Sequence
from typing import Any

from bootstrap.move.forms import floats
from bootstrap.move.forms.form import BadValueError, Fixes, Kinds

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


def escaped(text: str) -> str:
    """As COPY writes it."""
    return text.translate(_ESCAPING)


def escaped_bytes(data: bytes) -> bytes:
    """The same for bytes of UTF-8."""
    for plain, written in _ESCAPES.items():
        data = data.replace(plain.encode(), written.encode())
    return data


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
        text = text_of(value)
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


def text_of(value: Any) -> str:
    """The value if it is text; raises BadValueError."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            fixes: Fixes = {"convert": value.decode()}
        except UnicodeDecodeError:
            fixes = {}
        raise BadValueError("storage_class", "text", fixes)
    raise BadValueError("storage_class", "text", {"convert": number_text(value)})


def number_text(value: float) -> str:
    """A number of SQLite as text."""
    return floats.text(value) if isinstance(value, float) else str(value)


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
        text = text_of(value)
        if text not in self._rendered:
            raise BadValueError("enum", f"one of {', '.join(self._rendered)}")
        return self._rendered[text]

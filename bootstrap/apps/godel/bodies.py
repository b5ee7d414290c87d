"""What a request's body must be: JSON within bounds, with the fields of one table."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from bootstrap import models

MAX_BYTES = 1024 * 1024
# Deep enough for any configuration; far from where Python's own recursion ends.
MAX_DEPTH = 64
# The program sets these.
_OWN = ("id", "created_at", "updated_at")
_SHAPES: dict[type, str] = {str: "text", dict: "an object", list: "an array"}
# PostgreSQL stores no NUL, and a lone surrogate is no character in any encoding.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


class InvalidBodyError(ValueError):
    """A body that cannot be taken. `malformed` tells that it is not even JSON."""

    def __init__(self, message: str, *, malformed: bool = False) -> None:
        super().__init__(message)
        self.malformed = malformed


def fields(columns: Iterable[sa.Column[Any]]) -> dict[str, type]:
    """Those of the columns that a client may give, with the Python type of each."""
    return {
        column.name: column.type.shape if isinstance(column.type, models.JSONText) else str
        for column in columns
        if column.name not in _OWN
    }


def read(body: bytes, wanted: Mapping[str, type]) -> dict[str, Any]:
    """The fields in `body`, those that are null left out; raises InvalidBodyError."""
    try:
        document = models.read_json(body, parse_int=_int64)
    except RecursionError:
        raise InvalidBodyError(f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise InvalidBodyError(f"not JSON: {error}", malformed=True) from None
    if not isinstance(document, dict):
        raise InvalidBodyError("wanted an object")
    problems = _problems(document, wanted)
    if problems:
        raise InvalidBodyError("; ".join(problems))
    return {name: value for name, value in document.items() if value is not None}


def is_text(value: str) -> bool:
    """Whether both databases can store this text."""
    return not _NO_TEXT.search(value)


def _problems(document: dict[str, Any], wanted: Mapping[str, type]) -> list[str]:
    unknown = document.keys() - wanted.keys()
    if unknown:
        return [f"unknown field {name!r:.80}; known are {', '.join(wanted)}" for name in unknown]
    problems = []
    for name, value in document.items():
        if value is not None and not isinstance(value, wanted[name]):
            problems.append(f"{name}: wanted {_SHAPES[wanted[name]]}")
        elif (flaw := _flaw(value)) is not None:
            problems.append(f"{name}: {flaw}")
    return problems


def _flaw(value: object) -> str | None:
    """What makes a JSON value impossible to store or to give back."""
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str) and not is_text(item):
                return "text with a NUL character or half a surrogate pair"
            if isinstance(item, dict):
                below += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                below += item
        if not below:
            return None
        level = below
    return f"nested deeper than {MAX_DEPTH} levels"


def _int64(digits: str) -> int:
    number = int(digits)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{digits[:20]} does not fit into 64 bits")
    return number

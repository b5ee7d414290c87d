"""A single value on its way: as COPY takes it, fixed if that is wanted, and as reports show it."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from bootstrap.move import forms, reading
from bootstrap.move.forms import BadValueError
from bootstrap.move.mapping import Pair
from bootstrap.move.problems import SHOWN_CHARACTERS, Action, Class

# What is done about a value, once it is told.
Decide = Callable[[BadValueError, Any], Action]

_WRITTEN = {b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}
# A fix may uncover another problem of the same value.
_FIXES = 5


def printed(pair: Pair, value: Any, decide: Decide) -> str | None:
    """One value as COPY takes it, fixed as `decide` says; None where its row cannot go."""
    for _ in range(_FIXES):
        try:
            if value is None:
                if pair.column.not_null:
                    raise BadValueError("not_null", f"{pair.column.type} not null")
                return forms.NULL
            return pair.form.one(value)
        except BadValueError as error:
            action = decide(error, value)
            if action in ("stop", "skip"):
                return None
            value = None if action == "null" else error.fixes[action]
    return None


def chosen(policy: Mapping[Class, Action], error: BadValueError) -> Action:
    """What is done about a value. What cannot be done about it stops the move as well."""
    action = policy[error.kind]
    return action if action in ("stop", "skip", "null") or action in error.fixes else "stop"


def unescaped(data: bytes) -> bytes:
    """A value of COPY as it is."""
    return re.sub(rb"\\(.)", lambda found: _WRITTEN.get(found[1], found[1]), data)


def shown(value: Any) -> str:
    """A value as reports show it: shortened, and one that nothing can break."""
    if isinstance(value, reading.Huge):
        head = next(value.pieces())[:SHOWN_CHARACTERS]
        is_text = value.kind is str
        text = ascii(head.decode(errors="replace")) if is_text else f"x'{head.hex()}'"
        return f"{text}... ({value.size} bytes)"
    if isinstance(value, bytes):
        more = f"... ({len(value)} bytes)" if len(value) > SHOWN_CHARACTERS // 2 else ""
        return f"x'{value[: SHOWN_CHARACTERS // 2].hex()}'{more}"
    if isinstance(value, str):
        more = f"... ({len(value)} characters)" if len(value) > SHOWN_CHARACTERS else ""
        return ascii(value[:SHOWN_CHARACTERS]) + more
    return repr(value)

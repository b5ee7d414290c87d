"""What the models of the shipped apps have in common."""

import json
import math
import time
import uuid
from typing import Any

import sqlalchemy as sa

# Without fixed names PostgreSQL chooses its own and SQLite none, and no revision could drop them.
NAMES = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


class JSONText(sa.types.TypeDecorator[Any]):
    """A JSON value in a TEXT column; `shape` is the Python type that a value must have.

    Text that another program stored and that is no JSON comes back as it is.
    """

    impl = sa.Text
    cache_ok = True

    def __init__(self, shape: type = object) -> None:
        super().__init__()
        self.shape = shape

    def process_bind_param(self, value: Any, _: sa.Dialect) -> str | None:
        """The value as JSON text."""
        return None if value is None else json.dumps(value, ensure_ascii=False, allow_nan=False)

    def process_result_value(self, value: Any, _: sa.Dialect) -> Any:
        """The value that the text stands for."""
        if value is None:
            return None
        try:
            return read_json(value)
        except (ValueError, RecursionError):
            return value


def read_json(text: str | bytes, **hooks: Any) -> Any:
    """Parse JSON as its standard has it: no NaN, no Infinity, no number that overflows to them.

    Raises ValueError, and RecursionError for nesting beyond what Python can follow. `hooks` go to
    `json.loads`.
    """
    return json.loads(text, parse_constant=_no_number, parse_float=_finite, **hooks)


def new_id() -> str:
    """A random id."""
    return str(uuid.uuid4())


def epoch_ms() -> int:
    """Milliseconds since 1970, as JavaScript's Date.now() counts them: 64 bits in a database."""
    return time.time_ns() // 1_000_000


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:20]} is too large a number")
    return number

"""What a form is: one type of the target, and the text that COPY takes of its values."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bootstrap.move.problems import Action, Class
from bootstrap.move.wanted import Column

NULL = "\\N"
Kinds = set[type]
# The server: each text as a column prints it, None where the column does not take it as it is.
Ask = Callable[[Column, Sequence[str]], Mapping[str, str | None]]
# A value that changes with each thing that is done about it is given up on.
Fixes = Mapping[Action, Any]


class BadValueError(Exception):
    """A value that the column does not take: its class, what is wanted, what could be put there."""

    def __init__(self, kind: Class, wanted: str, fixes: Fixes | None = None) -> None:
        super().__init__(wanted)
        self.kind = kind
        self.wanted = wanted
        self.fixes = fixes or {}


class Form(Protocol):
    """One type of the target."""

    def many(self, values: Sequence[Any], kinds: Kinds) -> Sequence[str] | None:
        """All of them, or None where at least one needs a look of its own. None is NULL-free."""

    def one(self, value: Any) -> str:
        """One of them; raises BadValueError."""

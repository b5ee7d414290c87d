"""What can be wrong with a value that is to be moved, and what may be done about it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from bootstrap.errors import SettingsError

Class = Literal[
    "storage_class",
    "boolean",
    "integer_range",
    "precision",
    "too_long",
    "time",
    "json",
    "nul",
    "utf8",
    "enum",
    "check",
    "not_null",
    "duplicate",
    "orphan",
    "other",
    "unknown_table",
    "unknown_column",
    "missing_table",
    "missing_column",
    "damaged",
]
CLASSES: tuple[Class, ...] = get_args(Class)
WHAT: Mapping[Class, str] = {
    "storage_class": "a value of a kind that the column does not take, as text in an integer",
    "boolean": "anything but 0, 1, `true` and `false`",
    "integer_range": "a number wider than the column",
    "precision": "a number that would lose digits",
    "too_long": "a text longer than its `varchar(n)`",
    "time": "no time in ISO 8601, or a number in a column for which `--time` gives no rule",
    "json": "no JSON, or some that PostgreSQL does not take",
    "nul": "a NUL in text, `\\u0000` in `jsonb`",
    "utf8": "text that is not UTF-8",
    "enum": "a word that the enumeration does not have",
    "check": "a row that breaks a CHECK",
    "not_null": "NULL where there must be a value",
    "duplicate": "a key that is there already; the first row in the file keeps it",
    "orphan": "a reference to a row that is not there, or that is left out",
    "other": "what a type such as `uuid` or `numeric(6,2)[]` does not take as it is",
    "unknown_table": "a table with rows that the target does not have",
    "unknown_column": "a column with values that the target does not have",
    "missing_table": "a table of the target that the file does not have",
    "missing_column": "a column that must have values, and that the file does not have",
    "damaged": "damage of the file itself: SQLite's integrity check, or rows that no key finds",
}

# stop: nothing is moved. skip: the row goes to the reject file. null, strip, truncate, round: as
# they say. convert: to what means the same without doubt. leave: that table or column is left out.
Action = Literal["stop", "skip", "null", "strip", "truncate", "round", "convert", "leave"]
ACTIONS: tuple[Action, ...] = get_args(Action)

_VALUE: tuple[Action, ...] = ("stop", "skip", "null")
ALLOWED: Mapping[Class, tuple[Action, ...]] = {
    "storage_class": (*_VALUE, "convert"),
    "boolean": (*_VALUE, "convert"),
    "integer_range": _VALUE,
    "precision": (*_VALUE, "round"),
    "too_long": (*_VALUE, "truncate"),
    "time": (*_VALUE, "round"),
    "json": _VALUE,
    "nul": (*_VALUE, "strip"),
    "utf8": (*_VALUE, "strip"),
    "enum": _VALUE,
    "check": ("stop", "skip"),
    "not_null": ("stop", "skip"),
    "duplicate": ("stop", "skip"),
    "orphan": _VALUE,
    "other": _VALUE,
    "unknown_table": ("stop", "leave"),
    "unknown_column": ("stop", "leave"),
    "missing_table": ("stop", "leave"),
    "missing_column": ("stop",),
    "damaged": ("stop",),
}

SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Problem:
    """One value, or one table, that cannot be moved as it is.

    `key` is {"rowid": 7}, or the columns of the primary key in a table without rowid; empty where a
    whole table is meant. `value` is shortened, `wanted` says what the target takes.
    """

    kind: Class
    table: str
    column: str = ""
    key: Mapping[str, Any] = field(default_factory=dict)
    value: str | None = None
    wanted: str = ""
    action: Action = "stop"

    def document(self) -> dict[str, Any]:
        """As a line of the reject file and of `--json` shows it."""
        return {
            "class": self.kind,
            "table": self.table,
            "column": self.column or None,
            "key": dict(self.key),
            "value": self.value,
            "wanted": self.wanted,
            "action": self.action,
        }

    def __str__(self) -> str:
        place = f"{self.table}.{self.column}" if self.column else self.table
        row = ", ".join(f"{name} {value}" for name, value in self.key.items())
        found = "" if self.value is None else f", found {self.value}"
        return f"{self.kind}: {place}{f' ({row})' if row else ''}: wanted {self.wanted}{found}"


def policies(texts: Iterable[str]) -> dict[Class, Action]:
    """The actions that `CLASS=ACTION` say, stop for all other classes.

    Raises SettingsError for what says nothing.
    """
    chosen: dict[Class, Action] = dict.fromkeys(CLASSES, "stop")
    for text in texts:
        name, _, action = text.partition("=")
        known = next((each for each in CLASSES if each == name), None)
        if known is None:
            raise SettingsError(
                f"--policy {text}: wanted CLASS=ACTION with a class of {', '.join(CLASSES)}; found "
                f"{name!r}"
            )
        may = next((each for each in ALLOWED[known] if each == action), None)
        if may is None:
            raise SettingsError(
                f"--policy {text}: wanted one of {', '.join(ALLOWED[known])} for {name}, found "
                f"{action!r}"
            )
        chosen[known] = may
    return chosen

"""What can be wrong with a value that is to be moved, and what may be done about it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from bootstrap.errors import SettingsError

# storage_class  a value of a storage class that the column cannot take, such as text in an integer
# boolean        anything but 0, 1, true, false (t, f)
# integer_range  wider than the column
# precision      a number that would lose digits
# too_long       text over varchar(n)
# time           no time in a form that is known, or that the rule for the column does not cover
# json           not JSON, or JSON that PostgreSQL does not take
# nul            a NUL character in text, \u0000 in JSON
# utf8           text that is not UTF-8
# enum           a word that the enumeration does not have
# check          a CHECK of the target is broken
# not_null       NULL where the target takes none
# duplicate      a key that the target takes only once
# orphan         a reference to a row that is not there
# other          the target's type does not take it (uuid, inet, arrays, ...)
# unknown_table  the source has rows in a table that the target lacks
# unknown_column the source has values in a column that the target lacks
# missing_table  the target has a table that the source lacks
# missing_column the target has a column, without a default, that the source lacks
# damaged        the source file itself is damaged (integrity_check)
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

# stop      nothing is moved (the default of every class)
# skip      the row goes to the reject file instead
# null      NULL in place of the value, where the column takes it
# strip     without the characters that cannot be stored
# truncate  cut to the length of the column
# round     rounded to the digits of the column
# convert   what means the same without doubt: '12' in an integer column, 12.0, 'yes' as a boolean
# leave     the table or column is left out (of the source) or left empty (in the target)
Action = Literal["stop", "skip", "null", "strip", "truncate", "round", "convert", "leave"]
ACTIONS: tuple[Action, ...] = get_args(Action)

_VALUE: tuple[Action, ...] = ("stop", "skip", "null")
ALLOWED: Mapping[Class, tuple[Action, ...]] = {
    "storage_class": (*_VALUE, "convert"),
    "boolean": (*_VALUE, "convert"),
    "integer_range": _VALUE,
    "precision": (*_VALUE, "round"),
    "too_long": (*_VALUE, "truncate"),
    "time": _VALUE,
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
    "missing_column": ("stop", "leave"),
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

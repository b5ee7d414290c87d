"""From SQLite's values to the text that PostgreSQL itself prints of them, many at a time.

A form gives a whole list of values in a few calls of C (`many`), or declines; then each value is
looked at alone (`one`), which says what is wrong with it. What it gives is escaped for COPY, and is
what `COPY ... TO` gives back: so the two sides can be compared byte by byte.
"""

from collections.abc import Callable, Mapping

from bootstrap.move.forms import documents, floats, numbers, others, texts, times
from bootstrap.move.forms.form import NULL, Ask, BadValueError, Form
from bootstrap.move.wanted import Column

__all__ = ["NULL", "Ask", "BadValueError", "Form", "of"]


def of(column: Column, rule: str | None, ask: Ask) -> Form:
    """The form of a column; `rule` says what a number in a column of times is."""
    first = column.modifier[0] if column.modifier else None
    simple: Mapping[str, Callable[[], Form]] = {
        "bool": numbers.Boolean,
        "int2": lambda: numbers.Integer("smallint", 2),
        "int4": lambda: numbers.Integer("integer", 4),
        "int8": lambda: numbers.Integer("bigint", 8),
        "float4": floats.Single,
        "float8": floats.Double,
        "numeric": lambda: numbers.Numeric(column.modifier),
        "text": lambda: texts.Text(None),
        "varchar": lambda: texts.Text(first),
        "bpchar": lambda: texts.Text(first, padded=True),
        "uuid": others.Uuid,
        "json": lambda: documents.Json(binary=False),
        "jsonb": lambda: documents.Json(binary=True),
        "timestamp": lambda: times.Moment(6 if first is None else first, rule, zoned=False),
        "timestamptz": lambda: times.Moment(6 if first is None else first, rule, zoned=True),
        "date": lambda: times.Date(rule),
        "time": lambda: times.TimeOfDay(6 if first is None else first),
        "bytea": others.Bytes,
        "enum": lambda: texts.Enum(column.labels),
    }
    if column.base in simple:
        return simple[column.base]()
    asked = others.Asked(column, ask)
    if column.bare == "interval":
        return others.Interval(asked, rule)
    return others.Array(asked) if column.type.endswith("[]") else asked

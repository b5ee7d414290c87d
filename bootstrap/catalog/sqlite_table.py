"""The columns and constraints of SQLite's CREATE TABLE, however and wherever it declares them."""

from collections.abc import Collection, Iterator, Sequence

from bootstrap.catalog import sqlite_words, words
from bootstrap.catalog.model import Object
from bootstrap.catalog.words import Word

_TABLE_CLAUSES = frozenset(("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"))
_COLUMN_CLAUSES = _TABLE_CLAUSES | {
    "NOT", "NULL", "DEFAULT", "COLLATE", "REFERENCES", "GENERATED", "AS"
}  # fmt: skip
_SIDES = frozenset(("DELETE", "UPDATE"))


class _Reader:
    """Takes words from the left."""

    def __init__(self, found: Sequence[Word]) -> None:
        self._words = found
        self._place = 0

    @property
    def key(self) -> str:
        """The next word as a keyword; "" at the end."""
        return self._words[self._place].upper if self._place < len(self._words) else ""

    def take(self, *keys: str) -> Word | None:
        """The next word; if keys are given, only where it is one of them."""
        if not self.key or (keys and self.key not in keys):
            return None
        self._place += 1
        return self._words[self._place - 1]

    def bracket(self) -> list[Word]:
        """What is within the brackets that come next, and goes behind them."""
        end = words.closing(self._words, self._place)
        inside = list(self._words[self._place + 1 : end])
        self._place = end + 1
        return inside

    def until(self, keys: Collection[str]) -> list[Word]:
        """The words before one of these keys, brackets passed over."""
        start = self._place
        while self.key and self.key not in keys:
            if self.key == "(":
                self.bracket()
            else:
                self._place += 1
        return list(self._words[start : self._place])


def objects(table: str, sql: str, known: Collection[str]) -> list[Object]:
    """The table and what belongs to it; `table` is its name as SQL wants it."""
    found = words.split(sql)
    start = next(place for place, word in enumerate(found) if word.text == "(")
    end = words.closing(found, start)
    options = {word.upper for word in found[end + 1 :]}
    properties = {
        "without rowid": "yes" if "ROWID" in options else "",
        "strict": "yes" if "STRICT" in options else "",
    }
    columns: dict[str, Object] = {}
    constraints: dict[str, Object] = {}
    for part in _parts(found[start + 1 : end]):
        reader = _Reader(part)
        if reader.key in _TABLE_CLAUSES:
            made = _table_constraints(table, reader, known)
        else:
            name = sqlite_words.name(part[0].text)
            column, made = _column(table, name, len(columns) + 1, reader, known)
            columns[name] = column
        constraints.update({each.name: each for each in made})
    _never_null(columns, constraints, "ROWID" in options)
    whole = Object("table", "", table, {key: value for key, value in properties.items() if value})
    return [whole, *columns.values(), *constraints.values()]


def _parts(found: Sequence[Word]) -> Iterator[list[Word]]:
    """Split at the commas outside of brackets."""
    part: list[Word] = []
    depth = 0
    for word in found:
        depth += (word.text == "(") - (word.text == ")")
        if word.text == "," and depth == 0:
            yield part
            part = []
        else:
            part.append(word)
    if part:
        yield part


def _column(
    table: str, name: str, position: int, reader: _Reader, known: Collection[str]
) -> tuple[Object, list[Object]]:
    reader.take()
    kind = sqlite_words.tidy(reader.until(_COLUMN_CLAUSES), known).upper()
    properties = {"type": kind} if kind else {}
    constraints: list[Object] = []
    label: str | None = None
    while reader.key:
        if reader.take("CONSTRAINT"):
            label = _name(reader)
            continue
        if reader.take("NOT"):
            reader.take("NULL")
            properties["not null"] = _conflict(reader).strip() or "yes"
        elif reader.take("NULL"):
            pass
        elif reader.take("DEFAULT"):
            properties["default"] = _default(reader, known)
        elif reader.take("COLLATE"):
            properties["collation"] = _name(reader).upper()
        elif reader.take("GENERATED", "AS"):
            reader.until(("(",))
            expression = sqlite_words.tidy(reader.bracket(), known)
            stored = reader.take("STORED", "VIRTUAL")
            kept = "stored" if stored is not None and stored.upper == "STORED" else "virtual"
            properties["generated"] = f"({expression}) {kept}"
        else:
            constraints.append(_constraint(table, label, reader, known, name))
        label = None
    return Object("column", table, name, properties, position), constraints


def _table_constraints(table: str, reader: _Reader, known: Collection[str]) -> list[Object]:
    made: list[Object] = []
    label: str | None = None
    # Between table constraints SQLite does not insist on commas.
    while reader.key:
        if reader.take("CONSTRAINT"):
            label = _name(reader)
            continue
        made.append(_constraint(table, label, reader, known, None))
        label = None
    return made


def _constraint(
    table: str, label: str | None, reader: _Reader, known: Collection[str], column: str | None
) -> Object:
    """The constraint that comes next; `column` is the one that it is declared with."""
    kind = reader.take()
    assert kind is not None
    if kind.upper == "CHECK":
        text = f"CHECK ({sqlite_words.tidy(reader.bracket(), known)}){_conflict(reader)}"
    elif kind.upper == "REFERENCES":
        text = f"FOREIGN KEY ({column}){_reference(reader)}"
    elif kind.upper == "FOREIGN":
        reader.take("KEY")
        columns = _names(reader.bracket())
        reader.take("REFERENCES")
        text = f"FOREIGN KEY ({columns}){_reference(reader)}"
    elif kind.upper in ("PRIMARY", "UNIQUE"):
        reader.take("KEY")
        columns = column or _names(reader.bracket())
        direction = reader.take("ASC", "DESC")
        if direction is not None and direction.upper == "DESC":
            columns += " DESC"
        conflict = _conflict(reader)
        if reader.take("AUTOINCREMENT"):
            columns += " AUTOINCREMENT"
        text = ("PRIMARY KEY" if kind.upper == "PRIMARY" else "UNIQUE") + f" ({columns}){conflict}"
    else:
        raise ValueError(f"wanted a constraint of table {table}, found {kind.text!r}")
    return Object("constraint", table, label or text, {"definition": text})


def _reference(reader: _Reader) -> str:
    """The clause after the columns of a foreign key; what is SQLite's usual way is left out."""
    text = f" REFERENCES {_name(reader)}"
    if reader.key == "(":
        text += f" ({_names(reader.bracket())})"
    actions: dict[str, str] = {}
    deferred = ""
    while reader.key in ("ON", "MATCH", "NOT", "DEFERRABLE"):
        if reader.take("MATCH"):
            reader.take()
        elif reader.take("ON"):
            side = reader.take()
            action = reader.take()
            assert side is not None
            assert action is not None
            second = reader.take("NULL", "DEFAULT", "ACTION")
            actions[side.upper] = f"{action.upper} {second.upper}" if second else action.upper
        else:
            refused = reader.take("NOT") is not None
            reader.take("DEFERRABLE")
            when = reader.take() if reader.take("INITIALLY") else None
            if not refused:
                deferred = " DEFERRABLE"
                if when is not None and when.upper == "DEFERRED":
                    deferred += " INITIALLY DEFERRED"
    for clause in sorted(_SIDES & actions.keys()):
        if actions[clause] != "NO ACTION":
            text += f" ON {clause} {actions[clause]}"
    return text + deferred


def _default(reader: _Reader, known: Collection[str]) -> str:
    if reader.key == "(":
        return sqlite_words.tidy(reader.bracket(), known)
    sign = reader.take("+", "-")
    value = reader.take()
    assert value is not None
    shown = value.upper if value.upper in _CONSTANTS else value.text
    return f"-{shown}" if sign is not None and sign.text == "-" else shown


_CONSTANTS = frozenset(
    ("NULL", "TRUE", "FALSE", "CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME")
)


def _conflict(reader: _Reader) -> str:
    if reader.key != "ON" or not reader.take("ON"):
        return ""
    reader.take("CONFLICT")
    how = reader.take()
    return "" if how is None or how.upper == "ABORT" else f" ON CONFLICT {how.upper}"


def _name(reader: _Reader) -> str:
    word = reader.take()
    assert word is not None
    return sqlite_words.name(word.text.strip("'") if word.kind == "string" else word.text)


def _names(found: Sequence[Word]) -> str:
    """The columns of a key, each with what else is said of it."""
    shown = []
    for part in _parts(found):
        more = [word.upper for word in part[1:] if word.upper != "ASC"]
        shown.append(" ".join([sqlite_words.name(part[0].text), *more]))
    return ", ".join(shown)


def _never_null(
    columns: dict[str, Object], constraints: dict[str, Object], without_rowid: bool
) -> None:
    """Say of a primary key's column that it is not null where SQLite sees to it anyway."""
    for each in constraints.values():
        if not each.definition.startswith("PRIMARY KEY ("):
            continue
        keys = each.definition[len("PRIMARY KEY (") :].partition(")")[0].split(", ")
        keys = [key.removesuffix(" AUTOINCREMENT").removesuffix(" DESC") for key in keys]
        for key in keys:
            column = columns.get(key)
            if column is None:
                continue
            is_rowid = len(keys) == 1 and column.properties.get("type") == "INTEGER"
            if without_rowid or is_rowid:
                columns[key] = Object(
                    "column",
                    column.table,
                    key,
                    {**column.properties, "not null": "yes"},
                    column.position,
                )

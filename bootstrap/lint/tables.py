"""Which tables a statement works on, and which of them the same revision has made.

Nobody can wait for a table that is not there for anybody else yet. CREATE TABLE IF NOT EXISTS makes
none: the table may have been there for years.
"""

from collections.abc import Iterator, Sequence

from bootstrap.lint.statements import Name, Statement, name

_TEMPORARY = {"temp", "temporary", "unlogged", "global", "local"}
# What changes a table's definition, or keeps its users waiting, by the words that it starts with.
_DEFINING = (
    ("alter", "table"),
    ("alter", "materialized", "view"),
    ("drop", "table"),
    ("truncate",),
    ("cluster",),
    ("reindex", "table"),
    ("vacuum",),
    ("lock",),
)


def on_new_ones(statements: Sequence[Statement]) -> tuple[bool, ...]:
    """For each statement of one revision, whether it works only on tables made before it in it."""
    known = _Known()
    found = []
    for statement in statements:
        touched = tuple(known.touched(statement))
        found.append(bool(touched) and known.made.issuperset(touched))
        known.follow(statement)
    return tuple(found)


def defines(statement: Statement) -> bool:
    """Whether the statement locks a table that was there before against its writers."""
    defining = any(statement.starts(*words) for words in _DEFINING) or (
        statement.starts("create") and bool({"index", "trigger"} & set(statement.tokens[:4]))
    )
    return defining and not statement.outside and not statement.has("concurrently")


def changes_many(statement: Statement, on_new_one: bool) -> bool:
    """Whether the statement changes as many rows as there are, rather than those that it lists."""
    words = statement.tokens
    if statement.starts("with"):
        return bool({"update", "delete", "insert", "merge"} & set(words)) and "from" in words
    if statement.starts("insert"):
        return "select" in words and "from" in words
    return words[0] in ("update", "delete", "merge") and not on_new_one


def makes(statement: Statement) -> bool:
    """Whether the statement makes a table, be it only where there is none."""
    return statement.starts("create") and "table" in statement.tokens[:4]


def made_name(statement: Statement) -> Name | None:
    """The table or materialized view that the statement makes for certain."""
    words = statement.tokens
    if not statement.starts("create"):
        return None
    place = 1
    while words[place : place + 1] and words[place] in _TEMPORARY:
        place += 1
    if words[place : place + 1] == ("table",):
        place += 1
    elif words[place : place + 2] == ("materialized", "view"):
        place += 2
    else:
        return None
    return None if words[place : place + 2] == ("if", "not") else name(words, place)


class _Known:
    """The tables that one revision has made and dropped so far, and the indexes of tables."""

    def __init__(self) -> None:
        self.made: set[Name] = set()
        self.dropped: set[Name] = set()
        self.indexes: dict[Name, Name] = {}

    def touched(self, statement: Statement) -> Iterator[Name]:
        """The tables that a statement works on."""
        words = statement.tokens
        place: int | None = None
        if statement.starts("alter", "table") or statement.starts("drop", "table"):
            place = 2
        elif statement.starts("create") and {"index", "trigger", "policy"} & set(words[:5]):
            place = statement.after("on")
        elif statement.starts("drop", "index") or statement.starts("reindex", "index"):
            named = name(words, 3 if words[2:3] == ("concurrently",) else 2)
            if named is not None:
                yield self.indexes.get(named, ("", "".join(named)))
            return
        elif statement.starts("update"):
            place = 1
        elif statement.starts("delete", "from") or statement.starts("insert", "into"):
            place = 2
        elif statement.starts("truncate"):
            place = 2 if words[1:2] == ("table",) else 1
        elif statement.starts("reindex", "table"):
            place = 3 if words[2:3] == ("concurrently",) else 2
        elif statement.starts("vacuum") or statement.starts("cluster"):
            place = next(
                (i for i in range(1, len(words)) if words[i] not in ("full", "verbose")), None
            )
        named = name(words, place) if place is not None else None
        if named is None:
            return
        yield named
        # DROP TABLE a, b and TRUNCATE a, b
        if statement.starts("drop") or statement.starts("truncate"):
            for place, word in enumerate(words):
                if word == "," and (more := name(words, place + 1)) is not None:
                    yield more

    def follow(self, statement: Statement) -> None:
        """Take in what a statement makes, renames or drops."""
        words = statement.tokens
        new = made_name(statement)
        if new is not None:
            self.made.add(new)
        elif (
            statement.starts("alter", "table")
            and (to := statement.after("rename", "to")) is not None
        ):
            self._rename(name(words, 2), name(words, to))
        elif statement.starts("drop", "table"):
            self.dropped.update(self.touched(statement))
            self.made -= self.dropped
        elif statement.starts("create") and "index" in words[:3] and "if" not in words[:6]:
            table = next(self.touched(statement), None)
            place = words.index("index") + 1
            index = name(words, place + (words[place] == "concurrently"))
            if table is not None and index is not None:
                # An index is in the schema of its table.
                self.indexes[(table[0], index[1])] = table

    def _rename(self, old: Name | None, new: Name | None) -> None:
        if old is None or new is None or old not in self.made:
            return
        self.made.remove(old)
        new = (old[0], new[1])
        # What takes the place of a table with its rows is that table for all others.
        if new not in self.dropped:
            self.made.add(new)

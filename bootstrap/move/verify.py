"""Whether the target prints the same rows as the source.

Both sides are streams of lines in one form, compared by their SHA-256. Where that is not the same -
a bit has changed, or only the order has - the two are compared row by row by way of a temporary
file, and every difference is named.
"""

import hashlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.move.mapping import Plan

SHOWN = 100
_LENGTH = 160


@dataclass
class Digest:
    """The digest of a table as its rows went by, their number and the bytes of their lines."""

    hasher: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    rows: int = 0
    size: int = 0

    def add(self, rows: int, data: bytes) -> None:
        """The next chunk: its lines and how many they are."""
        self.hasher.update(data)
        self.rows += rows
        self.size += len(data)

    @property
    def text(self) -> str:
        """The digest, hexadecimal."""
        return self.hasher.hexdigest()


@dataclass(frozen=True)
class Difference:
    """One value that is not the same on both sides, or a row that is only on one."""

    table: str
    column: str
    key: str
    source: str | None
    target: str | None

    def __str__(self) -> str:
        if self.source is None or self.target is None:
            where = "target" if self.source is None else "source"
            return f"{self.table} ({self.key}): only the {where} has this row"
        return f"{self.table}.{self.column} ({self.key}): {self.source} became {self.target}"


def same(lines: Iterable[list[bytes]], wanted: Digest, told: Callable[[int], None]) -> bool:
    """Whether the target's lines are those of the source, in the same order."""
    hasher = hashlib.sha256()
    rows = 0
    for some in lines:
        hasher.update(b"".join(some))
        rows += len(some)
        told(len(some))
    return rows == wanted.rows and hasher.digest() == wanted.hasher.digest()


def differences(
    plan: Plan, ours: Iterable[bytes], theirs: Iterable[list[bytes]]
) -> list[Difference]:
    """What is not the same on both sides, whatever the order; `ours` are chunks of lines.

    The first hundred differences. Memory is bounded: the lines are kept in a temporary file.
    """
    with tempfile.TemporaryDirectory(prefix="bootstrapd-move-") as folder:
        store = sqlite3.connect(Path(folder, "lines.db"), isolation_level=None)
        try:
            store.execute("pragma journal_mode = off")
            store.execute("pragma synchronous = off")
            store.execute("create table ours (key, line)")
            store.execute("create table theirs (key, line)")
            store.execute("begin")
            places = _key_places(plan)
            _keep(store, "ours", places, (_lines(chunk) for chunk in ours))
            _keep(store, "theirs", places, theirs)
            store.execute("create index ours_key on ours (key)")
            store.execute("create index theirs_key on theirs (key)")
            return list(_found(plan, store))
        finally:
            store.close()


def _lines(chunk: bytes) -> list[bytes]:
    return chunk.splitlines(keepends=True)


def _key_places(plan: Plan) -> Sequence[int]:
    """Where the values of the primary key stand in a line; none where there is no such key."""
    names = [pair.column.name for pair in plan.pairs]
    primary = plan.target.primary
    if primary is None or not set(primary.columns) <= set(names):
        return ()
    return [names.index(name) for name in primary.columns]


def _keep(
    store: sqlite3.Connection, table: str, places: Sequence[int], chunks: Iterable[list[bytes]]
) -> None:
    insert = f"insert into {table} values (?, ?)"
    for lines in chunks:
        rows = []
        for line in lines:
            values = line[:-1].split(b"\t")
            key = b"\t".join(values[place] for place in places) if places else line
            rows.append((key, line))
        store.executemany(insert, rows)


def _found(plan: Plan, store: sqlite3.Connection) -> Iterator[Difference]:
    names = [pair.column.name for pair in plan.pairs]
    places = _key_places(plan)
    query = (
        "select coalesce(o.key, t.key), o.line, t.line from (select key, line, count(*) as n"
        " from ours group by key, line) o full join (select key, line, count(*) as n from theirs"
        " group by key, line) t on o.key = t.key and o.line = t.line and o.n = t.n"
        " where o.key is null or t.key is null order by 1"
    )
    rows = store.execute(_WITHOUT_FULL_JOIN if sqlite3.sqlite_version_info < (3, 39) else query)
    lost: dict[bytes, list[bytes | None]] = {}
    for key, our, their in rows:
        pair = lost.setdefault(key, [None, None])
        pair[0], pair[1] = our or pair[0], their or pair[1]
        if len(lost) > SHOWN:
            break
    for key, (our, their) in list(lost.items())[:SHOWN]:
        named = _named([names[place] for place in places], key) if places else "row"
        if our is None or their is None:
            yield Difference(plan.name, "", named, _short(our), _short(their))
            continue
        for name, left, right in zip(
            names, our[:-1].split(b"\t"), their[:-1].split(b"\t"), strict=True
        ):
            if left != right:
                yield Difference(plan.name, name, named, _short(left), _short(right))


_WITHOUT_FULL_JOIN = (
    "with o as (select key, line, count(*) as n from ours group by key, line),"
    " t as (select key, line, count(*) as n from theirs group by key, line)"
    " select key, line, null from (select * from o except select * from t) union all"
    " select key, null, line from (select * from t except select * from o) order by 1"
)


def _named(names: Sequence[str], key: bytes) -> str:
    values = key.split(b"\t")
    return ", ".join(f"{name} {_short(value)}" for name, value in zip(names, values, strict=True))


def _short(value: bytes | None) -> str | None:
    if value is None:
        return None
    text = value.rstrip(b"\n").decode(errors="backslashreplace")
    return text if len(text) <= _LENGTH else f"{text[:_LENGTH]}... ({len(text)} characters)"

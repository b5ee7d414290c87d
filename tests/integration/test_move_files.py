"""SQLite files that others can read in part, or not now: what is read of them, and what is said."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bootstrap import sqlite
from bootstrap.errors import BootstrapdError, DriftError, LockError, RefusedError
from bootstrap.move import reading, source


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def app(path: Path) -> Iterator[sqlite3.Connection]:
    """The app's own connection."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def rows(path: Path, table: str, columns: list[str]) -> list[reading.Row]:
    with source.opened(path) as origin:
        chunks = reading.chunks(origin, origin.tables()[table], columns)
        return [row for chunk in chunks for row in chunk]


def test_keys_that_are_no_utf8_lead_from_chunk_to_chunk(
    path: Path, app: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_ROWS", (2, 1))
    app.execute("create table word (k text, n blob, primary key (k, n)) without rowid")
    keys = [b"a\xff", b"a\xff\xfe", "\u00e4".encode(), b"b", b"\xc3", b"c"]
    app.executemany("insert into word values (cast(? as text), x'00ff')", [(key,) for key in keys])
    found = rows(path, "word", ["k"])
    assert [source.decoded(key) for key in sorted(keys)] == [row[-1] for row in found]
    with source.opened(path) as origin:
        named = origin.tables()["word"].key(found[0])
    assert named == {"k": "a\\xff", "n": "x'00ff'"}


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_a_huge_text_is_the_same_in_every_encoding(
    path: Path, app: sqlite3.Connection, encoding: str
) -> None:
    app.execute(f"pragma encoding = '{encoding}'")
    app.execute("create table word (id integer primary key, text)")
    # Pieces end within characters, and within pairs of surrogates.
    long = "x" + "\u20ac\U0001f600" * 300_000
    app.executemany("insert into word (text) values (?)", [("\u00e4",), (long,)])
    (_, _, short), (_, _, huge) = rows(path, "word", ["id", "text"])
    assert short == "\u00e4"
    assert isinstance(huge, reading.Huge)
    with source.opened(path) as origin:
        plan = origin.tables()["word"]
        (*_, (row,)) = reading.chunks(origin, plan, ["text"])
        assert row[-1].whole() == long


def shout(text: str) -> str:
    return text.upper()


def test_indexes_that_only_the_app_can_read_are_left_out_of_the_check(
    path: Path, app: sqlite3.Connection
) -> None:
    app.execute("create table word (id integer primary key, text)")
    app.execute("insert into word (text) values ('a')")
    assert source.integrity(path) == source.Integrity([])
    app.create_function("shout", 1, shout, deterministic=True)
    app.execute("create index word_shout on word (shout(text))")
    assert source.integrity(path) == source.Integrity([], "unknown function: shout()")
    app.create_collation("ours", lambda one, other: (one > other) - (one < other))
    app.execute("create index word_ours on word (text collate ours)")
    assert source.integrity(path) == source.Integrity([], "no such collation sequence: ours")
    assert rows(path, "word", ["text"]) == [(1, "a")]


def locked(app: sqlite3.Connection) -> None:
    app.execute("pragma journal_mode = memory")
    app.execute("begin exclusive")


def full(app: sqlite3.Connection) -> None:
    app.execute("pragma temp.max_page_count = 1")
    app.execute("create temp table big as select zeroblob(1000000) as much")


def incomplete(app: sqlite3.Connection) -> None:
    app.execute("select shout('a')")


UNREADABLE: list[tuple[Callable[[sqlite3.Connection], None], type[BootstrapdError], str]] = [
    (
        full,
        RefusedError,
        "{path} could not be looked through: SQLite has no room to sort its rows (database or "
        "disk is full); nothing was moved; give it a folder with more room, SQLITE_TMPDIR=FOLDER "
        "and TMPDIR=FOLDER, then run again",
    ),
    (
        incomplete,
        DriftError,
        "{path} needs what only its app adds to SQLite: no such function: shout; nothing was "
        "moved; take out of a copy of it what needs that, then move the copy",
    ),
]


@pytest.mark.parametrize(("act", "kind", "message"), UNREADABLE)
def test_what_sqlite_says_on_the_way(
    path: Path,
    app: sqlite3.Connection,
    act: Callable[[sqlite3.Connection], None],
    kind: type[BootstrapdError],
    message: str,
) -> None:
    app.execute("create table word (id integer primary key)")
    with pytest.raises(kind) as caught, source.opened(path) as origin:
        act(origin.connection)
    assert caught.value.message == message.format(path=path)


def test_a_file_that_an_app_writes_without_a_journal_is_not_read(
    path: Path, app: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.01)
    app.execute("create table word (id integer primary key)")
    locked(app)
    with pytest.raises(LockError) as caught:
        rows(path, "word", ["id"])
    assert caught.value.message == (
        f"another process has {path} to itself, and did not let go of it in 0.01 s; stop the app "
        "that uses it, then run this again"
    )


def test_a_file_in_a_folder_that_can_only_be_read(
    path: Path, app: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a log beside it, a process may be writing it; without one it is as it is."""
    app.execute("pragma journal_mode = wal")
    app.execute("create table word (id integer primary key)")
    app.execute("insert into word values (1)")

    def may(folder: Any, mode: int) -> bool:
        return folder != path.parent or mode != os.W_OK

    monkeypatch.setattr(os, "access", may)
    assert rows(path, "word", ["id"]) == [(1, 1)]
    app.close()
    assert sorted(path.parent.iterdir()) == [path]
    with source.opened(path) as origin:
        assert origin.count("word") == 1
        assert sorted(path.parent.iterdir()) == [path]
    assert source.integrity(path) == source.Integrity([])

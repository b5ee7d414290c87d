"""What a SQLite probe answers, and that looking changes nothing."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bootstrap import probe, target
from bootstrap.answer import Answer
from tests.support import need

NOBODY = 65534


def ask(path: Path, *, create_parent: bool = False) -> Answer:
    return probe.Sqlite(target.sqlite(str(path)), create_parent).probe(5)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A file with a table in it."""
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table thing (id integer primary key)")
        connection.commit()
    return path


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Without root's rights, which no permission stops."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], Path]]:
    """`theirs(path)`: a copy that `unprivileged` code owns, in a folder of its own."""
    import tempfile

    folders = []

    def make(path: Path) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="bootstrapd-sqlite-"))
        folders.append(folder)
        copy = folder / path.name
        shutil.copy(path, copy)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
            os.chown(copy, NOBODY, NOBODY)
        return copy

    yield make
    for folder in folders:
        folder.chmod(0o700)
        shutil.rmtree(folder)


# -- ready ----------------------------------------------------------------------------------------


def test_a_database_is_ready_and_left_as_it_was(database: Path) -> None:
    before = database.read_bytes()
    assert ask(database) == Answer(facts={"exists": True, "read_only": False})
    assert database.read_bytes() == before
    assert list(database.parent.iterdir()) == [database]


def test_a_missing_file_is_ready_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    assert ask(path) == Answer(facts={"exists": False, "read_only": False})
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_ready(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    path.touch()
    assert ask(path) == Answer(facts={"exists": True, "read_only": False})


def test_a_name_that_a_uri_would_trip_over(tmp_path: Path) -> None:
    path = tmp_path / "ä 100%?mode=memory#.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table thing (id)")
    assert ask(path) == Answer(facts={"exists": True, "read_only": False})
    assert list(tmp_path.iterdir()) == [path]


def test_a_database_in_memory_is_ready() -> None:
    prober = probe.Sqlite(target.sqlite(":memory:"))
    assert prober.probe(5) == Answer(facts={"exists": False, "read_only": False})


def test_the_folder_of_the_apps_default_is_made(tmp_path: Path) -> None:
    path = tmp_path / "data" / "deep" / "app.db"
    assert ask(path, create_parent=True) == Answer(facts={"exists": False, "read_only": False})
    assert path.parent.is_dir()
    assert not path.exists()


def test_a_link_leads_to_the_file(database: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(database)
    assert ask(link) == Answer(facts={"exists": True, "read_only": False})


def test_a_file_in_wal_mode_is_left_without_its_helpers(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("pragma journal_mode = wal")
    assert ask(database) == Answer(facts={"exists": True, "read_only": False})
    assert list(database.parent.iterdir()) == [database]


def test_no_connection_stays_open(database: Path) -> None:
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    ask(database)
    assert len(list(descriptors.iterdir())) == before


def test_a_read_only_file_is_ready_and_said_to_be_read_only(
    database: Path, theirs: Callable[[Path], Path]
) -> None:
    path = theirs(database)
    path.chmod(0o444)
    with unprivileged():
        assert ask(path) == Answer(facts={"exists": True, "read_only": True})


def test_a_file_in_a_read_only_folder_cannot_be_written_either(
    database: Path, theirs: Callable[[Path], Path]
) -> None:
    path = theirs(database)
    path.parent.chmod(0o555)
    with unprivileged():
        assert ask(path) == Answer(facts={"exists": True, "read_only": True})


def test_what_a_crash_left_is_rolled_back(database: Path) -> None:
    copy = database.with_name("crashed.db")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("pragma cache_size = 1")
        connection.execute("begin immediate")
        connection.executemany("insert into thing values (?)", [(n,) for n in range(5000)])
        shutil.copy(database, copy)
        shutil.copy(f"{database}-journal", f"{copy}-journal")
        connection.rollback()
    assert ask(copy) == Answer(facts={"exists": True, "read_only": False})
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("select count(*) from thing").fetchone() == (0,)


# -- not yet --------------------------------------------------------------------------------------


def test_a_locked_file(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as holder:
        holder.execute("begin exclusive")
        found = ask(database)
        assert found == Answer("locked", "database is locked")
        assert found.state == "not_yet"
        holder.execute("rollback")
    assert ask(database).state == "ready"


def test_a_file_that_somebody_only_writes_to_is_ready(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("begin immediate")
        assert ask(database).state == "ready"
        writer.execute("rollback")


# -- refused --------------------------------------------------------------------------------------


def test_a_missing_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert ask(folder / "app.db") == Answer("missing_folder", f"there is no folder '{folder}'")
    assert not folder.exists()


@pytest.mark.parametrize("create_parent", [False, True])
def test_a_folder_that_is_a_file(tmp_path: Path, create_parent: bool) -> None:
    folder = tmp_path / "data"
    folder.touch()
    for path in (folder / "app.db", folder / "deep" / "app.db"):
        assert ask(path, create_parent=create_parent) == Answer(
            "missing_folder", f"there is no folder '{path.parent}'"
        )


def test_a_link_in_a_circle(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    path.symlink_to(path)
    assert ask(path).error_class == "missing_folder"


def test_a_folder_that_this_user_may_not_write(
    theirs: Callable[[Path], Path], database: Path
) -> None:
    folder = theirs(database).parent
    folder.chmod(0o555)
    with unprivileged():
        assert ask(folder / "new.db") == Answer(
            "permission", f"there is no such file, and the folder '{folder}' is not writable"
        )
        assert ask(folder / "deep" / "new.db", create_parent=True) == Answer(
            "permission", f"permission denied: '{folder / 'deep'}'"
        )


def test_a_folder_that_this_user_may_not_enter(
    theirs: Callable[[Path], Path], database: Path
) -> None:
    path = theirs(database)
    path.parent.chmod(0o000)
    with unprivileged():
        assert ask(path) == Answer("permission", f"permission denied: '{path}'")


def test_a_file_that_this_user_may_not_read(theirs: Callable[[Path], Path], database: Path) -> None:
    path = theirs(database)
    path.chmod(0o200)
    with unprivileged():
        assert ask(path) == Answer("permission", "this user may not read it")


def test_a_folder(tmp_path: Path) -> None:
    assert ask(tmp_path) == Answer("not_a_file", "it is a folder")


def test_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    os.mkfifo(path)
    assert ask(path) == Answer("not_a_file", "it is a device, a pipe or a socket")


@pytest.mark.parametrize("text", ["hello", "DATABASE_URL=...\n", "# a text file\n" * 500])
def test_a_text_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "app.db"
    path.write_text(text)
    assert ask(path) == Answer("not_a_database", "file is not a database")
    assert path.read_text() == text


def test_a_damaged_file(database: Path) -> None:
    content = bytearray(database.read_bytes())
    content[100:200] = b"\xff" * 100
    database.write_bytes(content)
    assert ask(database) == Answer("corrupt", "database disk image is malformed")


def test_a_full_disk(database: Path, tmp_path: Path) -> None:
    need("mount")
    mounted = tmp_path / "small"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mounted)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        path = mounted / "app.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("pragma journal_mode = wal")
            connection.execute("create table thing (id)")
        fill(mounted)
        # WAL mode cannot even be read without a little space for its index.
        assert ask(path) == Answer("disk_full", "disk I/O error")
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def fill(folder: Path) -> None:
    """Leave no space on the disk of `folder`."""
    with (folder / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x" * 4096)

"""Long values go in pieces: memory stays small, and every byte arrives."""

import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg

from tests.support import cli
from tests.support.projects import Project

# The length of the longest values; with 100 it takes a minute.
VALUE_MB = int(os.environ.get("TESTS_MOVE_VALUE_MB", "20"))
LEAST_MB, MOST_MB = 20, 150
TABLE = "create table long (id integer primary key, note text, data {}, doc {})"
# The most that the command or any child of it has needed, in kB, after its output.
_MEASURED = (
    "import resource, subprocess, sys\n"
    "code = subprocess.run(sys.argv[1:]).returncode\n"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\n"
    "sys.exit(code)"
)


def test_long_values_need_little_memory(
    project: Callable[..., Project], command: cli.Command, database18: str, tmp_path: Path
) -> None:
    made = project(revisions=0, models=False)
    statement = TABLE.format("bytea", "jsonb")
    made.revision("0001", upgrade=f"op.execute({statement!r})")
    file = tmp_path / "long.db"
    note = "wörd\t\\ \n" * (VALUE_MB * 100_000)
    data = os.urandom(VALUE_MB * 1_000_000)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(TABLE.format("blob", "text"))
        for number in range(3):
            connection.execute("insert into long (id, note) values (?, ?)", (number * 10, note))
            connection.execute("insert into long (id, data) values (?, ?)", (number * 10 + 1, data))
            connection.executemany(
                "insert into long (note, data) values (?, ?)",
                [(note[:length], data[:length]) for length in (1, 900_000, 2_000, 1_000_001)],
            )
        document = f'{{"b": "{"y" * 1_500_000}", "a": 1}}'
        connection.execute("insert into long (doc) values (?)", (document,))
        connection.commit()
    done = subprocess.run(
        [
            *(sys.executable, "-c", _MEASURED),
            *(sys.executable, "-m", "bootstrap", "move", "-q", "--from", f"sqlite:///{file}"),
        ],
        cwd=made.path,
        env=command.environment({"DATABASE_URL": database18}),
        stderr=subprocess.PIPE,
        check=True,
    )
    assert LEAST_MB < int(done.stderr.split()[-1]) / 1024 < MOST_MB
    with psycopg.connect(database18) as target, closing(sqlite3.connect(file)) as connection:
        theirs = target.execute(
            "select id, encode(sha256(convert_to(note, 'UTF8')), 'hex'),"
            " encode(sha256(data), 'hex'), doc ->> 'b' from long order by id"
        ).fetchall()
        ours = connection.execute("select id, note, data, doc ->> 'b' from long order by id")
        assert theirs == [
            (number, _digest(text and text.encode()), _digest(blob), word)
            for number, text, blob, word in ours
        ]


def _digest(value: bytes | None) -> str | None:
    return None if value is None else hashlib.sha256(value).hexdigest()

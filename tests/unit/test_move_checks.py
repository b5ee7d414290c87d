"""CHECKs of PostgreSQL as SQLite can judge them, or not at all."""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from bootstrap.move import checks

SNAPSHOTS = Path(__file__).parents[2] / "migrations"


def names(columns: Iterable[str]) -> checks.Names:
    """The same in both, all of them of plain types."""
    alike = {column: column for column in columns}
    return checks.Names(alike, alike)


def broken(expression: str, **row: object) -> bool:
    """Whether SQLite finds that a row with these values breaks the CHECK."""
    translated = checks.translated(expression, names(row))
    assert translated is not None
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"create table t ({', '.join(row)})")
        marks = ", ".join("?" * len(row))
        connection.execute(f"insert into t values ({marks})", [*row.values()])
        found = connection.execute(f"select count(*) from t where not ({translated})").fetchone()
        return bool(found[0])


@pytest.mark.parametrize(
    ("expression", "good", "bad"),
    [
        ("(amount >= 0)", 0, -1),
        ("((amount >= (0)::numeric) AND (amount <= (100)::numeric))", 100, 100.5),
        ("((amount)::text = ANY (ARRAY['a'::text, 'it''s :: (odd)'::text]))", "it's :: (odd)", "b"),
        (
            "((amount)::text = ANY"
            " ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
            "b",
            "B",
        ),
        ("((amount)::text <> ALL (ARRAY['a'::text, 'b'::text]))", "c", "a"),
        ("(char_length(btrim((amount)::text)) > 2)", " abc ", "  ab  "),
        ("((amount IS NOT NULL) OR false)", 1, None),
    ],
)
def test_plain_comparisons(expression: str, good: object, bad: object) -> None:
    assert not broken(expression, amount=good)
    assert broken(expression, amount=bad)


def test_a_null_breaks_nothing() -> None:
    assert not broken("(amount >= 0)", amount=None)


@pytest.mark.parametrize(
    "expression",
    [
        "((amount)::text ~ '^a'::text)",
        "((amount)::text ~~ 'a%'::text)",
        "(jsonb_typeof(amount) = 'object'::text)",
        "(other >= 0)",
        "(amount >= now())",
        "((amount COLLATE \"C\") > 'a'::text)",
    ],
)
def test_what_may_mean_another_thing_is_left_to_the_server(expression: str) -> None:
    assert checks.translated(expression, names(["amount"])) is None


def test_of_what_compares_otherwise_it_is_known_whether_it_is_null() -> None:
    known = checks.Names({"amount": "Amount"}, {"amount": "Amount", "at": "at"})
    expression = "((at IS NOT NULL) OR (amount > 0))"
    assert checks.translated(expression, known) == '( ( "at" IS NOT NULL ) OR ( "Amount" > 0 ) )'
    assert checks.translated("(at > amount)", known) is None


def test_every_check_of_the_shipped_apps_can_be_judged() -> None:
    found = {
        expression
        for file in SNAPSHOTS.glob("*/snapshots/postgresql.txt")
        for expression in re.findall(r"definition: CHECK \((.*)\)$", file.read_text(), re.MULTILINE)
    }
    assert len(found) > 20
    for expression in found:
        bare = re.sub(r"'[^']*'|::[\w ]+", "", expression)
        words = re.findall(r"[a-z_]+", bare)
        assert checks.translated(expression, names(words)) is not None, expression

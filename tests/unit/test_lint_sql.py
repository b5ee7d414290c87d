"""What lint understands of SQL: where statements end, and what they work on."""

import pytest

from bootstrap.lint import consent, tables
from bootstrap.lint.statements import Statement, name, split


def texts(sql: str) -> list[str]:
    return [text.strip() for text, _, _ in split(sql)]


def statements(*sql: str) -> list[Statement]:
    return [
        Statement(text, words, line, None, outside=False)
        for each in sql
        for text, line, words in split(each)
    ]


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1;;\n;", ["SELECT 1"]),
        ("-- only; a comment\n/* and; another */", []),
        ("SELECT ';', \";\", 'it''s;'; SELECT 2", ["SELECT ';', \";\", 'it''s;'", "SELECT 2"]),
        (r"SELECT E'it\'s;'; SELECT 2", [r"SELECT E'it\'s;'", "SELECT 2"]),
        ("SELECT $$;$$, $a$ ; $$ $a$; SELECT 2", ["SELECT $$;$$, $a$ ; $$ $a$", "SELECT 2"]),
        ("SELECT 1 -- ;\n; SELECT 2", ["SELECT 1 -- ;", "SELECT 2"]),
        (
            "CREATE TRIGGER t BEFORE UPDATE ON a BEGIN UPDATE b SET c = CASE WHEN d THEN 1 END;"
            " DELETE FROM e; END; SELECT 2",
            [
                "CREATE TRIGGER t BEFORE UPDATE ON a BEGIN UPDATE b SET c = CASE WHEN d THEN 1 END;"
                " DELETE FROM e; END",
                "SELECT 2",
            ],
        ),
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3",
            ["CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END", "SELECT 3"],
        ),
        ("SELECT 'never closed; SELECT 2", ["SELECT 'never closed", "SELECT 2"]),
    ],
)
def test_statements_end_where_postgres_ends_them(sql: str, wanted: list[str]) -> None:
    assert texts(sql) == wanted


def test_a_statement_has_the_line_of_its_first_word() -> None:
    sql = "\n-- first\nSELECT 1;\n\n\n/* second,\nlonger */ SELECT\n2;"
    assert [line for _, line, _ in split(sql)] == [3, 7]


def test_words_are_folded_and_texts_are_hidden() -> None:
    ((_, _, words),) = split("""Alter TABLE "orders" ADD "Note" TEXT DEFAULT 'drop' -- table""")
    assert words == ("alter", "table", "orders", "add", '"Note"', "text", "default", "''")


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("ALTER TABLE orders ADD a int", ("public", "orders")),
        ("ALTER TABLE IF EXISTS ONLY public.orders ADD a int", ("public", "orders")),
        ('ALTER TABLE "Shop"."Or ders" ADD a int', ('"Shop"', '"Or ders"')),
        ("ALTER TABLE", None),
    ],
)
def test_names(sql: str, wanted: tuple[str, str] | None) -> None:
    ((_, _, words),) = split(sql)
    assert name(words, 2) == wanted


@pytest.mark.parametrize(
    ("before", "statement", "new"),
    [
        ("CREATE TABLE a (id int)", "ALTER TABLE a ADD b int", True),
        ("CREATE UNLOGGED TABLE a (id int)", "CREATE INDEX ON ONLY public.a (id)", True),
        ("CREATE TEMP TABLE a AS SELECT 1", "DROP TABLE a", True),
        ("CREATE MATERIALIZED VIEW a AS SELECT 1", "CREATE UNIQUE INDEX i ON a (id)", True),
        ("CREATE TABLE IF NOT EXISTS a (id int)", "ALTER TABLE a ADD b int", False),
        ("CREATE TABLE a (id int)", "ALTER TABLE archive.a ADD b int", False),
        ('CREATE TABLE "A" (id int)', "ALTER TABLE a ADD b int", False),
        ("CREATE TABLE a (id int)", "DROP TABLE a, b", False),
        ("CREATE TABLE a (id int); ALTER TABLE a RENAME TO b", "ALTER TABLE b ADD c int", True),
        ("CREATE TABLE a (id int); ALTER TABLE a RENAME TO b", "ALTER TABLE a ADD c int", False),
        # The new table has taken an old one's place, with its rows.
        ("CREATE TABLE a (id int); DROP TABLE b; ALTER TABLE a RENAME TO b", "DROP TABLE b", False),
        ("CREATE TABLE a (id int); DROP TABLE a", "ALTER TABLE a ADD c int", False),
        ("CREATE TABLE a (id int); CREATE INDEX i ON a (id)", "DROP INDEX i", True),
        ("CREATE TABLE a (id int); CREATE INDEX i ON b (id)", "DROP INDEX i", False),
        ("CREATE TABLE a (id int)", "SELECT 1", False),
    ],
)
def test_which_tables_are_new(before: str, statement: str, new: bool) -> None:
    assert tables.on_new_ones(statements(before, statement))[-1] is new


@pytest.mark.parametrize(
    ("text", "names", "reason"),
    [
        ("allow drop-table, because it is empty.", ("drop-table",), "it is empty"),
        ("allow drop-table because it is empty", ("drop-table",), "it is empty"),
        ("allow a, b and c, because x, y and z", ("a", "b", "c"), "x, y and z"),
        ("allow ban-drop-table, because of it", ("drop-table",), "of it"),
        ("allow drop-table, because", ("drop-table",), ""),
        ("allow drop-table, because .", ("drop-table",), ""),
        ("allow drop-table", ("drop-table",), ""),
        ("allow drop-table: it is empty", (), ""),
        ("allow because it is empty", (), ""),
        ("compatible with 1.2", (), ""),
    ],
)
def test_consents(text: str, names: tuple[str, ...], reason: str) -> None:
    (found,) = consent.read([{"line": 1, "text": text}])
    assert (found.rules, found.reason) == (names, reason)

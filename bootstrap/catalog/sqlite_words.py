"""SQLite keeps the text of each statement as it was written; here it is written in one way.

What a table's rebuild or an added column do to the text - quotes, white space, the case of
keywords - is gone then. Names stay as they are: a view's columns bear them.
"""

import re
from collections.abc import Collection, Sequence

from bootstrap.catalog.words import Word, unquoted

# https://www.sqlite.org/lang_keywords.html
_ALL = """
    ABORT ACTION ADD AFTER ALL ALTER ALWAYS ANALYZE AND AS ASC ATTACH AUTOINCREMENT BEFORE BEGIN
    BETWEEN BY CASCADE CASE CAST CHECK COLLATE COLUMN COMMIT CONFLICT CONSTRAINT CREATE CROSS
    CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DATABASE DEFAULT DEFERRABLE DEFERRED DELETE
    DESC DETACH DISTINCT DO DROP EACH ELSE END ESCAPE EXCEPT EXCLUDE EXCLUSIVE EXISTS EXPLAIN FAIL
    FILTER FIRST FOLLOWING FOR FOREIGN FROM FULL GENERATED GLOB GROUP GROUPS HAVING IF IGNORE
    IMMEDIATE IN INDEX INDEXED INITIALLY INNER INSERT INSTEAD INTERSECT INTO IS ISNULL JOIN KEY LAST
    LEFT LIKE LIMIT MATCH MATERIALIZED NATURAL NO NOT NOTHING NOTNULL NULL NULLS OF OFFSET ON OR
    ORDER OTHERS OUTER OVER PARTITION PLAN PRAGMA PRECEDING PRIMARY QUERY RAISE RANGE RECURSIVE
    REFERENCES REGEXP REINDEX RELEASE RENAME REPLACE RESTRICT RETURNING RIGHT ROLLBACK ROW ROWS
    SAVEPOINT SELECT SET TABLE TEMP TEMPORARY THEN TIES TO TRANSACTION TRIGGER UNBOUNDED UNION
    UNIQUE UPDATE USING VACUUM VALUES VIEW VIRTUAL WHEN WHERE WINDOW WITH WITHOUT"""
KEYWORDS = frozenset(_ALL.split())
# SQLite takes these for names wherever it can, so they are written as they were: %fallback in
# https://www.sqlite.org/src/file/src/parse.y
_ALSO = """
    ABORT ACTION AFTER ALWAYS ANALYZE ASC ATTACH BEFORE BEGIN BY CASCADE CAST COLUMN CONFLICT
    CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DATABASE DEFERRED DESC DETACH DO EACH END
    EXCLUDE EXCLUSIVE EXPLAIN FAIL FILTER FIRST FOLLOWING FOR GENERATED GLOB GROUPS IF IGNORE
    IMMEDIATE INITIALLY INSTEAD KEY LAST LIKE MATCH MATERIALIZED NO NULLS OF OFFSET OTHERS OVER
    PARTITION PLAN PRAGMA PRECEDING QUERY RAISE RANGE RECURSIVE REGEXP REINDEX RELEASE RENAME
    REPLACE RESTRICT ROLLBACK ROW ROWS SAVEPOINT TEMP TIES TRIGGER UNBOUNDED VACUUM VIEW VIRTUAL
    WINDOW WITH WITHOUT"""
_ALSO_NAMES = frozenset(_ALSO.split())
_CALLS = frozenset(("CAST", "RAISE", "REPLACE", "GLOB", "LIKE", "IF"))
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_CLAUSES = """SELECT FROM WHERE GROUP HAVING ORDER LIMIT LEFT INNER CROSS JOIN UNION EXCEPT
    INTERSECT VALUES"""
_BREAKS = frozenset(_CLAUSES.split())
_STATEMENTS = frozenset(("INSERT", "UPDATE", "DELETE", "SELECT", "REPLACE", "WITH"))
_JOINS = frozenset(("LEFT", "INNER", "CROSS", "OUTER", "NATURAL", "FULL", "RIGHT"))


def name(text: str) -> str:
    """A name, with or without quotes, as SQL wants it."""
    plain = unquoted(text)
    if _PLAIN.match(plain) and plain.upper() not in KEYWORDS:
        return plain
    return '"' + plain.replace('"', '""') + '"'


def tidy(words: Sequence[Word], known: Collection[str]) -> str:
    """An expression or statement on one line.

    A quoted name loses its quotes only if it is `known`, in lower case, as one of a table or
    column: for want of such a name SQLite takes it for a string.
    """
    text = ""
    last = ""
    for word in words:
        shown = _shown(word, known)
        if text and _spaced(last, shown):
            text += " "
        text += shown
        last = shown
    return text


def laid_out(words: Sequence[Word], known: Collection[str]) -> str:
    """A view or trigger with one line for each clause and statement."""
    lines = [""]
    last, depth, body = "", 0, False
    is_view = "BEGIN" not in {word.upper for word in words}
    for place, word in enumerate(words):
        shown = _shown(word, known)
        key = word.upper
        end = place == len(words) - 1
        starts = (
            (body and last in ("BEGIN", ";") and key in _STATEMENTS)
            or (key in _BREAKS and last not in _JOINS | {"DELETE"} and (body or is_view))
            or (last == "," and is_view and not depth)
            or (key == "BEGIN" and not body)
            or (key == "END" and end and body)
        )
        if starts and lines[-1].strip() and not (key in _BREAKS and last == "("):
            inner = depth + 2 if depth else 2 * (last == ",")
            lines.append("  " * (inner + (body and key != "END")))
            last = ""
        body = body or key == "BEGIN"
        depth += (shown == "(") - (shown == ")")
        if lines[-1].strip() and _spaced(last, shown):
            lines[-1] += " "
        lines[-1] += shown
        last = shown
    return "\n".join(lines)


def _shown(word: Word, known: Collection[str]) -> str:
    if word.kind == "name":
        upper = word.text.upper()
        return upper if upper in KEYWORDS and upper not in _ALSO_NAMES else word.text
    if word.kind == "quoted" and (word.text[0] != '"' or unquoted(word.text).lower() in known):
        return name(word.text)
    return word.text


def _spaced(last: str, shown: str) -> bool:
    if shown in (",", ")", ".", ";") or last in ("(", ".", ""):
        return False
    calls = last.upper() not in KEYWORDS or last.upper() in _CALLS
    return not (shown == "(" and calls and (last[-1:].isalnum() or last[-1:] in '_"'))

"""The rules that look at a whole revision, on every database."""

import re
from collections.abc import Iterator

from bootstrap.lint import tables
from bootstrap.lint.finding import Finding, Revision
from bootstrap.lint.statements import Statement

# What PostgreSQL refuses inside a transaction, by the words that it starts with.
_ALONE = (
    ("vacuum",),
    ("alter", "system"),
    ("create", "database"),
    ("drop", "database"),
    ("create", "tablespace"),
    ("drop", "tablespace"),
)
# What in a DO block may be anybody else's loss.
_TOUCHES = re.compile(
    r"\b(alter\s+table|drop|truncate|delete|update|create\s+(unique\s+)?index|execute|lock)\b",
    re.IGNORECASE,
)
# Settings of the session, which need no rollback.
_SETTINGS = ("set", "reset", "select", "show")


def revision(seen: Revision, *, postgres: bool) -> Iterator[Finding]:
    """What the revision as a whole gives to say."""
    yield from _downgrade(seen)
    yield from _unseen(seen, postgres=postgres)
    if postgres:
        yield from _transactions(seen)
    yield from _data(seen, postgres=postgres)


def _downgrade(seen: Revision) -> Iterator[Finding]:
    if seen.downgrade == "missing":
        yield seen.find("missing-downgrade", effect="there is no downgrade(), so a rollback fails")
    elif seen.downgrade == "empty":
        yield seen.find(
            "missing-downgrade",
            line=seen.downgrade_line,
            effect="downgrade() is empty: a rollback takes back the record of the revision and "
            "leaves the schema as it is, so that the next upgrade fails",
        )


def _unseen(seen: Revision, *, postgres: bool) -> Iterator[Finding]:
    """What could not be looked at: to be silent about it would be to approve of it."""
    if seen.failure is not None:
        yield seen.find(
            "not-checked",
            effect=f"its SQL cannot be told without running it: {seen.failure}",
        )
    elif seen.offline_line is not None and postgres:
        yield seen.find(
            "not-checked",
            line=seen.offline_line,
            effect="it looks whether it is only rendered, and may do something else when it is run",
        )
    for each in seen.statements:
        if each.starts("do") and postgres and _TOUCHES.search(each.text):
            yield seen.find(
                "not-checked", each, effect="what a DO block does is not known before it is run"
            )


def _transactions(seen: Revision) -> Iterator[Finding]:
    outside = [each for each in seen.statements if each.outside]
    for each in seen.statements:
        if each.outside:
            continue
        alone = each.tokens[0] in ("create", "drop", "reindex", "alter", "refresh")
        concurrent = alone and each.has("concurrently") and not each.starts("refresh")
        if concurrent or any(each.starts(*words) for words in _ALONE):
            yield seen.find("needs-autocommit", each)
        elif outside and each.tokens[0] not in _SETTINGS:
            yield seen.find("mixed-autocommit", each)


def _data(seen: Revision, *, postgres: bool) -> Iterator[Finding]:
    """A change of many rows in one transaction with a change of a table that was there before."""
    new = tables.on_new_ones(seen.statements)
    inside = [
        (each, is_new)
        for each, is_new in zip(seen.statements, new, strict=True)
        if not each.outside
    ]
    defining = _first([each for each, is_new in inside if tables.defines(each) and not is_new])
    changing = _first(
        [
            each
            for each, is_new in inside
            # A table that SQLite makes anew is filled from the old one.
            if tables.changes_many(each, is_new) and (postgres or not is_new)
        ]
    )
    if defining is None or changing is None:
        return
    shown = repr(defining.shown)
    if postgres:
        yield seen.find(
            "data-with-ddl",
            changing,
            effect=f"the lock of {shown} is kept until the commit, while rows are changed, however "
            "many there are; and after a change with a deferred trigger or key ALTER TABLE fails",
        )
    else:
        yield seen.find(
            "data-with-ddl",
            changing,
            severity="warning",
            effect=f"nobody else can write to the file until {shown} and the change of the rows "
            "are both done; if one fails, both are done again",
        )


def _first(statements: list[Statement]) -> Statement | None:
    return statements[0] if statements else None

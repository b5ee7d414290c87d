"""The differences between the dialects that are allowed, each with its name and its reason."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from bootstrap.parity import shape


class Rule(NamedTuple):
    """One allowed difference: objects of `kind` whose texts fit these two patterns, whole."""

    why: str
    kind: shape.Kind
    postgresql: str
    sqlite: str


_MOMENT = "strftime\\(.*'now'.*\\)|current_timestamp|datetime\\('now'.*\\)"

RULES: Mapping[str, Rule] = {
    # -- types ------------------------------------------------------------------------------------
    "json": Rule("JSON is jsonb; SQLite keeps its text", "type", "jsonb?", "text|json"),
    "list": Rule(
        "a list is an array; SQLite keeps it as JSON text", "type", ".*array.*", "text|json"
    ),
    "uuid": Rule(
        "a UUID has a type; SQLite keeps its text", "type", "uuid", "(var)?char\\(3[26]\\)"
    ),
    "time": Rule(
        "a moment has a type; SQLite keeps text that sorts by time",
        "type",
        "timestamp|date|time|interval",
        "text|timestamp|datetime|date|time",
    ),
    "float": Rule(
        "two names of one type", "type", "double precision|float|real", "double|float|real"
    ),
    "bytes": Rule("two names of one type", "type", "bytea", "blob"),
    "enum": Rule(
        "an enumeration has a type; SQLite keeps its text", "type", "enum.*", "varchar.*|text"
    ),
    # -- what the database fills in ----------------------------------------------------------------
    "now": Rule(
        "the present moment, in the words of each",
        "default",
        "now\\(\\)|current_timestamp|timezone\\('utc', now\\(\\)\\)",
        _MOMENT,
    ),
    "new uuid": Rule(
        "a random UUID, in the words of each",
        "default",
        "gen_random_uuid\\(\\)|uuid_generate_v4\\(\\)|uuidv7\\(\\)",
        ".*randomblob.*",
    ),
    "counter": Rule(
        "numbers that count up: a sequence; SQLite's row number",
        "default",
        "nextval\\(.*\\)|identity",
        "row number",
    ),
    "unnamed key": Rule(
        "the key of such numbers has no name in SQLite",
        "primary key",
        "\\w+( of \\w+)",
        "unnamed\\1",
    ),
    # -- the rest ----------------------------------------------------------------------------------
    "index method": Rule("SQLite has B-trees alone", "index", "(.*) using \\w+", "\\1"),
    "trigger": Rule(
        "SQLite's triggers set a value after the row was written, not before",
        "trigger",
        "before (.*)",
        "after \\1",
    ),
    "function": Rule("what triggers call; in SQLite they hold it themselves", "function", ".+", ""),
    "policy": Rule("row security goes by roles, and SQLite has none", "policy", ".+", ""),
}


def find(kind: shape.Kind, sqlite: str, postgresql: str) -> str | None:
    """The name of the rule that allows an object to be so different; None if none does."""
    for name, rule in RULES.items():
        if rule.kind != kind:
            continue
        match = re.fullmatch(rule.postgresql, postgresql)
        if match is None:
            continue
        wanted = rule.sqlite
        for number, group in enumerate(match.groups(), 1):
            wanted = wanted.replace(f"\\{number}", re.escape(group))
        if re.fullmatch(wanted, sqlite):
            return name
    return None

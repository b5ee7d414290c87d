"""What statements do to the users of a PostgreSQL database: squawk's findings in our words."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bootstrap.lint import rules, tables
from bootstrap.lint.finding import Finding, Revision
from bootstrap.lint.proven import Proven
from bootstrap.lint.squawk import SYNTAX, Complaint
from bootstrap.lint.statements import Statement, name, split

_UNBOUND = re.compile(r"(?:CHARACTER VARYING|VARCHAR|TEXT)", re.IGNORECASE)
_LIMITED = re.compile(r"(\w[\w ]*?)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)(.*)", re.IGNORECASE)
_LENGTHS = {"CHARACTER VARYING": "VARCHAR", "DECIMAL": "NUMERIC"}
_OBJECTS = ("view", "function", "procedure", "type", "domain", "sequence", "extension")
_REWRITING = ("logged", "unlogged", "tablespace", "access")


def findings(seen: Revision, complaints: Sequence[Complaint], proven: Proven) -> Iterator[Finding]:
    """What squawk and the statements themselves give to say, less what nobody can notice.

    `proven` is carried from revision to revision, in their order.
    """
    new = tables.on_new_ones(seen.statements)
    by_statement: dict[int, list[Complaint]] = {}
    for complaint in complaints:
        by_statement.setdefault(id(complaint.statement), []).append(complaint)
    for each, is_new in zip(seen.statements, new, strict=True):
        found: dict[str, Complaint] = {}
        for rule, complaint in _named(each, by_statement.get(id(each), ())):
            found.setdefault(rule, complaint)
        if not is_new:
            yield from _own(seen, each)
        for rule, complaint in found.items():
            if rule == "not-checked":
                why = f"squawk cannot read it: {complaint.message}"
                yield seen.find(rule, each, effect=why)
            elif rule not in rules.BY_NAME:
                yield seen.find(rule, each, effect=complaint.message, instead=complaint.help)
            elif not (is_new or _harmless(seen, rule, each, proven)):
                yield seen.find(rule, each)
        proven.follow(each)


def _named(statement: Statement, said: Sequence[Complaint]) -> Iterator[tuple[str, Complaint]]:
    """Our names of what squawk said, once each."""
    ours = {each.rule for each in said}
    for complaint in said:
        if complaint.rule == SYNTAX:
            yield "not-checked", complaint
        elif complaint.rule == "constraint-missing-not-valid":
            if statement.has("validate", "constraint"):
                yield "validate-constraint", complaint
            # UNIQUE, PRIMARY KEY and FOREIGN KEY have rules of their own.
            elif not ours & {
                "adding-foreign-key-constraint",
                "disallowed-unique-constraint",
                "adding-serial-primary-key-field",
            }:
                yield "add-constraint", complaint
        elif complaint.rule in rules.BY_SQUAWK:
            yield rules.BY_SQUAWK[complaint.rule].name, complaint
        else:
            yield complaint.rule, complaint


def _own(seen: Revision, statement: Statement) -> Iterator[Finding]:
    """What squawk is silent about."""
    words = statement.tokens
    if statement.starts("truncate") and "cascade" not in words:
        yield seen.find("delete-all-rows", statement)
    elif statement.starts("delete") and "where" not in words:
        yield seen.find(
            "delete-all-rows",
            statement,
            effect="all rows are gone for good; each stays locked until the commit",
        )
    elif statement.starts("cluster") or (statement.starts("vacuum") and "full" in words):
        yield seen.find("rewrite-table", statement)
    elif statement.starts("alter", "table"):
        sets = any(statement.has("set", word) for word in _REWRITING)
        adds = statement.has("add", "column") and (
            "identity" in words or bool({"serial", "bigserial", "smallserial"} & set(words))
        )
        if sets or adds:
            yield seen.find("rewrite-table", statement)


def _harmless(seen: Revision, rule: str, statement: Statement, proven: Proven) -> bool:
    """Whether what squawk sees in this one statement is nothing, for what is known beyond it."""
    if rule == "change-type":
        return _widens(seen, statement)
    if rule == "set-not-null":
        return proven.holds(statement)
    if rule == "rename-object":
        return statement.starts("alter", "index") or statement.has("rename", "constraint")
    if rule in ("rename-table", "drop-object"):
        # A table that leaves a view of its name behind, or what is made anew, nobody misses.
        return _made_again(seen, statement)
    return False


def _made_again(seen: Revision, statement: Statement) -> bool:
    words = statement.tokens
    gone = name(words, 3 if words[1:2] == ("materialized",) else 2)
    later = seen.statements[seen.statements.index(statement) + 1 :]
    return any(
        name(each.tokens, place) == gone
        for each in later
        if each.starts("create")
        for place in range(2, min(len(each.tokens), 6))
        if each.tokens[place - 1] in _OBJECTS
    )


def _widens(seen: Revision, statement: Statement) -> bool:
    """Whether Alembic was told the old type, and the new one only takes more."""
    return any(
        _takes_more(change["old"], change["new"])
        for change in seen.changes
        if change["kind"] == "change-type"
        and change["old"]
        and change["new"]
        and _alters(statement, change)
    )


def _alters(statement: Statement, change: Mapping[str, Any]) -> bool:
    """Whether the statement is this change and nothing but it."""
    schema, table, column = (
        '"' + part.replace('"', '""') + '"'
        for part in (change["schema"] or "public", change["table"], change["column"])
    )
    wanted = f"ALTER TABLE {schema}.{table} ALTER COLUMN {column} TYPE {change['new']}"
    ((_, _, words),) = split(wanted)
    return _without_schema(words) == _without_schema(statement.tokens)


def _without_schema(words: tuple[str, ...]) -> tuple[str, ...]:
    """ALTER TABLE with the table's name alone where the schema is the default one."""
    default = words[2:4] == ("public", ".")
    return (*words[:2], *words[4:]) if default else words


def _takes_more(old: str, new: str) -> bool:
    """Whether PostgreSQL changes the type without reading a row."""
    if old.upper() == new.upper():
        return True
    before, after = _LIMITED.fullmatch(old), _LIMITED.fullmatch(new)
    if before is None:
        # Without a length both are one type on disk.
        return bool(_UNBOUND.fullmatch(old)) and bool(_UNBOUND.fullmatch(new))
    kind = _LENGTHS.get(before[1].upper(), before[1].upper())
    if kind == "VARCHAR" and _UNBOUND.fullmatch(new):
        return True
    if kind == "NUMERIC" and new.upper() in ("NUMERIC", "DECIMAL"):
        return True
    if after is None or _LENGTHS.get(after[1].upper(), after[1].upper()) != kind:
        return False
    same_rest = before[4].strip() == after[4].strip() and (before[3] or "0") == (after[3] or "0")
    return kind in ("VARCHAR", "NUMERIC") and same_rest and int(after[2]) >= int(before[2])

"""What is different between a wanted schema and a found one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bootstrap.catalog import renames
from bootstrap.catalog.model import Catalog, Finding, Kind, Object, ObjectKind

_BY_OBJECT: Mapping[ObjectKind, Kind] = {
    "schema": "schema",
    "extension": "extension",
    "enum": "enum",
    "domain": "domain",
    "composite": "composite",
    "sequence": "sequence",
    "function": "function",
    "aggregate": "function",
    "table": "table",
    "index": "index",
    "statistics": "index",
    "view": "view",
    "rule": "trigger",
    "trigger": "trigger",
    "policy": "policy",
}
_BY_COLUMN: Mapping[str, Kind] = {
    "type": "type",
    "collation": "type",
    "not null": "nullability",
    "default": "default",
    "identity": "default",
    "generated": "default",
}
_BY_TABLE: Mapping[str, Kind] = {"options": "options", "replica identity": "options"}
_EXTRAS: Mapping[Kind, Kind] = {
    "missing-table": "extra-table",
    "missing-column": "extra-column",
    "key": "extra-key",
    "check": "extra-check",
    "index": "extra-index",
    "view": "extra-view",
    "function": "extra-function",
    "trigger": "extra-trigger",
    "policy": "extra-policy",
    "enum": "extra-type",
    "domain": "extra-type",
    "composite": "extra-type",
    "sequence": "extra-sequence",
    "extension": "extra-extension",
    "schema": "extra-schema",
}
_ON = frozenset(("constraint", "index", "trigger", "policy", "rule", "statistics"))
# What a property's absence means, for people.
_ABSENT: Mapping[str, str] = {
    "not null": "null",
    "default": "no default",
    "identity": "no identity",
    "generated": "not generated",
    "collation": "the default collation",
    "comment": "no comment",
    "enabled": "enabled",
    "row security": "no row security",
    "persistence": "permanent",
    "owned by": "owned by no column",
    "options": "no options",
}


@dataclass(frozen=True)
class Change:
    """An object that is missing, extra, or has other properties, those named in `keys`."""

    kind: Kind
    wanted: Object | None
    found: Object | None
    keys: tuple[str, ...] = ()

    @property
    def object(self) -> Object:
        """The wanted one, or else the found one."""
        either = self.wanted or self.found
        assert either is not None
        return either

    @property
    def is_missing(self) -> bool:
        """Whether it is wanted and not there."""
        return self.found is None

    @property
    def is_extra(self) -> bool:
        """Whether it is there and not wanted."""
        return self.wanted is None


def compare(wanted: Catalog, found: Catalog) -> tuple[Finding, ...]:
    """The differences, in an order in which their fixes can be applied, and are clean thereafter.

    What belongs to a missing or extra table is part of that difference. Raises ValueError if the
    two are of different dialects.
    """
    if wanted.dialect != found.dialect:
        raise ValueError(f"wanted a catalog of {wanted.dialect}, found one of {found.dialect}")
    if wanted == found:
        return ()
    renamed = renames.find(wanted, found)
    for each in renamed:
        found = renames.undone(found, each)
    changed = tuple(changes(wanted, found))
    if found.dialect == "sqlite":
        from bootstrap.catalog import sqlite_fix

        rest = sqlite_fix.differences(changed, wanted, found)
    else:
        from bootstrap.catalog import postgres_fix

        rest = postgres_fix.differences(changed, wanted, found)
    return (*(each.difference for each in renamed), *rest)


def changes(wanted: Catalog, found: Catalog) -> Iterator[Change]:
    """All changes, in the order of kinds and names."""
    here = {each.key: each for each in wanted.objects}
    there = {each.key: each for each in found.objects}
    if here == there:
        return
    apart = _apart(here, there)
    for key in sorted(here.keys() | there.keys()):
        one, other = here.get(key), there.get(key)
        if one == other:
            continue
        each = one or other
        assert each is not None
        if _covered(each, apart, one, other) or _goes_with_its_column(one, there):
            continue
        if one is not None and other is not None:
            yield from _altered(one, other)
        else:
            kind = _kind(each)
            yield Change(kind if other is None else _EXTRAS[kind], one, other)


def describe(change: Change) -> tuple[str, str, str]:
    """Object, wanted and found, as people read them."""
    each = change.object
    where = f" on {each.table}" if each.kind in _ON else ""
    name = each.name if where else each.full_name
    kind = each.properties.get("kind", "")
    label = f"{kind} {each.kind}".strip() if each.kind == "view" else each.kind
    title = f"{label} {name}{where}"
    if change.is_missing:
        return title, _summary(each), "nothing"
    if change.is_extra:
        return title, "nothing", _summary(each)
    assert change.wanted is not None
    assert change.found is not None
    pairs = [
        _pair(key, change.wanted.properties.get(key), change.found.properties.get(key))
        for key in change.keys
    ]
    return title, ", ".join(pair[0] for pair in pairs), ", ".join(pair[1] for pair in pairs)


def _apart(
    here: Mapping[tuple[str, str, str], Object], there: Mapping[tuple[str, str, str], Object]
) -> frozenset[tuple[str, str]]:
    """Tables and views of which not both are there, or which hang otherwise, and extra schemas."""
    apart: set[tuple[str, str]] = set()
    for key in here.keys() | there.keys():
        one, other = here.get(key), there.get(key)
        if key[0] in ("table", "view") and (
            one is None
            or other is None
            or one.properties.get("partition of") != other.properties.get("partition of")
        ):
            apart.add(("table", key[2]))
        if key[0] == "schema" and one is None:
            apart.add(("schema", key[2]))
    return frozenset(apart)


def _covered(
    each: Object,
    apart: frozenset[tuple[str, str]],
    one: Object | None,
    other: Object | None,
) -> bool:
    """Whether a difference of the object's table, column or schema says it already."""
    holder = each.table or each.name
    schema = holder.partition(".")[0]
    if "." in holder and one is None and ("schema", schema) in apart:
        return True
    if each.table and ("table", each.table) in apart:
        return True
    if each.kind == "sequence" and (one is None or other is None):
        table = each.properties.get("owned by", "").rpartition(".")[0]
        return ("table", table) in apart
    return False


def _goes_with_its_column(
    sequence: Object | None, there: Mapping[tuple[str, str, str], Object]
) -> bool:
    """Whether it is a sequence that is owned by a column that is missing."""
    if sequence is None or sequence.kind != "sequence" or sequence.key in there:
        return False
    table, _, column = sequence.properties.get("owned by", "").rpartition(".")
    return bool(table) and ("column", table, column) not in there


def _altered(one: Object, other: Object) -> Iterator[Change]:
    keys: dict[Kind, list[str]] = {}
    for key in sorted(one.properties.keys() | other.properties.keys()):
        if one.properties.get(key) != other.properties.get(key):
            keys.setdefault(_kind_of(one, key), []).append(key)
    for kind, changed in keys.items():
        yield Change(kind, one, other, tuple(changed))


def _kind(each: Object) -> Kind:
    if each.kind == "table":
        return "missing-table"
    if each.kind == "column":
        return "missing-column"
    if each.kind == "constraint":
        return "check" if each.definition.startswith("CHECK") else "key"
    return _BY_OBJECT[each.kind]


def _kind_of(each: Object, key: str) -> Kind:
    """The class of a difference in one property."""
    if key == "comment":
        return "comment"
    if each.kind == "column":
        return _BY_COLUMN[key]
    if each.kind == "table":
        return _BY_TABLE.get(key, "table")
    return _kind(each)


def _summary(each: Object) -> str:
    if each.kind in ("table", "view", "sequence", "schema", "extension"):
        return f"{'an' if each.kind == 'extension' else 'a'} {each.kind}"
    if each.kind == "column":
        return each.properties.get("type", "a column")
    if each.kind == "enum":
        return ", ".join(each.properties["values"].split("\n"))
    text = each.definition or f"a {each.kind}"
    first, _, rest = text.partition("\n")
    return f"{first} ..." if rest else first


def _pair(key: str, wanted: str | None, found: str | None) -> tuple[str, str]:
    """How a property reads on both sides; of long texts the first line that is different."""
    if wanted is not None and found is not None and "\n" in wanted + found:
        ours, theirs = wanted.split("\n"), found.split("\n")
        number = next(
            (
                place
                for place, pair in enumerate(zip(ours, theirs, strict=False))
                if len(set(pair)) > 1
            ),
            min(len(ours), len(theirs)),
        )
        at = f"in line {number + 1} "
        return tuple(  # type: ignore[return-value]
            at + (repr(lines[number].strip()) if number < len(lines) else "nothing")
            for lines in (ours, theirs)
        )
    return _value(key, wanted), _value(key, found)


def _value(key: str, value: str | None) -> str:
    if value is None:
        return _ABSENT.get(key, f"no {key}")
    if key == "not null":
        return "not null"
    if key in ("type", "definition", "values", "attributes"):
        return value.replace("\n", ", ")
    return f"{key} {value}"

"""What becomes of the values of a PostgreSQL column that is given another type."""

import re

_WHOLE = frozenset({"smallint", "integer", "bigint"})
# Types of which each kind can be cast to each.
_KINDS = (*_WHOLE, "time", "date", "numeric", "real", "double", "json")
_SIZED = re.compile(
    r"(?P<base>[a-z ]+?)(?:\((?P<size>\d+)(?:,(?P<scale>-?\d+))?\))?(?P<zone> w.*)?$"
)


def using(column: str, found: str, wanted: str) -> str:
    """The clause of ALTER COLUMN ... TYPE that says how to cast; empty where none is needed."""
    if _assigns(found, wanted):
        return ""
    direct = _is_text(found) or (found.startswith(_KINDS) and wanted.startswith(_KINDS))
    return f" USING {column}{'' if direct else '::text'}::{wanted}"


def loses_data(found: str, wanted: str) -> bool:
    """Whether some values would be changed, where others are not refused."""
    if _is_text(wanted) or _is_text(found):
        return False
    if found in _WHOLE:
        return wanted not in _WHOLE and not wanted.startswith("numeric")
    one, other = _SIZED.match(found), _SIZED.match(wanted)
    if one is None or other is None:
        return True
    if one["base"] == other["base"] == "numeric":
        return other["size"] is not None and int(one["scale"] or 99) > int(other["scale"] or 0)
    return found != wanted and {one["base"], other["base"]} != {"json", "jsonb"}


def _assigns(found: str, wanted: str) -> bool:
    """Whether PostgreSQL casts without being told how, and refuses what does not fit."""
    if found == wanted or _is_text(wanted) or wanted.startswith("character("):
        return True
    if found in _WHOLE and (wanted in _WHOLE or wanted.startswith("numeric")):
        return True
    one, other = _SIZED.match(found), _SIZED.match(wanted)
    if one is None or other is None:
        return False
    return one.group("base", "zone") == other.group("base", "zone")


def _is_text(kind: str) -> bool:
    return kind == "text" or kind.startswith(("character varying", "varchar", "citext"))

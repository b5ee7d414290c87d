"""CHECKs of the target, as far as SQLite can judge them: of plain comparisons the text is alike."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bootstrap.libpq import identifier as quoted

# Types whose values compare alike in both.
PLAIN = ("bool", "int2", "int4", "int8", "float8", "numeric", "text", "varchar", "enum")

_CAST = re.compile(
    r"::(?:character varying|double precision|\w+|\"[^\"]+\")(?:\(\d+(?:, ?\d+)?\))?(?:\[\])?"
)
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<name>[a-z_][a-z0-9_]*|\"(?:[^\"]|\"\")+\")"
    r"|(?P<word>[A-Z]+)|(?P<number>\d+(?:\.\d+)?)|(?P<sign><>|<=|>=|[-+*/=<>(),\[\]]))"
)
_FUNCTIONS = {
    "length": "length",
    "char_length": "length",
    "lower": "lower",
    "upper": "upper",
    "abs": "abs",
    "btrim": "trim",
    "coalesce": "coalesce",
    "true": "true",
    "false": "false",
}
_NULLNESS = re.compile(r"IS (NOT )?NULL\b")
_WORDS = {"AND", "OR", "NOT", "IS", "NULL", "IN", "COALESCE"}


@dataclass(frozen=True)
class Names:
    """SQLite's names for the columns by those of PostgreSQL: of the `plain` ones, whose values
    compare alike, and of `all`, which can at least be NULL.
    """

    plain: Mapping[str, str]
    all: Mapping[str, str]

    def used(self, expression: str) -> list[str]:
        """The columns that a translated expression is about."""
        return [name for name, own in self.all.items() if quoted(own) in expression]


def translated(expression: str, names: Names) -> str | None:
    """The expression for SQLite; None where it may mean another thing there."""
    texts: list[str] = []

    def put_by(found: re.Match[str]) -> str:
        texts.append(found[0])
        return f"'{len(texts) - 1}'"

    plain = re.sub(r"'(?:[^']|'')*'", put_by, expression)
    plain = _CAST.sub("", plain)
    plain = re.sub(r"= ANY \(+ARRAY\[([^\]]*)\]\)+", _listed("IN"), plain)
    plain = re.sub(r"<> ALL \(+ARRAY\[([^\]]*)\]\)+", _listed("NOT IN"), plain)
    out: list[str] = []
    place = 0
    while place < len(plain.rstrip()):
        found = _TOKEN.match(plain, place)
        if found is None:
            return None
        place = found.end()
        piece = _piece(found, names, texts)
        if piece is None:
            return None
        out.append(piece)
    return " ".join(out) if out.count("(") == out.count(")") else None


def _listed(word: str) -> Callable[[re.Match[str]], str]:
    def put(found: re.Match[str]) -> str:
        # As many brackets are closed as were opened within the match, one pair is kept.
        opened = found[0].index("ARRAY") - found[0].index("(")
        closed = len(found[0]) - len(found[0].rstrip(")"))
        return f"{word} ({found[1]})" + ")" * (closed - opened)

    return put


def _piece(found: re.Match[str], names: Names, texts: list[str]) -> str | None:
    if found["text"]:
        return texts[int(found["text"][1:-1])]
    if found["name"]:
        name = found["name"]
        bare = name[1:-1].replace('""', '"') if name.startswith('"') else name
        following = found.string[found.end() :].lstrip()
        if name in _FUNCTIONS and (name in ("true", "false") or following.startswith("(")):
            return _FUNCTIONS[name]
        known = names.all if _NULLNESS.match(following) else names.plain
        return quoted(known[bare]) if bare in known else None
    if found["word"]:
        return found["word"] if found["word"] in _WORDS else None
    return found["number"] or (found["sign"] if found["sign"] not in "[]" else None)

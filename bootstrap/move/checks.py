"""CHECKs of the target, as far as SQLite can judge them: of plain comparisons the text is alike."""

import re
from collections.abc import Callable, Mapping

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
_WORDS = {"AND", "OR", "NOT", "IS", "NULL", "IN", "COALESCE"}


def translated(expression: str, columns: Mapping[str, str]) -> str | None:
    """The expression for SQLite, with its names for `columns`; None where it may mean another."""
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
        piece = _piece(found, columns, texts)
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


def _piece(found: re.Match[str], columns: Mapping[str, str], texts: list[str]) -> str | None:
    if found["text"]:
        return texts[int(found["text"][1:-1])]
    if found["name"]:
        name = found["name"]
        bare = name[1:-1].replace('""', '"') if name.startswith('"') else name
        following = found.string[found.end() :].lstrip()
        if name in _FUNCTIONS and (name in ("true", "false") or following.startswith("(")):
            return _FUNCTIONS[name]
        return quoted(columns[bare]) if bare in columns else None
    if found["word"]:
        return found["word"] if found["word"] in _WORDS else None
    return found["number"] or (found["sign"] if found["sign"] not in "[]" else None)

"""What PostgreSQL writes differently for the same thing, made the same.

Its deparsers have changed between 15 and 16, and what they write of a list of varchar literals is
read back as something else that means the same: so does a restored dump.
"""

from collections.abc import Iterator, Sequence

from bootstrap.catalog import words
from bootstrap.catalog.words import Word

# The properties that are expressions, or have some in them.
TEXTS = frozenset(("definition", "default", "generated", "using", "with check", "checks"))

_CLAUSES = frozenset(
    ("WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR")
)
_SETS = frozenset(("UNION", "INTERSECT", "EXCEPT"))
_QUERIES = frozenset(("SELECT", "WITH", "VALUES"))


def expression(text: str) -> str:
    """`(ARRAY['a'::character varying])::text[]` and what it is read back as, in one form."""
    if "ARRAY[" not in text and "'::character varying)" not in text:
        return text
    return words.join(_plain_literals(_spread(words.split(text))))


def in_order(statistics: str) -> str:
    """CREATE STATISTICS with its columns by name; the server has them by their place."""
    head, on, rest = statistics.partition(" ON ")
    columns, where, table = rest.rpartition(" FROM ")
    parts = [words.join(part) for part in _elements(words.split(columns))]
    return head + on + ", ".join(sorted(parts)) + where + table


def unqualified(view: str) -> str:
    """A view's text as 16 and later write it: over one relation, its columns stand alone.

    That holds for the outermost query only; in a query within it they bear its name as before.
    """
    found = words.split(view)
    outer = _outermost(found)
    name = _only_source([word for word, depth in outer if depth == 0])
    if name is None:
        return view
    kept: list[Word] = []
    place = 0
    while place < len(found):
        word, depth = outer[place]
        ahead = found[place + 1 : place + 3]
        if (
            depth is not None
            and word.text == name
            and [each.text for each in ahead[:1]] == ["."]
            and ahead[1].kind in ("name", "quoted")
        ):
            kept.append(ahead[1]._replace(space=word.space))
            place += 3
            continue
        kept.append(word)
        place += 1
    return words.join(kept) + view[len(view.rstrip()) :]


def _outermost(found: Sequence[Word]) -> list[tuple[Word, int | None]]:
    """Each word with its depth of brackets, None within a query that is in brackets."""
    depths: list[tuple[Word, int | None]] = []
    depth, end = 0, -1
    for place, word in enumerate(found):
        if place <= end:
            depths.append((word, None))
            continue
        depth -= word.text in (")", "]")
        depths.append((word, depth))
        if word.text in ("(", "["):
            depth += 1
            if place + 1 < len(found) and found[place + 1].upper in _QUERIES:
                end = words.closing(found, place) - 1
    return depths


def _only_source(top: Sequence[Word]) -> str | None:
    """The name of the one relation after FROM, in the words outside of all brackets."""
    keys = [word.upper for word in top]
    if "FROM" not in keys or _SETS & set(keys):
        return None
    sources: list[Word] = []
    for word in top[keys.index("FROM") + 1 :]:
        if word.upper in _CLAUSES or word.text == ";":
            break
        sources.append(word)
    # A join is in brackets, of which only the first is seen here.
    named = [word for word in sources if word.kind in ("name", "quoted")]
    if not named or "," in [word.text for word in sources] or "JOIN" in {w.upper for w in named}:
        return None
    if sources[0].text == "(" and len(named) == 1 and sources[1:2] != [named[0]]:
        return named[0].text if sources[1].text == ")" else None
    return named[-1].text


def _spread(found: Sequence[Word]) -> list[Word]:
    """`(ARRAY[x, y])::t[]` as `ARRAY[(x)::t, (y)::t]`."""
    kept: list[Word] = []
    place = 0
    while place < len(found):
        spread = _cast_array(found, place)
        if spread is None:
            kept.append(found[place])
            place += 1
        else:
            replacement, place = spread
            kept += replacement
    return kept


def _cast_array(found: Sequence[Word], start: int) -> tuple[list[Word], int] | None:
    if [word.text for word in found[start : start + 3]] != ["(", "ARRAY", "["]:
        return None
    end = words.closing(found, start + 2)
    if [word.text for word in found[end + 1 : end + 3]] != [")", "::"]:
        return None
    after = end + 3
    kind: list[Word] = []
    while after < len(found) and found[after].kind in ("name", "quoted"):
        kind.append(found[after])
        after += 1
    if not kind or [word.text for word in found[after : after + 2]] != ["[", "]"]:
        return None
    made = [found[start + 1]._replace(space=found[start].space), found[start + 2]]
    for number, element in enumerate(_elements(_spread(found[start + 3 : end]))):
        if number:
            made.append(Word("sign", ","))
        made.append(Word("sign", "(", " " if number else ""))
        made += [element[0]._replace(space=""), *element[1:]]
        made += [Word("sign", ")"), Word("sign", "::"), *kind]
    return [*made, found[end]], after + 2


def _elements(found: Sequence[Word]) -> Iterator[list[Word]]:
    element: list[Word] = []
    depth = 0
    for word in found:
        depth += (word.text in ("(", "[")) - (word.text in (")", "]"))
        if word.text == "," and depth == 0:
            yield element
            element = []
        else:
            element.append(word)
    if element:
        yield element


_VARCHAR = ("::", "character", "varying", ")", "::", "text")


def _plain_literals(found: Sequence[Word]) -> list[Word]:
    """`('x'::character varying)::text` as `'x'::text`: without a length the first cast is idle."""
    kept: list[Word] = []
    place = 0
    while place < len(found):
        rest = found[place + 1 : place + 8]
        if (
            found[place].text == "("
            and len(rest) == 7
            and rest[0].kind == "string"
            and tuple(word.text for word in rest[1:]) == _VARCHAR
        ):
            kept += [rest[0]._replace(space=found[place].space), rest[5], rest[6]]
            place += 8
        else:
            kept.append(found[place])
            place += 1
    return kept

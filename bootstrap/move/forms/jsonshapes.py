"""JSON whose shape was seen before, printed by PostgreSQL's rules without being parsed.

The documents of a column mostly have the same keys in the same order. From one of them a pattern
and a template are learnt; the documents that the pattern matches go through both in a few calls of
C. A pattern matches JSON alone, with such values alone as jsonb prints as they come.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from bootstrap.move.forms import jsontext

_MOST_SHAPES = 4
_MOST_VALUES = 60
_LONGEST = 4000
# So many more documents unknown than known, and the column has no shapes worth a try.
_PATIENCE = 20_000

_STRING = r'"[^"\\\x00-\x1f]*"'
# Without an exponent, and no zero with a sign: those would be written otherwise.
_NUMBER = r"(?:0|-?[1-9][0-9]{0,99})(?:\.[0-9]{1,99})?|-0\.0{0,50}[1-9][0-9]{0,49}"
_SCALAR = rf"(?:{_STRING}|{_NUMBER}|true|false|null)"
_VALUE = rf"({_SCALAR}|\[(?:{_SCALAR}(?:, {_SCALAR})*)?\]|\{{\}})"
_TOKEN = re.compile(rf"{_STRING}(?=[ \t\n\r]*:)|(?P<value>{_VALUE})|[][{{}}:,]|[ \t\n\r]+")
# Stands in for a value, by its number.
_MARK = "\ue000"
_MARKED = re.compile(rf'"{_MARK}([0-9]+){_MARK}"')


@dataclass(frozen=True)
class Shape:
    """`pattern` matches a document of this shape, `template` takes those of its values that
    `order` chooses; `framed` matches it between NUL and SOH, which no document holds.
    """

    pattern: "re.Pattern[str]"
    framed: "re.Pattern[str]"
    template: str
    order: Callable[[Any], Any]

    def all(self, texts: Sequence[str]) -> list[str] | None:
        """All of them as jsonb prints them; None where one is not of this shape."""
        joined = "\0" + "\1\0".join(texts) + "\1"
        found = self.framed.findall(joined)
        if not len(found) == len(texts) == joined.count("\0") == joined.count("\1"):
            return None
        return list(map(self.template.__mod__, map(self.order, found)))

    def one(self, text: str) -> str | None:
        """One of them; None where it is not of this shape."""
        found = self.pattern.fullmatch(text)
        return self.template % self.order(found.groups()) if found else None


def learn(text: str) -> Shape | None:
    """The shape of a document; None where it has none that is worth it, or is no JSON."""
    if len(text) > _LONGEST or _MARK in text:
        return None
    pattern, stencil = [], []
    place = count = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None or count > _MOST_VALUES:
            return None
        place = token.end()
        if token["value"]:
            pattern.append(_VALUE)
            stencil.append(f'"{_MARK}{count}{_MARK}"')
            count += 1
        else:
            pattern.append(re.escape(token[0]))
            stencil.append(token[0])
    try:
        # What is no JSON itself could become some when its values are marked.
        jsontext.one(text)
        printed = jsontext.one("".join(stencil))
    except ValueError:
        return None
    order = [int(number) for number in _MARKED.findall(printed)]
    if not order:
        return None
    # Without the two empty groups, a single value would come alone and not in a tuple.
    body = "".join((*pattern, "()()"))
    return Shape(
        re.compile(body),
        re.compile(f"\0{body}\1"),
        _MARKED.sub("%s", printed.replace("%", "%%")),
        itemgetter(*order),
    )


class Shapes:
    """The shapes of one column, learnt as its documents go by."""

    def __init__(self) -> None:
        self._shapes: list[Shape] = []
        self._balance = 0

    def many(self, texts: Sequence[str]) -> list[str] | None:
        """All of them as jsonb prints them; None where one needs a look of its own."""
        if self._balance < -_PATIENCE:
            return jsontext.many(texts)
        for shape in self._shapes[:1]:
            found = shape.all(texts)
            if found is not None:
                self._balance += len(found)
                return found
        return self._mixed(texts)

    def _mixed(self, texts: Sequence[str]) -> list[str] | None:
        """The same for documents of several shapes, or of none that is known."""
        printed: list[str | None] = [None] * len(texts)
        left: Sequence[int] = range(len(texts))
        for number in range(_MOST_SHAPES):
            if number == len(self._shapes):
                new = learn(texts[left[0]])
                if new is None:
                    break
                self._shapes.append(new)
            for place in left:
                printed[place] = self._shapes[number].one(texts[place])
            left = [place for place in left if printed[place] is None]
            if not left:
                break
        self._balance += len(texts) - 2 * len(left)
        parsed = jsontext.many([texts[place] for place in left])
        if parsed is None:
            return None
        following = iter(parsed)
        return [next(following) if text is None else text for text in printed]

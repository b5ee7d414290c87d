"""SQL cut into words, as both dialects write it: enough to compare and rearrange, no parser."""

import re
from collections.abc import Sequence
from typing import NamedTuple

_WORDS = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|/\*.*?\*/)
  | (?P<string>[eExXbBuU]?&?'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[A-Za-z_][^\]]*\](?!\[))
  | (?P<body>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
  | (?P<name>[^\W\d]\w*(?:\$\w*)*)
  | (?P<number>0[xX][0-9a-fA-F]+|(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<sign>::|\|\||->>|->|<=|>=|<>|!=|==|<<|>>|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")


def literal(text: str) -> str:
    """A string constant of SQL."""
    return "'" + text.replace("'", "''") + "'"


class Word(NamedTuple):
    """One word of SQL; `kind` is the group of `_WORDS`, `space` what white space is before it."""

    kind: str
    text: str
    space: str = ""

    @property
    def upper(self) -> str:
        """The word as a keyword is compared."""
        return self.text.upper() if self.kind == "name" else self.text


def split(sql: str) -> list[Word]:
    """The words of `sql`; comments count as white space."""
    words: list[Word] = []
    space = ""
    for match in _WORDS.finditer(sql):
        kind = match.lastgroup or ""
        if kind == "space":
            space += match[0]
        else:
            words.append(Word(kind, match[0], space))
            space = ""
    return words


def join(words: Sequence[Word]) -> str:
    """The words as text, with the white space before them but the first."""
    return "".join(word.space + word.text for word in words).strip()


def closing(words: Sequence[Word], start: int) -> int:
    """The place of the bracket that closes the one at `start`; the end where none does."""
    depth = 0
    for place in range(start, len(words)):
        if words[place].text in ("(", "["):
            depth += 1
        elif words[place].text in (")", "]"):
            depth -= 1
            if depth == 0:
                return place
    return len(words)


def names(sql: str) -> frozenset[str]:
    """All names in `sql`, without their quotes; keywords are among them."""
    return frozenset(unquoted(word.text) for word in split(sql) if word.kind in ("name", "quoted"))


def unquoted(name: str) -> str:
    """A name without its quotes."""
    if name[:1] in ('"', "`"):
        return name[1:-1].replace(name[0] * 2, name[0])
    return name[1:-1] if name[:1] == "[" else name


def quoted(name: str) -> str:
    """A name as SQL wants it; quoted unless it is in lower case and plain."""
    return name if _PLAIN.match(name) else '"' + name.replace('"', '""') + '"'

"""SQL as far as lint must understand it: where statements end, what they work on."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Name = tuple[str, str]
"""A table or index: schema and name, as PostgreSQL folds them."""

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<text>[eE]'(?:[^'\\]|\\.|'')*'|(?:[uUbBxXnN]&?)?'(?:[^']|'')*'|(?P<tag>\$\w*\$).*?(?P=tag))
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<word>[^\W\d][\w$]*)
    |(?P<other>\d+|.)""",
    re.DOTALL | re.VERBOSE,
)
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_DEFAULT_SCHEMA = "public"


@dataclass(frozen=True)
class Statement:
    """One statement of a revision.

    `line` is its line in the revision's SQL, `source_line` that in the revision file, if known;
    `outside` tells that it runs in an autocommit block. `tokens` are its words without comments:
    folded as PostgreSQL does, names that need quotes in quotes, every text as an empty one.
    """

    text: str
    tokens: tuple[str, ...]
    line: int
    source_line: int | None
    outside: bool

    def starts(self, *wanted: str) -> bool:
        """Whether the statement starts with these words."""
        return self.tokens[: len(wanted)] == wanted

    def has(self, *wanted: str) -> bool:
        """Whether these words follow each other somewhere in it."""
        return self.after(*wanted) is not None

    def after(self, *wanted: str) -> int | None:
        """The place behind the first occurrence of these words."""
        for place in range(len(self.tokens) - len(wanted) + 1):
            if self.tokens[place : place + len(wanted)] == wanted:
                return place + len(wanted)
        return None

    @property
    def shown(self) -> str:
        """The statement on one line, cut short."""
        text = _COMMENT.sub(" ", self.text)
        text = " ".join(text.split()).rstrip("; ")
        return text if len(text) <= 100 else f"{text[:97]}..."


def split(text: str) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """The statements of a text, each with its line in the text and its words.

    A line is where the statement's first word stands; comments before it belong to it.
    """
    tokens: list[str] = []
    began, first, in_body = 0, None, 0
    for match in _TOKEN.finditer(text):
        if match["space"] is not None:
            continue
        if match[0] == ";" and not in_body:
            if tokens:
                yield text[began : match.start()], _line(text, first), tuple(tokens)
            tokens, began, first = [], match.end(), None
            continue
        first = match.start() if first is None else first
        tokens.append(_folded(match))
        in_body = _depth(tokens, in_body)
    if tokens:
        yield text[began:], _line(text, first), tuple(tokens)


def name(tokens: Sequence[str], place: int) -> Name | None:
    """The table or index that is named at a place, past IF EXISTS and ONLY."""
    left = list(tokens[place : place + 8])
    for words in (["if", "not", "exists"], ["if", "exists"], ["only"]):
        if left[: len(words)] == words:
            del left[: len(words)]
    if not left or not (left[0].startswith('"') or _PLAIN.fullmatch(left[0])):
        return None
    if left[1:2] == ["."] and len(left) > 2:
        return left[0], left[2]
    return _DEFAULT_SCHEMA, left[0]


def _line(text: str, place: int | None) -> int:
    return text.count("\n", 0, place or 0) + 1


def _folded(match: re.Match[str]) -> str:
    if match["text"] is not None:
        return "''"
    if match["quoted"] is not None:
        inner = match[0][1:-1].replace('""', '"')
        return inner if _PLAIN.fullmatch(inner) else match[0]
    return match[0].lower()


def _depth(tokens: list[str], depth: int) -> int:
    """How deep the last token stands in the body of a trigger or function, which has its own `;`.

    In such a body CASE has an END of its own.
    """
    if tokens[0] != "create":
        return 0
    last = tokens[-1]
    opens = last == "begin" and {"trigger", "function", "procedure"} & set(tokens[:6])
    if opens or (depth and last == "case"):
        return depth + 1
    return depth - 1 if depth and last == "end" else depth

"""SQL as its tokens: what is left of a statement without its layout and its comments."""

import re

_TOKEN = re.compile(
    r"""
    (?P<space>\s+ | --[^\n]*)
  | (?P<hint>/\*[+!])
  | (?P<comment>/\*)
  | (?P<token>
        [eE]'(?:[^'\\]|\\.|'')*'
      | (?:[bBnNxX]|[uU]&)?'(?:[^']|'')*'
      | (?:[uU]&)?"(?:[^"]|"")*"
      | `[^`]*`
      | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
      | :?(?:\w|\$\d)[\w$]*
      | := | ::?
      | (?:(?!--|/\*)[-+*/<>=~!@#%^&|?.\\])+
      | [(),;\[\]{}]
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def tokens(text: str) -> str | None:
    """The tokens of `text`, a space between two of them; texts in quotes stay as they are.

    None where that is not safe to say: a quote or comment without an end, or what is no SQL.
    """
    found: list[str] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        # Hints are comments that have a meaning.
        if match is None or match["hint"]:
            return None
        if match["comment"]:
            end = _comment_end(text, at)
            if end is None:
                return None
            at = end
            continue
        if match["token"]:
            found.append(match["token"])
        at = match.end()
    return " ".join(found)


def _comment_end(text: str, start: int) -> int | None:
    """Where the comment that begins at `start` ends; comments nest."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge[0] == "/*" else -1
        if not depth:
            return edge.end()
    return None

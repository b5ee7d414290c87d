"""Variables as compose puts them in: `${NAME:-default}` and its kin, and `.env` files."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


class MalformedError(ValueError):
    """Text with a `$` that compose cannot read."""


@dataclass(frozen=True)
class Missing:
    """A variable without a value where one is wanted; `wanted` is the file's own message."""

    name: str
    file: str
    line: int
    wanted: str | None


@dataclass
class Variables:
    """What may be put in, and what was asked for in vain."""

    values: Mapping[str, str]
    missing: list[Missing] = field(default_factory=list)

    def put_in(self, text: str, file: str = "", line: int = 0) -> str:
        """The text with its variables replaced. Raises MalformedError."""
        return self._read(text, file, line) if "$" in text else text

    def _read(self, text: str, file: str, line: int) -> str:
        done, place = [], 0
        while (at := text.find("$", place)) >= 0:
            done.append(text[place:at])
            if text[at + 1 : at + 2] == "$":
                done.append("$")
                place = at + 2
            elif text[at + 1 : at + 2] == "{":
                end = _closing(text, at + 2)
                done.append(self._braced(text[at + 2 : end], file, line))
                place = end + 1
            elif name := _NAME.match(text, at + 1):
                done.append(self._plain(name[0], file, line))
                place = name.end()
            else:
                raise MalformedError(f"a $ in {text!r} names no variable; write $$ for a dollar")
        return "".join([*done, text[place:]])

    def _plain(self, name: str, file: str, line: int) -> str:
        if name not in self.values:
            self.missing.append(Missing(name, file, line, None))
        return self.values.get(name, "")

    def _braced(self, inner: str, file: str, line: int) -> str:
        name = _NAME.match(inner)
        operator = _OPERATOR.match(inner, name.end()) if name else None
        if name is None or (operator is None and name.end() != len(inner)):
            raise MalformedError(f"${{{inner}}} cannot be read")
        if operator is None:
            return self._plain(name[0], file, line)
        value = self.values.get(name[0])
        there = bool(value) if operator[0].startswith(":") else value is not None
        rest = inner[operator.end() :]
        kind = operator[0][-1]
        if kind == "+":
            return self._read(rest, file, line) if there else ""
        if there:
            return value or ""
        if kind == "-":
            return self._read(rest, file, line)
        self.missing.append(Missing(name[0], file, line, self._read(rest, file, line)))
        return ""


def _closing(text: str, begin: int) -> int:
    depth, place = 1, begin
    while place < len(text):
        if text.startswith("${", place):
            depth += 1
        elif text[place] == "}":
            depth -= 1
            if not depth:
                return place
        place += 1
    raise MalformedError(f"a brace is not closed in {text!r}")


@dataclass(frozen=True)
class Entry:
    """One line of a `.env` file; a name alone has no value of its own."""

    name: str
    value: str | None
    line: int


def entries(text: str, values: Mapping[str, str]) -> list[Entry]:
    """The entries of a `.env` file, with those before and `values` put in.

    Raises MalformedError.
    """
    found: list[Entry] = []
    known = dict(values)
    lines = text.removeprefix("\ufeff").splitlines()
    number = 0
    while number < len(lines):
        line, begin = lines[number].strip(), number + 1
        number += 1
        if not line or line.startswith("#"):
            continue
        match = re.match(r"(?:export\s+)?([\w.\-\[\]]+)\s*(?:([=:])\s*(.*))?$", line, re.DOTALL)
        if match is None:
            raise MalformedError(f"line {begin}: wanted NAME=VALUE")
        name, sign, rest = match[1], match[2], match[3] or ""
        quote = rest[:1] if rest[:1] in ("'", '"') else ""
        while quote and _quoted(rest, quote) is None and number < len(lines):
            rest += "\n" + lines[number]
            number += 1
        value = None
        if sign:
            value = _value(rest, quote, begin, Variables(known))
            known.setdefault(name, value)
        found.append(Entry(name, value, begin))
    return found


def _quoted(rest: str, quote: str) -> re.Match[str] | None:
    inner = r"((?:[^\\{0}]|\\.)*)" if quote == '"' else r"([^{0}]*)"
    return re.match(f"{quote}{inner.format(quote)}{quote}", rest, re.DOTALL)


def _value(rest: str, quote: str, line: int, known: Variables) -> str:
    if not quote:
        return known.put_in(
            re.split(r"\s+#", rest, maxsplit=1)[0].strip() if rest[:1] != "#" else ""
        )
    match = _quoted(rest, quote)
    if match is None:
        raise MalformedError(f"line {line}: a quote is not closed")
    if quote == "'":
        return match[1]
    text = re.sub(r"\\\$", "$$", match[1])
    text = known.put_in(text.replace("\\\\", "\\\\"))
    return re.sub(r"\\(.)", lambda each: _ESCAPES.get(each[1], each[0]), text, flags=re.DOTALL)

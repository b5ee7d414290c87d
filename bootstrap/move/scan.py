"""The rows of one table as COPY takes them; what does not fit is reported, and fixed if wanted."""

import codecs
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from bootstrap.move import forms, source
from bootstrap.move.findings import Findings
from bootstrap.move.forms import BadValueError
from bootstrap.move.mapping import Pair, Plan
from bootstrap.move.problems import SHOWN_CHARACTERS, Action, Class, Problem

HUGE_BASES = ("text", "varchar", "bytea", "json", "jsonb")
_WRITTEN = {b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}
# So many values are looked at one by one where one of them is odd.
_SOME = 16
# A fix may uncover another problem of the same value.
_FIXES = 5


@dataclass(frozen=True)
class Chunk:
    """Lines for COPY: `read` rows of the source became `rows` in `pieces`.

    `compared` are the same lines, but for a huge value its digest in place.
    """

    read: int
    rows: int
    pieces: Callable[[], Iterator[bytes]]
    compared: bytes


@dataclass
class Seen:
    """What was learnt of a table on the way.

    `skipped` are the keys of rows that go to the reject file, `huge` the columns with a value over
    source.HUGE_BYTES, `odd` those with values that were
    not all in one usual form: two that differ in the source may be the same in the target.
    """

    huge: set[str] = field(default_factory=set)
    skipped: set[Any] = field(default_factory=set)
    odd: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Amends:
    """What is done to rows for the sake of others: the keys of rows `left_out`, and of those whose
    columns are to be NULL.
    """

    left_out: Set[Any] = frozenset()
    blank: Mapping[str, Set[Any]] = field(default_factory=dict)


def chunks(
    origin: source.Source, plan: Plan, findings: Findings, amends: Amends, seen: Seen
) -> Iterator[Chunk]:
    """The table in chunks, in the order of its keys."""
    reader = _Reader(plan, findings, amends, seen)
    left_out = amends.left_out
    width = len(plan.source.keys)
    for rows in origin.chunks(plan.source, [pair.source for pair in plan.pairs]):
        kept = rows
        if left_out:
            kept = [row for row in rows if row[:width] not in left_out]
        if not kept:
            yield Chunk(len(rows), 0, lambda: iter(()), b"")
        elif len(kept) == 1 and any(isinstance(value, source.Huge) for value in kept[0]):
            yield reader.long_row(kept[0])
        else:
            yield reader.chunk(len(rows), kept)


def printed(pair: Pair, value: Any, decide: Callable[[BadValueError, Any], Action]) -> str | None:
    """One value as COPY takes it, fixed as `decide` says; None where its row cannot go."""
    for _ in range(_FIXES):
        try:
            if value is None:
                if pair.column.not_null:
                    raise BadValueError("not_null", f"{pair.column.type} not null")
                return forms.NULL
            return pair.form.one(value)
        except BadValueError as error:
            action = decide(error, value)
            if action in ("stop", "skip"):
                return None
            value = None if action == "null" else error.fixes[action]
    return None


def chosen(policy: Mapping[Class, Action], error: BadValueError) -> Action:
    """What is done about a value. What cannot be done about it stops the move as well."""
    action = policy[error.kind]
    return action if action in ("stop", "skip", "null") or action in error.fixes else "stop"


class _Reader:
    def __init__(self, plan: Plan, findings: Findings, amends: Amends, seen: Seen) -> None:
        self._plan = plan
        self._findings = findings
        self._blank = amends.blank
        self._seen = seen
        self._width = len(plan.source.keys)

    def chunk(self, read: int, rows: Sequence[source.Row]) -> Chunk:
        columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True))[self._width :]
        if self._blank:
            columns = self._blanked(columns, rows)
        bad: set[int] = set()
        texts = [
            self._column(pair, values, rows, bad)
            for pair, values in zip(self._plan.pairs, columns, strict=True)
        ]
        lines = list(map("\t".join, zip(*texts, strict=True))) if texts else [""] * len(rows)
        if bad:
            lines = [line for place, line in enumerate(lines) if place not in bad]
        data = "".join((*("\n".join(lines), "\n"),)).encode() if lines else b""
        return Chunk(read, len(lines), lambda: iter((data,)), data)

    def _blanked(
        self, columns: Sequence[Sequence[Any]], rows: Sequence[source.Row]
    ) -> list[Sequence[Any]]:
        """The columns with NULL where a reference to nothing is to be one."""
        keys = [row[: self._width] for row in rows]
        found: list[Sequence[Any]] = []
        for pair, values in zip(self._plan.pairs, columns, strict=True):
            blank = self._blank.get(pair.column.name)
            if not blank:
                found.append(values)
                continue
            found.append(
                [None if key in blank else each for key, each in zip(keys, values, strict=True)]
            )
        return found

    def _column(
        self, pair: Pair, values: Sequence[Any], rows: Sequence[source.Row], bad: set[int]
    ) -> Sequence[str]:
        """A column as text. Few values alone are slow to look at, so they are looked for."""
        found = self._together(pair, values)
        if found is not None:
            return found
        texts: list[str] = []
        for first in range(0, len(values), _SOME):
            some = values[first : first + _SOME]
            found = self._together(pair, some)
            if found is None:
                found = self._one_by_one(pair, some, rows, first, bad)
            texts += found
        return texts

    def _together(self, pair: Pair, values: Sequence[Any]) -> Sequence[str] | None:
        kinds = set(map(type, values))
        if type(None) not in kinds:
            return pair.form.many(values, kinds)
        if pair.column.not_null:
            return None
        kinds.discard(type(None))
        if not kinds:
            return [forms.NULL] * len(values)
        found = pair.form.many([value for value in values if value is not None], kinds)
        if found is None:
            return None
        texts = list(found)
        for place in (place for place, value in enumerate(values) if value is None):
            texts.insert(place, forms.NULL)
        return texts

    def _one_by_one(
        self,
        pair: Pair,
        values: Sequence[Any],
        rows: Sequence[source.Row],
        first: int,
        bad: set[int],
    ) -> Sequence[str]:
        self._seen.odd.add(pair.column.name)
        texts = []
        for place, value in enumerate(values, first):
            text = self._value(pair, value, rows[place])
            if text is None:
                bad.add(place)
            texts.append(text or "")
        return texts

    def _value(self, pair: Pair, value: Any, row: source.Row) -> str | None:
        """One value; None where its row cannot go."""
        return printed(pair, value, lambda error, found: self._report(pair, error, found, row))

    def _report(self, pair: Pair, error: BadValueError, value: Any, row: source.Row) -> Action:
        action = chosen(self._findings.policy, error)
        if action == "skip":
            self._seen.skipped.add(row[: self._width])
        self._findings.add(
            Problem(
                kind=error.kind,
                table=self._plan.name,
                column=pair.column.name,
                key=self._plan.source.key(row[: self._width]),
                value=None if value is None else shown(value),
                wanted=error.wanted,
                action=action,
            )
        )
        return action

    # -- values too long to be held ---------------------------------------------------------------

    def long_row(self, row: source.Row) -> Chunk:
        parts: list[Callable[[], Iterator[bytes]]] = []
        compared: list[bytes] = []
        good = True
        for pair, value in zip(self._plan.pairs, row[self._width :], strict=True):
            if isinstance(value, source.Huge) and _takes(pair, value):
                ready, digest = self._huge(pair, value, row)
                good = good and digest is not None
                self._seen.huge.add(pair.column.name)
                parts.append(ready)
                compared.append(digest or b"")
                continue
            whole = value
            if isinstance(value, source.Huge):
                raw = b"".join(value.pieces())
                whole = raw if value.kind is bytes else raw.decode("utf-8", "surrogateescape")
            text = self._value(pair, whole, row)
            good = good and text is not None
            data = (text or "").encode()
            parts.append(lambda data=data: iter((data,)))  # type: ignore[misc]
            digest = _digest_of(pair, whole, data)
            if digest != data:
                self._seen.huge.add(pair.column.name)
            compared.append(digest)
        if not good:
            return Chunk(1, 0, lambda: iter(()), b"")

        def pieces() -> Iterator[bytes]:
            for place, part in enumerate(parts):
                if place:
                    yield b"\t"
                yield from part()
            yield b"\n"

        return Chunk(1, 1, pieces, b"\t".join(compared) + b"\n")

    def _huge(
        self, pair: Pair, value: source.Huge, row: source.Row
    ) -> tuple[Callable[[], Iterator[bytes]], bytes | None]:
        """What sends a value in pieces, and its digest; the digest is None where it cannot go."""
        stripped: set[Class] = set()
        hasher = hashlib.sha256()
        if value.kind is bytes:
            for piece in value.pieces():
                hasher.update(piece)
            return lambda: _hexadecimal(value), _marked(hasher)
        for kind, flawed in _flaws(value):
            if not flawed:
                continue
            error = BadValueError(kind, "text without NUL" if kind == "nul" else "text in UTF-8")
            error.fixes = {"strip": None}
            action = self._report(pair, error, _Head(value), row)
            if action == "strip":
                stripped.add(kind)
            elif action == "null" and not pair.column.not_null:
                return lambda: iter((forms.NULL.encode(),)), forms.NULL.encode()
            else:
                return lambda: iter(()), None
        for piece in _clean(value, stripped):
            hasher.update(piece)

        def pieces() -> Iterator[bytes]:
            for piece in _clean(value, stripped):
                yield forms.texts.escaped_bytes(piece)

        return pieces, _marked(hasher)


@dataclass(frozen=True)
class _Head:
    """Stands for a huge value in a report."""

    value: source.Huge


def _takes(pair: Pair, value: source.Huge) -> bool:
    """Whether the column takes this value in pieces."""
    if value.kind is bytes:
        return pair.column.base == "bytea"
    return pair.column.base in ("text", "varchar") and not pair.column.modifier


def _flaws(value: source.Huge) -> Iterator[tuple[Class, bool]]:
    nul, broken = False, False
    decoder = codecs.getincrementaldecoder("utf-8")()
    for piece in value.pieces():
        nul = nul or b"\0" in piece
        if not broken:
            try:
                decoder.decode(piece)
            except UnicodeDecodeError:
                broken = True
    if not broken:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            broken = True
    yield "nul", nul
    yield "utf8", broken


def _clean(value: source.Huge, stripped: set[Class]) -> Iterator[bytes]:
    """Whole characters of a huge text, without those that are to be stripped."""
    decoder = codecs.getincrementaldecoder("utf-8")("ignore" if "utf8" in stripped else "strict")
    for piece in value.pieces():
        text = decoder.decode(piece)
        yield (text.replace("\0", "") if "nul" in stripped else text).encode()


def _hexadecimal(value: source.Huge) -> Iterator[bytes]:
    yield b"\\\\x"
    for piece in value.pieces():
        yield piece.hex().encode()


def _marked(hasher: "hashlib._Hash") -> bytes:
    return b"sha256:" + hasher.hexdigest().encode()


def _digest_of(pair: Pair, value: Any, data: bytes) -> bytes:
    """What a value of a long row is compared by: itself, unless the server too finds it huge."""
    if pair.column.base == "bytea" and isinstance(value, bytes):
        huge = len(value) > source.HUGE_BYTES
        return _marked(hashlib.sha256(value)) if huge else data
    if len(data) <= source.HUGE_BYTES or pair.column.base not in HUGE_BASES:
        return data
    raw = unescaped(data)
    return _marked(hashlib.sha256(raw)) if len(raw) > source.HUGE_BYTES else data


def unescaped(data: bytes) -> bytes:
    """A value of COPY as it is."""
    return re.sub(rb"\\(.)", lambda found: _WRITTEN.get(found[1], found[1]), data)


def shown(value: Any) -> str:
    """A value as reports show it: shortened, and one that nothing can break."""
    if isinstance(value, _Head):
        head = next(value.value.pieces())[:SHOWN_CHARACTERS]
        text = (
            ascii(head.decode(errors="replace")) if value.value.kind is str else f"x'{head.hex()}'"
        )
        return f"{text}... ({value.value.size} bytes)"
    if isinstance(value, bytes):
        more = f"... ({len(value)} bytes)" if len(value) > SHOWN_CHARACTERS // 2 else ""
        return f"x'{value[: SHOWN_CHARACTERS // 2].hex()}'{more}"
    if isinstance(value, str):
        more = f"... ({len(value)} characters)" if len(value) > SHOWN_CHARACTERS else ""
        return ascii(value[:SHOWN_CHARACTERS]) + more
    return repr(value)

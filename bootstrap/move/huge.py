"""Values too long to be held: looked at, digested and sent in pieces."""

import codecs
import hashlib
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from typing import Any

from bootstrap.move import forms, reading, single
from bootstrap.move.forms import BadValueError
from bootstrap.move.mapping import Pair
from bootstrap.move.problems import Class

_BASES = ("text", "varchar", "bytea", "json", "jsonb")


@dataclass(frozen=True)
class Sent:
    """One value in a line for COPY: the `pieces` that are sent, and what is `compared` of it.

    That is the value as sent, or its SHA-256 where it is `digested`.
    """

    pieces: Callable[[], Iterator[bytes]]
    compared: bytes
    digested: bool


def sent(pair: Pair, value: Any, decide: single.Decide) -> Sent | None:
    """What is sent for a value of a long row, huge or not; None where its row cannot go."""
    if isinstance(value, reading.Huge):
        if value.kind is bytes and pair.column.base == "bytea":
            return _blob(value)
        if value.kind is str and _takes_any_text(pair):
            return _text(pair, value, decide)
        value = value.whole()
    text = single.printed(pair, value, decide)
    if text is None:
        return None
    data = text.encode()
    raw = _raw(pair, data)
    digested = len(raw) > reading.HUGE_BYTES
    return Sent(lambda: iter((data,)), _marked(hashlib.sha256(raw)) if digested else data, digested)


def _takes_any_text(pair: Pair) -> bool:
    return pair.column.base in ("text", "varchar") and not pair.column.modifier


def _blob(value: reading.Huge) -> Sent:
    hasher = hashlib.sha256()
    for piece in value.pieces():
        hasher.update(piece)

    def pieces() -> Iterator[bytes]:
        yield b"\\\\x"
        for piece in value.pieces():
            yield piece.hex().encode()

    return Sent(pieces, _marked(hasher), digested=True)


def _text(pair: Pair, value: reading.Huge, decide: single.Decide) -> Sent | None:
    stripped: set[Class] = set()
    for flaw in _flaws(value):
        action = decide(flaw, value)
        if action == "null":
            return sent(pair, None, decide)
        if action != "strip":
            return None
        stripped.add(flaw.kind)
    hasher, size = hashlib.sha256(), 0
    for piece in _clean(value, stripped):
        hasher.update(piece)
        size += len(piece)
    if size <= reading.HUGE_BYTES:
        return sent(pair, b"".join(_clean(value, stripped)).decode(), decide)

    def pieces() -> Iterator[bytes]:
        for piece in _clean(value, stripped):
            yield forms.texts.escaped_bytes(piece)

    return Sent(pieces, _marked(hasher), digested=True)


def _flaws(value: reading.Huge) -> Iterator[BadValueError]:
    nul, broken = False, False
    decoder = codecs.getincrementaldecoder("utf-8")()
    for piece in value.pieces():
        nul = nul or b"\0" in piece
        broken = broken or _breaks(decoder, piece)
    if nul:
        yield BadValueError("nul", "text without NUL", {"strip": None})
    if broken or _breaks(decoder, b"", final=True):
        yield BadValueError("utf8", "text in UTF-8", {"strip": None})


def _breaks(decoder: codecs.IncrementalDecoder, piece: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(piece, final)
    except UnicodeDecodeError:
        return True
    return False


def _clean(value: reading.Huge, stripped: Set[Class]) -> Iterator[bytes]:
    """Whole characters of a huge text, without those that are to be stripped."""
    decoder = codecs.getincrementaldecoder("utf-8")("ignore" if "utf8" in stripped else "strict")
    for piece in value.pieces():
        text = decoder.decode(piece)
        yield (text.replace("\0", "") if "nul" in stripped else text).encode()


def _raw(pair: Pair, data: bytes) -> bytes:
    """The bytes whose length says on the server whether it digests this value; none if never."""
    if len(data) <= reading.HUGE_BYTES or pair.column.base not in _BASES:
        return b""
    if pair.column.base == "bytea":
        return bytes.fromhex(data.decode().removeprefix("\\\\x"))
    return single.unescaped(data)


def _marked(hasher: "hashlib._Hash") -> bytes:
    return b"sha256:" + hasher.hexdigest().encode()

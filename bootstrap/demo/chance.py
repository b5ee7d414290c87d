"""What looks like chance, and is the same whenever it is asked for the same row."""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from .sources import Choose

# The shares of NULL in foreign keys that may be NULL: to another table, to the same one.
NO_PARENT = 0.15
NO_SELF = 0.5

_MASK = 2**64 - 1
_STEP = 0x9E3779B97F4A7C15


def fraction(*names: object) -> Callable[[int], float]:
    """A number from 0 to 1 for each row, which looks like chance and is always the same."""
    digest = hashlib.blake2b("/".join(map(str, names)).encode(), digest_size=8).digest()
    salt = int.from_bytes(digest, "big")

    def at(index: int) -> float:
        # The finaliser of SplitMix64, whose neighbours have nothing in common.
        mixed = (salt + index * _STEP) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((mixed ^ (mixed >> 31)) >> 11) / 2**53

    return at


def new_uuid(salt: bytes, index: int, *, as_text: bool) -> Any:
    found = hashlib.blake2b(b"%d" % index, digest_size=16, key=salt).hexdigest()
    text = f"{found[:8]}-{found[8:12]}-4{found[13:16]}-a{found[17:20]}-{found[20:]}"
    return text if as_text else uuid.UUID(text)


def digit(before: int, size: int, *, shift: bool) -> Callable[[int], int]:
    """One digit of a row's number, so that all digits together never repeat.

    `shift` adds the lower digits: it changes from row to row and yet repeats no combination.
    """
    if shift:
        return lambda number: (number // before + number % before) % size
    return lambda number: number // before % size


def earlier(first: int, chance: Callable[[int], float], *, nullable: bool) -> Choose:
    """A row of the same table, before this one; the first may refer only to itself or nothing."""

    def choose(index: int) -> int | None:
        drawn = chance(index)
        if nullable and (drawn < NO_SELF or index == first):
            return None
        share = (drawn - NO_SELF) / (1 - NO_SELF) if nullable else drawn
        return first + int(share * (index - first))

    return choose


def along(earlier: Choose, link: Any, chosen: Mapping[Any, Choose]) -> Choose:
    """What the earlier row of the same table has chosen in the end; without one, the own choice."""
    own = chosen[link]

    def choose(index: int) -> int | None:
        before = earlier(index)
        return own(index) if before is None or before == index else chosen[link](before)

    return choose


def through(
    parent: Choose,
    above: Choose,
    own: Choose,
    *,
    nullable: bool,
) -> Choose:
    """The row that the parent refers to; without a parent one's own choice."""

    def choose(index: int) -> int | None:
        by_way_of = parent(index)
        if by_way_of is None:
            return own(index)
        found = above(by_way_of)
        return own(index) if found is None and not nullable else found

    return choose


def parent(
    first: int, rows: int, begin: int, count: int, chance: Callable[[int], float], nulls: float
) -> Choose:
    """One of the `count` rows from `begin` on, none newer than the row that refers to it.

    The row is one of the `rows` from `first` on; rows grow younger with their number.
    """
    ratio = count / rows

    def choose(index: int) -> int | None:
        drawn = chance(index)
        if drawn < nulls:
            return None
        older = int((index - first) * ratio) + 1
        return begin + min(int((drawn - nulls) / (1 - nulls) * older), count - 1)

    return choose


def anyone(begin: int, count: int, chance: Callable[[int], float], nulls: float) -> Choose:
    """One of the `count` rows from `begin` on."""

    def choose(index: int) -> int | None:
        drawn = chance(index)
        return None if drawn < nulls else begin + int((drawn - nulls) / (1 - nulls) * count)

    return choose


def partner(first: int, begin: int, count: int) -> Choose:
    """The row with the same place in another table; None where that is shorter."""
    return lambda index: begin + index - first if index - first < count else None

"""The rows of one table as COPY takes them; what does not fit is reported, and fixed if wanted."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from bootstrap.move import forms, huge, reading, single, source
from bootstrap.move.findings import Findings
from bootstrap.move.forms import BadValueError
from bootstrap.move.mapping import Pair, Plan
from bootstrap.move.problems import Action, Problem

# So many values are looked at one by one where one of them is odd.
_SOME = 16


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
    reading.HUGE_BYTES, `odd` those with values that were not all in one usual form: two that differ
    in the source may be the same in the target.
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
    for rows in reading.chunks(origin, plan.source, [pair.source for pair in plan.pairs]):
        kept = rows
        if left_out:
            kept = [row for row in rows if row[:width] not in left_out]
        if not kept:
            yield Chunk(len(rows), 0, lambda: iter(()), b"")
        elif len(kept) == 1 and any(isinstance(value, reading.Huge) for value in kept[0]):
            yield reader.long_row(kept[0])
        else:
            yield reader.chunk(len(rows), kept)


class _Reader:
    def __init__(self, plan: Plan, findings: Findings, amends: Amends, seen: Seen) -> None:
        self._plan = plan
        self._findings = findings
        self._blank = amends.blank
        self._seen = seen
        self._width = len(plan.source.keys)

    def chunk(self, read: int, rows: Sequence[reading.Row]) -> Chunk:
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
        data = "\n".join([*lines, ""]).encode()
        return Chunk(read, len(lines), lambda: iter((data,)), data)

    def _blanked(
        self, columns: Sequence[Sequence[Any]], rows: Sequence[reading.Row]
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
        self, pair: Pair, values: Sequence[Any], rows: Sequence[reading.Row], bad: set[int]
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
        rows: Sequence[reading.Row],
        first: int,
        bad: set[int],
    ) -> Sequence[str]:
        self._seen.odd.add(pair.column.name)
        texts = []
        for place, value in enumerate(values, first):
            text = single.printed(pair, value, self._decide(pair, rows[place]))
            if text is None:
                bad.add(place)
            texts.append(text or "")
        return texts

    def _decide(self, pair: Pair, row: reading.Row) -> single.Decide:
        """What reports a bad value of this row, and says what is done about it."""

        def decide(error: BadValueError, value: Any) -> Action:
            action = single.chosen(self._findings.policy, error)
            key = row[: self._width]
            if action == "skip":
                self._seen.skipped.add(key)
            self._findings.add(
                Problem(
                    kind=error.kind,
                    table=self._plan.name,
                    column=pair.column.name,
                    key=self._plan.source.key(key),
                    value=None if value is None else single.shown(value),
                    wanted=error.wanted,
                    action=action,
                )
            )
            return action

        return decide

    def long_row(self, row: reading.Row) -> Chunk:
        """A row of which at least one value is too long to be held."""
        key = row[: self._width]
        found: list[huge.Sent | None] = []
        for pair, value in zip(self._plan.pairs, row[self._width :], strict=True):
            blank = key in self._blank.get(pair.column.name, ())
            each = huge.sent(pair, None if blank else value, self._decide(pair, row))
            if each is not None and each.digested:
                self._seen.huge.add(pair.column.name)
            found.append(each)
        sent = [each for each in found if each is not None]
        if len(sent) < len(found):
            return Chunk(1, 0, lambda: iter(()), b"")

        def pieces() -> Iterator[bytes]:
            for place, each in enumerate(sent):
                if place:
                    yield b"\t"
                yield from each.pieces()
            yield b"\n"

        return Chunk(1, 1, pieces, b"\t".join(each.compared for each in sent) + b"\n")

"""How each table is filled: which source each of its columns has."""

import hashlib
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from . import chance, clock, schema, values
from .schema import Link, Place, Table
from .sources import At, Choose, Drawn, Made, Referring, Source

# A table that others refer to has a fifth of their rows.
SHRINK = 5
MOST_SHRINKS = 3


@dataclass
class Plan:
    """How a table is filled: `rows` rows from number `first` on, each column from its source.

    `later` are the columns that can be set only when other tables are filled; `counted` those
    whose numbers the database would count itself.
    """

    table: Table
    first: int
    rows: int
    sources: dict[str, Source] = field(default_factory=dict)
    later: dict[str, Source] = field(default_factory=dict)
    counted: list[sa.Column[Any]] = field(default_factory=list)
    # How a row's number leads to that of the row it refers to, by foreign key.
    chosen: dict[Link, Choose] = field(default_factory=dict)


def plan(
    connection: sa.engine.Connection,
    places: Sequence[Place],
    present: Mapping[Table, int],
    request: schema.Request,
) -> list[Plan]:
    """How each table is filled, in the order of insertion."""
    plans: dict[Table, Plan] = {}
    for place in places:
        fewer = max(1, request.rows // SHRINK ** min(place.height, MOST_SHRINKS))
        rows = request.exact.get(place.table.fullname, fewer)
        started = Plan(place.table, present[place.table], rows)
        plans[place.table] = started
        _Builder(connection, place, started, plans, request.seed).build()
    for place in places:
        _close_cycles(place, plans, request.seed)
    return list(plans.values())


class _Builder:
    """Finds the sources of one table's columns."""

    def __init__(
        self,
        connection: sa.engine.Connection,
        place: Place,
        plan: Plan,
        plans: Mapping[Table, Plan],
        seed: int,
    ) -> None:
        self.connection = connection
        self.place = place
        self.table = place.table
        self.plan = plan
        self.plans = plans
        self.seed = seed
        self.checks = schema.checks(place.table, connection.dialect)
        self.kinds = {
            column.key: values.kind_of(column, self.checks.of(column.name), connection.dialect)
            for column in place.table.columns
        }
        self.link_of = {key: link for link in place.links for key in link.column_keys}
        self.later = {key for link in place.later for key in link.column_keys}
        self.referred = schema.referred(place.table)
        # How a row's number within this filling leads to a choice, where choices must not repeat.
        self.fixed: dict[Link | str, Callable[[int], int]] = {}
        self.alone: dict[str, Callable[[int], int]] = {}

    def build(self) -> None:
        """Fill the plan."""
        for names in schema.unique_sets(self.table):
            self._make_unique([name for name in names if name in self.table.columns])
        for link in self.place.links:
            self.plan.chosen[link] = self._chooser(link)
        self._follow_itself()
        self._follow_diamonds()
        for link in self.place.links:
            for element in link.elements:
                parent = self.plans[element.column.table].sources.get(element.column.key)
                if element.column.table is self.table:
                    continue
                self.plan.sources[element.parent.key] = Referring(
                    self.plan.chosen[link], _made(parent, element)
                )
        self._own_columns()

    # -- what must be unique ----------------------------------------------------------------------

    def _make_unique(self, names: Sequence[str]) -> None:
        members = list(dict.fromkeys(self.link_of.get(name, name) for name in names))
        plain = [each for each in members if isinstance(each, str)]
        links = [each for each in members if not isinstance(each, str)]
        if any(name in self.alone for name in plain) or self.later & set(names):
            return
        free = [name for name in plain if self._size(name) is None]
        if len(free) == 1 and len(links) == 1 and links[0] not in self.fixed:
            size = self._size(links[0])
            if self.kinds[free[0]] == "whole" and size:
                # A number of its own within each parent, as positions and offsets are.
                self.fixed[links[0]] = lambda number: number % size
                self.alone[free[0]] = lambda number: number // size
                return
        if free:
            # The last: a name within its place, not the place.
            self.alone[free[-1]] = lambda number: number
            return
        self._enumerate(members)

    def _enumerate(self, members: Sequence[Link | str]) -> None:
        """Let no combination of choices that are few repeat, and let rows be no more than they."""
        most, before = 1, 1
        for place, member in enumerate(members):
            size = self._size(member) or 1
            if member not in self.fixed:
                self.fixed[member] = chance.digit(before, size, shift=place > 0)
            before *= size
            most *= size
        self.plan.rows = min(self.plan.rows, most)

    def _size(self, member: Link | str) -> int | None:
        """How many choices there are; None where they are made up."""
        if not isinstance(member, str):
            parent = member.elements[0].column.table
            return self.plan.rows if parent is self.table else self.plans[parent].rows
        if self.kinds[member] == "choice":
            return len(self._choices(member))
        return 2 if self.kinds[member] == "switch" else None

    def _choices(self, name: str) -> list[str]:
        column = self.table.columns[name]
        return values.choices(column, self.checks.of(column.name)) or []

    # -- foreign keys -----------------------------------------------------------------------------

    def _chooser(self, link: Link) -> Choose:
        parent = link.elements[0].column.table
        first, rows = self.plan.first, self.plan.rows
        nullable = schema.may_be_null(link)
        drawn = chance.fraction(self.seed, self.table.fullname, *link.column_keys)
        if parent is self.table:
            return chance.earlier(first, drawn, nullable=nullable)
        begin, count = self.plans[parent].first, self.plans[parent].rows
        if link in self.fixed:
            number = self.fixed[link]
            return lambda index: begin + number(index - first)
        nulls = chance.NO_PARENT if nullable else 0.0
        return chance.parent(first, rows, begin, count, drawn, nulls)

    def _follow_itself(self) -> None:
        """A row that refers to one of its own table belongs where that one does."""
        links = [link for link in self.place.links if link not in self.fixed]
        own = [link for link in links if link.elements[0].column.table is self.table]
        for link in links if own else ():
            if link not in own:
                self.plan.chosen[link] = chance.along(
                    self.plan.chosen[own[0]], link, self.plan.chosen
                )

    def _follow_diamonds(self) -> None:
        """Where a parent refers to the same table as the row itself, both mean the same row."""
        for link in self.place.links:
            for other in self.place.links:
                above = self._above(other, link.elements[0].column.table)
                if above is None or {link, other} & self.fixed.keys():
                    continue
                own, chosen = self.plan.chosen[link], self.plan.chosen[other]
                nullable = schema.may_be_null(link)
                self.plan.chosen[link] = chance.through(chosen, above, own, nullable=nullable)
                break

    def _above(self, link: Link, target: Table) -> Choose | None:
        """How the parent by `link` chooses its own parent in `target`, if it has one there."""
        parent = link.elements[0].column.table
        if self.table in (parent, target) or parent is target:
            return None
        chosen = self.plans[parent].chosen
        fitting = (choose for up, choose in chosen.items() if up.elements[0].column.table is target)
        return next(fitting, None)

    # -- the other columns ------------------------------------------------------------------------

    def _own_columns(self) -> None:
        rest = [
            column
            for column in self.table.columns
            if column.key not in self.plan.sources
            and column.key not in self.later
            and column.key not in self.link_of
            and column.computed is None
        ]
        # Those that go by others first: the others must not be drawn.
        rest.sort(key=lambda column: not _GOES_BY.search(column.name))
        times = clock.Clock(self.seed, self.plan.first, self.plan.rows, self.table)
        states = self._states()
        for column in rest:
            source = self._own(column, times, states)
            if source is not None:
                self.plan.sources[column.key] = source
        # To refer to the same table its own key must be known.
        for link in self.place.links:
            for element in link.elements:
                if element.column.table is self.table:
                    parent = self.plan.sources.get(element.column.key)
                    self.plan.sources[element.parent.key] = Referring(
                        self.plan.chosen[link], _made(parent, element)
                    )

    def _states(self) -> Made | None:
        """The column that says how far a row is: whether it has an end goes by it."""
        name = next((each for each in ("status", "state") if each in self.table.columns), None)
        if name is None:
            return None
        return self._pooled(name) if self.kinds[name] in ("choice", "text") else None

    def _own(
        self, column: sa.Column[Any], times: clock.Clock, states: Made | None
    ) -> Source | None:
        kind = self.kinds[column.key]
        if column.key in self.plan.sources:
            return None
        if column.key in self.alone:
            return self._unique(column, kind, self.alone[column.key], times)
        if column.key in self.fixed:
            listed = self._choices(column.key) if kind == "choice" else [False, True]
            number, first = self.fixed[column.key], self.plan.first
            return Made(lambda index: listed[number(index - first)])
        if kind in ("time", "date") or (kind == "whole" and times.counts(column)):
            return times.source(column, kind, states)
        if (related := self._related(column)) is not None:
            return related
        if column.key in self.referred:
            return self._pooled(column.key)
        pool = values.pool(column, kind, self.checks.of(column.name), self._rng(column.key))
        if pool is not None:
            fits = times.fits(column.name, states) if kind == "text" and column.nullable else None
            if fits is None:
                return Drawn(pool, self._rng(column.key, "draw"))
            return self._where(fits, [each for each in pool if each is not None])
        if not column.nullable and column.server_default is None and column.default is None:
            raise ValueError(
                f"{self.table.fullname}.{column.name}: no demo values for the type {column.type!r},"
                " which may not be NULL and has no default"
            )
        return None

    def _pooled(self, name: str) -> Made | None:
        """The source of a column that others go by: it is made, not drawn, so as to be known."""
        known = self.plan.sources.get(name)
        if known is not None or name not in self.table.columns:
            return known if isinstance(known, Made) else None
        column, kind = self.table.columns[name], self.kinds[name]
        pool = values.pool(column, kind, self.checks.of(column.name), self._rng(name))
        if not pool or {name} & (self.alone.keys() | self.fixed.keys()):
            return None
        drawn = chance.fraction(self.seed, self.table.fullname, name)
        made = Made(lambda index: pool[int(drawn(index) * len(pool))])
        self.plan.sources[name] = made
        return made

    def _related(self, column: sa.Column[Any]) -> Made | None:
        """What is a part, or the sum, of what stands beside it."""
        for pattern, named in _PARTS:
            match = re.search(pattern, column.name)
            whole = self._pooled(match.expand(named)) if match else None
            if whole is not None:
                drawn = chance.fraction(self.seed, self.table.fullname, column.name)
                return Made(_part(whole.at, drawn))
        if match := re.search(_TOTAL, column.name):
            parts = [self._pooled(f"{each}_{match[1]}") for each in ("input", "output")]
            if None not in parts:
                return Made(_sum([part.at for part in parts if part is not None]))
        return None

    def _where(self, fits: Callable[[int], bool], pool: Sequence[Any]) -> Made | None:
        if not pool:
            return None
        return Made(lambda index: pool[index % len(pool)] if fits(index) else None)

    def _unique(
        self,
        column: sa.Column[Any],
        kind: values.Kind,
        number: Callable[[int], int],
        times: clock.Clock,
    ) -> Source:
        first = self.plan.first
        salt = hashlib.blake2b(
            f"{self.seed}/{self.table.fullname}/{column.name}".encode(), digest_size=16
        ).digest()
        if kind == "whole":
            low, _ = values.ranges(column, self.checks.of(column.name))
            found = self.connection.execute(sa.select(sa.func.max(column))).scalar()
            begin = max(low, 0) if found is None else int(found) + 1
            # It is public from SQLAlchemy 2 on.
            if column is self.table._autoincrement_column:
                begin = max(begin, 1)
                self.plan.counted.append(column)
            return Made(lambda index: begin + number(index - first), alike=True)
        if kind == "uuid":
            as_text = not getattr(column.type, "as_uuid", False)
            return Made(lambda index: chance.new_uuid(salt, index, as_text=as_text), alike=True)
        if kind == "text":
            return Made(self._text(column, salt), alike=True)
        if kind == "time":
            return times.source(column, kind, None)
        raise ValueError(
            f"{self.table.fullname}.{column.name}: no unique demo values for the type"
            f" {column.type!r}"
        )

    def _text(self, column: sa.Column[Any], salt: bytes) -> At:
        name, length = column.name.lower(), values.text_length(column)
        if length is not None and length < 12:
            return lambda index: f"{index:0{length}x}"
        if column.primary_key or re.search("(id|key|hash|token|sha|uid|ref)$", name):
            cut = 36 if length is None else min(length, 36)
            return lambda index: chance.new_uuid(salt, index, as_text=True)[:cut]
        rng = self._rng(column.key)
        if re.search("e?mail", name):
            people = [values.person(rng) for _ in range(values.POOL)]
            return lambda index: values.email(people[index % len(people)], index)[
                -(length or 255) :
            ]
        bounds = self.checks.of(column.name)
        pool = [each for each in values.pool(column, "text", bounds, rng) or [] if each] or [name]
        most = (length or 200) - 12
        return lambda index: f"{pool[index % len(pool)][:most]}-{index}"

    def _rng(self, *names: str) -> random.Random:
        return random.Random("/".join((str(self.seed), self.table.fullname, *names)))  # noqa: S311


# What never is more than something beside it.
_PARTS = [
    ("^used_(.+)", r"max_\1"),
    ("^current_(.+)", r"max_\1"),
    ("^(consumed|spent|used)$", "allocated"),
    ("^retry_count$", "max_retries"),
]


_TOTAL = "^total_(.+)"
_GOES_BY = re.compile("|".join([pattern for pattern, _ in _PARTS] + [_TOTAL]))


def _part(whole: At, drawn: Callable[[int], float]) -> At:
    def at(index: int) -> Any:
        most = whole(index)
        if most is None:
            return 0
        # Decimals are only multiplied with decimals.
        return type(most)(int(most * int(drawn(index) * 100)) // 100)

    return at


def _sum(parts: Sequence[At]) -> At:
    def at(index: int) -> Any:
        found = [part(index) for part in parts]
        return None if None in found else sum(found)

    return at


def _close_cycles(place: Place, plans: Mapping[Table, Plan], seed: int) -> None:
    """Find the sources of the columns that refer to tables which are filled later."""
    plan = plans[place.table]
    for link in place.later:
        parent = plans[link.elements[0].column.table]
        drawn = chance.fraction(seed, place.table.fullname, *link.column_keys)
        choose = chance.anyone(parent.first, parent.rows, drawn, chance.NO_PARENT)
        if any(set(link.column_keys) >= set(names) for names in schema.unique_sets(place.table)):
            choose = chance.partner(plan.first, parent.first, parent.rows)
        for element in link.elements:
            source = parent.sources.get(element.column.key)
            plan.later[element.parent.key] = Referring(choose, _made(source, element))


def _made(source: Source | None, element: sa.ForeignKey) -> Made:
    """The source of a column that is referred to, which must be made from the row's number."""
    if isinstance(source, Made):
        return source
    if isinstance(source, Referring):
        return Made(source.at)
    raise ValueError(
        f"{element.parent.table.fullname}.{element.parent.name} refers to"
        f" {element.target_fullname}, which is not unique"
    )

"""What no value shows by itself: duplicate keys, references to nothing, broken CHECKs.

SQLite is asked, in the same snapshot that is copied.
"""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.libpq import identifier as quoted
from bootstrap.move import checks, judge, scan, single, source, wanted
from bootstrap.move.asker import Asker
from bootstrap.move.findings import Findings
from bootstrap.move.forms import NULL, BadValueError
from bootstrap.move.mapping import Plan
from bootstrap.move.problems import Action, Class, Problem


@dataclass
class Amended:
    """Keys of the rows that are left out, and of those whose columns become NULL, by table."""

    # Whether every table was looked at, so that no more rows will come.
    scanned: bool = False
    left_out: dict[str, set[Any]] = field(default_factory=dict)
    blank: dict[str, dict[str, set[Any]]] = field(default_factory=dict)

    def of(self, table: str) -> scan.Amends:
        """What is done to the rows of one table."""
        return scan.Amends(self.left_out.get(table, frozenset()), self.blank.get(table, {}))

    def leave_out(self, table: str, key: Sequence[Any]) -> bool:
        """Leave this row out; False if it was already."""
        keys = self.left_out.setdefault(table, set())
        before = len(keys)
        keys.add(tuple(key))
        return len(keys) > before


class Relations:
    """Asks the source about rows that do not go together."""

    def __init__(
        self,
        origin: source.Source,
        plans: Sequence[Plan],
        findings: Findings,
        amended: Amended,
        asker: Asker,
    ) -> None:
        self._source = origin
        self._plans = {plan.name: plan for plan in plans}
        self._findings = findings
        self._asker = asker
        self.amended = amended
        # CHECKs and unique indexes that only the target itself can judge, as "table.name".
        self.unjudged: list[str] = []

    @property
    def steps(self) -> int:
        """How many keys, tables with their CHECKs, and references there are to look into."""
        tables = [plan.target for plan in self._plans.values()]
        return len(tables) + sum(
            len(each.keys) + len(each.partial_keys) + len(each.references) for each in tables
        )

    def examine(self, told: Callable[[int, str], None]) -> None:
        """Keys, CHECKs and references of all tables; `told` are the steps done, and the table."""
        for plan in self._plans.values():
            for key in plan.target.keys:
                if not self._unique_there(plan, key):
                    self._duplicates(plan, key, normal=False)
                told(1, plan.name)
            for partial in plan.target.partial_keys:
                if not self._partial_duplicates(plan, partial):
                    self.unjudged.append(f"{plan.name}.{partial.name}")
                told(1, plan.name)
            unbroken = judge.unbroken(self._source, plan)
            for check in plan.target.checks:
                if check.name not in unbroken:
                    self._check(plan, check)
            told(1, plan.name)
        for plan in self._plans.values():
            for reference in plan.target.references:
                self._orphans(plan, reference)
                told(1, plan.name)

    def follow(self) -> bool:
        """Look for rows that refer to those left out since; whether there were any more."""
        before = self._amount()
        for plan in self._plans.values():
            for reference in plan.target.references:
                if self.amended.left_out.get(reference.table):
                    self._orphans(plan, reference)
        return self._amount() > before

    def odd_keys(self, plan: Plan, odd: Collection[str]) -> None:
        """Duplicates among keys whose values came in more than one form."""
        for key in plan.target.keys:
            if not set(odd).isdisjoint(key.columns):
                self._duplicates(plan, key, normal=True)

    def _amount(self) -> int:
        blank = self.amended.blank.values()
        return sum(map(len, self.amended.left_out.values())) + sum(
            len(keys) for columns in blank for keys in columns.values()
        )

    # -- keys -------------------------------------------------------------------------------------

    def _unique_there(self, plan: Plan, key: wanted.Key) -> bool:
        """Whether the source itself sees to it that the columns of this key are unique."""
        names = {plan.source_column(column) for column in key.columns}
        if None in names or key.nulls_equal:
            return False
        run = self._source.connection.execute
        table = quoted(plan.source.name)
        rows = run(f"pragma table_info({table})").fetchall()
        primary = {row[1]: row for row in rows if row[5]}
        # Of several columns, or not INTEGER, it has an index, which is listed below.
        if len(primary) == 1 and set(primary) <= names:
            (row,) = primary.values()
            if row[2].upper() == "INTEGER":
                return True
        for _, index, unique, _, partial in run(f"pragma index_list({table})").fetchall():
            if unique and not partial:
                columns = {row[2] for row in run(f"pragma index_info({quoted(index)})")}
                if columns <= names:
                    return True
        return False

    def _duplicates(self, plan: Plan, key: wanted.Key, *, normal: bool) -> None:
        names = [plan.source_column(column) for column in key.columns]
        if not names or None in names:
            return
        values = [f"{quoted(name)} collate binary" for name in names if name is not None]
        if normal:
            values = [
                self._normal(plan, column, name)
                for column, name in zip(key.columns, names, strict=True)
                if name is not None
            ]
        what = f"{', '.join(key.columns)} only once (key {key.name})"
        self._repeated(plan, key.columns, values, what, nulls_equal=key.nulls_equal)

    def _partial_duplicates(self, plan: Plan, key: wanted.PartialKey) -> bool:
        """False where SQLite has no words for this key."""
        terms = [checks.translated(term, plan.names) for term in key.terms]
        where = checks.translated(key.where or "true", plan.names)
        values = [f"({term}) collate binary" for term in terms if term]
        used = plan.names.used(", ".join(values))
        some = f" where {key.where}" if key.where else ""
        what = f"{', '.join(key.terms)} only once{some} (key {key.name})"
        if len(values) < len(terms) or where is None or not used:
            return False
        try:
            self._repeated(plan, used, values, what, nulls_equal=key.nulls_equal, where=where)
        except sqlite3.OperationalError:
            return False
        return True

    def _repeated(
        self,
        plan: Plan,
        columns: Sequence[str],
        values: Sequence[str],
        what: str,
        *,
        nulls_equal: bool,
        where: str = "true",
    ) -> None:
        """Report rows whose `values`, as SQL, an earlier row has."""
        keys = [plan.source.sql(name) for name in plan.source.keys]
        some = [where, *(f"{value} is not null" for value in values if not nulls_equal)]
        shown = ", ".join(quoted(plan.names.all[name]) for name in columns)
        query = (
            f"select * from (select {', '.join([*keys, shown])}, row_number() over"
            f" (partition by {', '.join(values)} order by {', '.join(keys)}) as place"
            f" from {quoted(plan.source.name)} where {' and '.join(some)}) where place > 1"
        )
        width = len(keys)
        with source.any_text(self._source.connection):
            for row in self._source.connection.execute(query):
                found = ", ".join(single.shown(value) for value in row[width:-1])
                self._report(plan, "duplicate", columns, row[:width], found, what)

    def _normal(self, plan: Plan, column: str, name: str) -> str:
        """SQL for a value as the target prints it: two that look different may be the same."""
        pair = next(pair for pair in plan.pairs if pair.column.name == column)
        function = f"normal_{plan.name}_{column}".encode("ascii", "replace").decode()
        function = "".join(letter if letter.isalnum() else "_" for letter in function)

        def normal(value: Any, kind: str) -> Any:
            if kind == "text":
                # No function is given a text that is no UTF-8.
                value = bytes.fromhex(value).decode(encoding, errors)
            text = single.printed(pair, value, self._decide)
            return None if text == NULL else text

        encoding = self._source.encoding
        errors = "surrogateescape" if encoding == "UTF-8" else "replace"
        self._source.connection.create_function(function, 2, normal, deterministic=True)
        own = quoted(name)
        kind = f"typeof({own})"
        return f"{function}(iif({kind} = 'text', hex({own}), {own}), {kind})"

    # -- checks -----------------------------------------------------------------------------------

    def _check(self, plan: Plan, check: wanted.Check) -> None:
        what = f"{check.expression} (check {check.name})"
        try:
            for row in judge.broken(self._source, self._asker, plan, check, self._decide):
                found = ", ".join(map(single.shown, row.values))
                self._report(plan, "check", row.columns, row.key, found, what)
        except judge.UnjudgedError:
            self.unjudged.append(f"{plan.name}.{check.name}")

    def _decide(self, error: BadValueError, _: Any) -> Action:
        return single.chosen(self._findings.policy, error)

    # -- references -------------------------------------------------------------------------------

    def _orphans(self, plan: Plan, reference: wanted.Reference) -> None:
        names = [plan.source_column(column) for column in reference.columns]
        present = [name for name in names if name is not None]
        if len(present) < len(names):
            return
        blank = self.amended.blank.get(plan.name, {}).get(reference.columns[0], ())
        keys = [f"c.{plan.source.sql(name)}" for name in plan.source.keys]
        chosen = ", ".join([*keys, *(f"c.{quoted(name)}" for name in present)])
        some = " and ".join(f"c.{quoted(name)} is not null" for name in present)
        lost = self._lost(reference, present)
        query = f"select {chosen} from {quoted(plan.source.name)} c{lost} and {some}"
        width = len(keys)
        what = f"a row of {reference.table} with this {', '.join(reference.referred)}"
        left_out = self.amended.left_out.get(plan.name, set())
        with source.any_text(self._source.connection):
            for row in self._source.connection.execute(query):
                key = row[:width]
                if key in left_out or key in blank:
                    continue
                found = ", ".join(map(single.shown, row[width:]))
                self._report(plan, "orphan", reference.columns, key, found, what)

    def _lost(self, reference: wanted.Reference, names: Sequence[str]) -> str:
        """The join that leaves rows of `c` whose row is not there, or not any more."""
        parent = self._plans.get(reference.table)
        theirs = [parent.source_column(column) for column in reference.referred] if parent else []
        if parent is None or None in theirs:
            return " where true"
        # A type such as citext may know no case, as the columns of the source may.
        exact = {
            name: "" if parent.target.column(name).base == "other" else " collate binary"
            for name in reference.referred
        }
        on = " and ".join(
            f"p.{quoted(name)} = c.{quoted(own)}{exact[column]}"
            for column, name, own in zip(reference.referred, theirs, names, strict=True)
            if name is not None
        )
        kept = self._kept(parent)
        first = next(name for name in theirs if name is not None)
        return (
            f" left join {quoted(parent.source.name)} p on {on}{kept}"
            f" where p.{quoted(first)} is null"
        )

    def _kept(self, parent: Plan) -> str:
        left_out = self.amended.left_out.get(parent.name)
        if not left_out:
            return ""
        run = self._source.connection.execute
        columns = [f"k{place}" for place in range(len(parent.source.keys))]
        run("drop table if exists temp.left_out")
        run(f"create temp table left_out ({', '.join(columns)})")
        for key in left_out:
            marks, values = source.bound(key)
            run(f"insert into temp.left_out values ({marks})", values)
        run(f"create index temp.left_out_key on left_out ({', '.join(columns)})")
        same = " and ".join(
            f"{column} = p.{parent.source.sql(name)}"
            for column, name in zip(columns, parent.source.keys, strict=True)
        )
        return f" and not exists (select 1 from temp.left_out where {same})"

    # -- both -------------------------------------------------------------------------------------

    def _report(
        self,
        plan: Plan,
        kind: Class,
        columns: Sequence[str],
        key: Sequence[Any],
        found: str,
        what: str,
    ) -> None:
        action = self._findings.policy[kind]
        if action == "null" and any(plan.target.column(name).not_null for name in columns):
            action = "stop"
        if action == "skip" and not self.amended.leave_out(plan.name, key):
            return
        if action == "null":
            blank = self.amended.blank.setdefault(plan.name, {})
            for name in columns:
                blank.setdefault(name, set()).add(tuple(key))
        column = ", ".join(columns)
        named = plan.source.key(key)
        self._findings.add(Problem(kind, plan.name, column, named, found, what, action))

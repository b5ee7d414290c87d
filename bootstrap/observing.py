"""What each revision locked, rewrote and changed, from what the worker tells on its way."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bootstrap import libpq, options, postgres, target

Blocks = Literal["nothing", "writes", "reads and writes"]

SAMPLE_S = 0.005
_SAMPLE = (
    "select distinct l.relation::int8, l.mode from pg_catalog.pg_locks l"
    " join pg_catalog.pg_stat_activity a on a.pid = l.pid"
    " where l.locktype = 'relation' and l.granted and a.datname = current_database()"
    f" and a.application_name like '{postgres.WORKER_NAME} %'"
)


@dataclass(frozen=True)
class Table:
    """What a revision did to one table that was there before it.

    `lock` is the strongest mode it held on it; None on SQLite, which locks the whole file. `rows`
    counts those inserted, updated and deleted by statements in transactions.
    """

    table: str
    lock: str | None
    rewritten: bool
    rows: int

    @property
    def blocks(self) -> Blocks:
        """What clients of the table have to wait for."""
        if self.lock == "AccessExclusiveLock":
            return "reads and writes"
        if self.lock in options.LOCK_MODES[options.LOCK_MODES.index("ShareLock") :]:
            return "writes"
        return "nothing"

    def __str__(self) -> str:
        parts = [self.lock] if self.lock else []
        parts += ["rewritten"] * self.rewritten
        parts += [f"{self.rows} row{'s' * (self.rows != 1)} changed"] if self.rows else []
        waits = f"; {self.blocks} wait" if self.blocks != "nothing" else ""
        return f"{self.table}: {', '.join(parts)}{waits}"


@dataclass(frozen=True)
class Revision:
    """One rehearsed revision. `exact` is False where locks were partly found by sampling."""

    revision: str
    seconds: float
    exact: bool
    tables: tuple[Table, ...]

    def document(self) -> dict[str, Any]:
        """As JSON shows it."""
        tables = [{**vars(each), "blocks": each.blocks} for each in self.tables]
        return {**vars(self), "tables": tables}


@dataclass
class _Step:
    """The revision under way; tables by their numbers."""

    revision: str
    first: bool = True
    before: dict[Any, tuple[str, Any]] = field(default_factory=dict)
    locks: dict[Any, int] = field(default_factory=dict)
    rows: dict[Any, int] = field(default_factory=dict)
    rewritten: set[Any] = field(default_factory=set)
    exact: bool = True

    def held(self, relation: object, mode: str) -> None:
        self.locks[relation] = max(self.locks.get(relation, 0), options.LOCK_MODES.index(mode))


class Observer:
    """Hears the worker's events, and calls `done` for each revision that came to its end.

    `ignored` is the name of the version table.
    """

    def __init__(
        self, ignored: str, sampler: "Sampler | None", done: Callable[[Revision], None]
    ) -> None:
        self._tell_done = done
        self._ignored = ignored
        self._sampler = sampler
        self._step: _Step | None = None

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Take one event of the worker."""
        kind = event["event"]
        if kind == "revision_started":
            self._step = _Step(event["revision"])
        elif kind == "observed" and self._step is not None:
            self._observed(self._step, event)
        elif kind == "revision_done" and self._step is not None:
            self._done(self._step, event["seconds"])
            self._step = None

    def _observed(self, step: _Step, event: Mapping[str, Any]) -> None:
        if self._sampler is not None:
            for relation, mode in self._sampler.samples():
                step.held(relation, mode)
            self._sampler.switch(on=event["outside"])
        step.exact &= not event["outside"]
        for relation, mode in event["locks"]:
            step.held(relation, mode)
        for relation, count in event["rows"] if not step.first else ():
            # Each is of one transaction, which is looked at once.
            step.rows[relation] = step.rows.get(relation, 0) + count
        for relation, name, file in event["relations"]:
            if step.first:
                step.before[relation] = name, file
            elif relation in step.before and step.before[relation][1] != file:
                step.rewritten.add(relation)
        step.first = False

    def _done(self, step: _Step, seconds: float) -> None:
        tables = []
        for relation, (name, _) in sorted(step.before.items(), key=lambda each: each[1]):
            lock = step.locks.get(relation)
            touched = relation in step.rewritten or relation in step.rows or lock is not None
            if not touched or name.rpartition(".")[2].strip('"') == self._ignored:
                continue
            tables.append(
                Table(
                    name,
                    None if lock is None else options.LOCK_MODES[lock],
                    relation in step.rewritten,
                    step.rows.get(relation, 0),
                )
            )
        self._tell_done(Revision(step.revision, seconds, step.exact, tuple(tables)))


class Sampler:
    """Looks at the worker's locks every few milliseconds, while it is switched on."""

    def __init__(self, connection: libpq.Connection) -> None:
        self._connection = connection
        self._on = threading.Event()
        self._ended = False
        self._guard = threading.Lock()
        self._seen: set[tuple[int, str]] = set()
        self._thread = threading.Thread(target=self._run, name="lock samples", daemon=True)
        self._thread.start()

    def switch(self, *, on: bool) -> None:
        """Begin or stop looking."""
        if on:
            self._on.set()
        else:
            self._on.clear()

    def samples(self) -> set[tuple[int, str]]:
        """What was seen since the last time: relations and modes."""
        with self._guard:
            seen, self._seen = self._seen, set()
        return seen

    def end(self) -> None:
        """Look no more."""
        self._ended = True
        self._on.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while True:
            self._on.wait()
            if self._ended:
                return
            with self._guard:
                if self._on.is_set():
                    with contextlib.suppress(libpq.Error):
                        rows = self._connection.execute(_SAMPLE)
                        self._seen |= {(relation, mode) for relation, mode in rows}
            time.sleep(SAMPLE_S)


@contextlib.contextmanager
def sampler(where: target.Target) -> Iterator[Sampler | None]:
    """A sampler of this database; None on SQLite, where there is nothing to sample."""
    if not where.is_postgres:
        yield None
        return
    made = Sampler(libpq.reach(where.conninfo()))
    try:
        yield made
    finally:
        made.end()

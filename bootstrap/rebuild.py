"""Invalid indexes that no pending revision makes anew are rebuilt, while clients read and write.

A concurrent build that failed, or a run that was killed at it, leaves an index behind which costs
every write and serves no read. The caller holds the lock. What cannot be rebuilt is told, and left
to validation to judge.
"""

import json
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bootstrap import attempts, journal, libpq, postgres, retry, settings
from bootstrap.errors import MigrationError, Terminated
from bootstrap.place import Place

POLL_S = 0.1
UNIQUE_VIOLATION = "23505"
_PASSING = (postgres.LOCK_NOT_AVAILABLE, "40P01")
# What REINDEX CONCURRENTLY leaves behind when it is stopped: the new index, not yet in its place,
# or the old one, no longer in it.
_TRANSIENT = re.compile(r"_cc(?:new|old)\d*$")

_INVALID = f"""
select c.oid::regclass::text, c.relname, i.indrelid::regclass::text, i.indisunique,
       (select json_agg(s.relname) from pg_catalog.pg_index o
          join pg_catalog.pg_class s on s.oid = o.indexrelid
         where o.indrelid = i.indrelid and o.indexrelid <> i.indexrelid),
       (select json_agg(pg_catalog.pg_get_indexdef(c.oid, k, true) order by k)
          from generate_series(1, i.indnkeyatts) k),
       pg_catalog.pg_get_expr(i.indpred, i.indrelid),
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false)
  from pg_catalog.pg_index i
  join pg_catalog.pg_class c on c.oid = i.indexrelid and c.relkind = 'i'
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace and {postgres.OWN_SCHEMAS}
 where not i.indisvalid order by 1
"""


@dataclass(frozen=True)
class _Index:
    """An invalid index. `name` and `table` are quoted as SQL wants them."""

    name: str
    plain: str
    table: str
    unique: bool
    others: tuple[str, ...]
    keys: tuple[str, ...]
    condition: str | None
    nulls_are_equal: bool

    @property
    def transient(self) -> bool:
        """Whether REINDEX CONCURRENTLY left it behind, beside the index that it was for."""
        stem, found = _TRANSIENT.subn("", self.plain)
        return bool(found) and any(other.startswith(stem) for other in self.others)

    @property
    def duplicates(self) -> str:
        """The query for the rows that a unique index does not allow."""
        keys = ", ".join(self.keys)
        wanted = [f"({self.condition})"] if self.condition else []
        if not self.nulls_are_equal:
            wanted += [f"{key} is not null" for key in self.keys]
        where = f" where {' and '.join(wanted)}" if wanted else ""
        return (
            f"select {keys}, count(*) from {self.table}{where} group by {keys} having count(*) > 1"
        )


class Rebuild:
    """Rebuilds the invalid indexes of one database, one after the other."""

    def __init__(
        self,
        loaded: settings.Loaded,
        base: postgres.Postgres,
        record: journal.Journal,
        stop: threading.Event,
        run: str,
    ) -> None:
        self._limits = loaded.settings
        self._base = base
        self._record = record
        self._stop = stop
        self._pause = retry.Pauses(record, stop, loaded.settings.migrate_retries)
        self._session: Mapping[str, str] = postgres.session(loaded.settings, run, under_lock=True)
        self._attempts = attempts.Attempts(base, record, run, loaded.release)

    def all(self, left_to_revision: Callable[[str], bool]) -> bool:
        """Rebuild what is invalid, but for what a pending revision makes.

        False where others stood in the way of one, so that it is worth another try.
        """
        found = [index for index in self._invalid() if not left_to_revision(index.name)]
        through = True
        for index in sorted(found, key=lambda each: not each.transient):
            if index.transient:
                statement, done = f"drop index concurrently if exists {index.name}", "dropped"
            else:
                statement, done = f"reindex index concurrently {index.name}", "rebuilt"
            through &= self._try(index, statement, done)
        return through

    def _invalid(self) -> list[_Index]:
        rows = self._base.connection.execute(_INVALID)
        return [
            _Index(name, plain, table, unique, tuple(others or ()), tuple(keys or ()), *rest)
            for name, plain, table, unique, others, keys, *rest in rows
        ]

    def _try(self, index: _Index, statement: str, done: str) -> bool:
        what = f"the invalid index {index.name} of {index.table}"
        self._record.event("index_invalid", f"{what} is to be {done}: {statement}")
        self._attempts.started(attempts.REBUILD, index.name)
        self._attempts.write()
        began_s, tries = time.monotonic(), 0
        while True:
            try:
                self._run(statement)
                break
            except libpq.Error as error:
                self._drop_transient(index)
                if error.sqlstate in _PASSING and tries < self._limits.migrate_retries:
                    tries += 1
                    self._pause(
                        "index_busy", f"{what} could not be {done} yet: {error.message}", tries
                    )
                    continue
                self._attempts.failed(error.message)
                self._tell_failure(index, what, done, error)
                return error.sqlstate not in _PASSING
            except Terminated:
                self._attempts.failed("ended by a signal", "interrupted")
                raise
        self._attempts.done()
        self._record.event(
            "index_rebuilt",
            f"{what} was {done} in {time.monotonic() - began_s:.2f} s",
            level="warning",
            index=index.name,
        )
        return True

    def _drop_transient(self, index: _Index) -> None:
        """What the try has left behind goes, or it costs every write until the next run."""
        for each in self._invalid():
            if each.transient and each.table == index.table and each.name != index.name:
                self._base.drop_index(each.name, lock_timeout_ms=self._limits.lock_timeout_ms)

    def _tell_failure(self, index: _Index, what: str, done: str, error: libpq.Error) -> None:
        advice = "end what stands in its way; the next start tries again"
        if error.sqlstate == UNIQUE_VIOLATION:
            advice = (
                f"the rows that stand in its way: {index.duplicates}; mend them, then run: "
                "bootstrapd migrate"
            )
        elif error.sqlstate not in _PASSING:
            advice = "mend the cause as the owner of its table, then run: bootstrapd migrate"
        self._record.event(
            "index_not_rebuilt",
            f"{what} could not be {done}: {error.message}; {advice}",
            level="warning",
            index=index.name,
            sqlstate=error.sqlstate,
        )

    def _run(self, statement: str) -> None:
        """Run one statement on a connection of its own, so that it can be ended from here."""
        connection = libpq.reach(self._base.target.conninfo())
        try:
            connection.execute(
                "select pg_catalog.set_config(key, value, false)"
                " from json_each_text($1::json) join pg_catalog.pg_settings on name = key",
                json.dumps(self._session),
            )
            failures: list[libpq.Error] = []

            def work() -> None:
                try:
                    connection.execute(statement)
                except libpq.Error as error:
                    failures.append(error)

            thread = threading.Thread(target=work, name="rebuild", daemon=True)
            thread.start()
            while thread.is_alive():
                thread.join(POLL_S)
                if self._stop.is_set():
                    self._base.end_leftovers()
                    thread.join()
                    raise Terminated(signal.SIGTERM)
                if self._base.lost():
                    raise MigrationError(
                        "the connection that holds the migration lock of "
                        f"{self._base.target.identity} was lost during {statement!r}; run again: "
                        "bootstrapd migrate"
                    )
            if failures:
                raise failures[0]
        finally:
            connection.close()


def invalid(place: Place, run: str) -> bool:
    """Rebuild the invalid indexes, but for those that a pending revision was building.

    Those are dropped by it and built anew. False where it is worth another try.
    """
    base = place.base
    assert isinstance(base, postgres.Postgres)
    last = attempts.last(base)
    before: list[str] | None = None
    if last is not None and last.before is not None and last.result != "done":
        pending = {each.id for each in place.known.pending(base.current())}
        if last.revision in pending or last.revision not in place.known.revisions:
            before = json.loads(last.before)["invalid"]
    return Rebuild(place.here, base, place.record, place.stop, run).all(
        lambda name: before is not None and name not in before
    )

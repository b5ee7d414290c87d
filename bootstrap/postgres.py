"""A PostgreSQL database as the stages see it, over one connection in autocommit mode."""

import functools
import select
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap import app, database, libpq, target

if TYPE_CHECKING:
    from bootstrap import catalog as catalogs
    from bootstrap import ledger_postgres

SCHEMA = "bootstrapd"
# One key a database: advisory locks are already separate for each of them.
# The first 8 bytes of the SHA-256 of "bootstrapd migration lock".
LOCK_KEY = 3050277238210765657
# Where the end of a lock is told to those who wait for it.
CHANNEL = "bootstrapd_unlocked"
STOP_POLL_S = 0.1
WORKER_NAME = "bootstrapd migrate"
SECOND_LOGIN_S = 5.0
UNDEFINED_TABLE, INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE = "42P01", "42501", "55P03"

OWN_SCHEMAS = "n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'bootstrapd')"
_NO_MEMBER = (
    "not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_class'::regclass"
    " and d.objid = c.oid and d.deptype = 'e')"
)

_VERSIONS = "select json_agg(version_num order by version_num) from"

_SESSION = (
    "pg_catalog.current_setting('server_version'), pg_catalog.pg_backend_pid(),"
    " pg_catalog.current_setting('transaction_read_only') = 'on'"
)
_OWN = (
    "(select identity::text from bootstrapd.pin),"
    " (select json_build_array(code, catalog, findings) from bootstrapd.proof where app = $1)"
)
_SCHEMAS = f"""
n as materialized (
  select oid, nspname, nspowner from pg_catalog.pg_namespace n where {OWN_SCHEMAS})"""
_NOT_EMPTY = " or ".join(
    f"exists (select from pg_catalog.{name} where {schema} in (select oid from n))"
    for name, schema in (
        ("pg_class", "relnamespace"),
        ("pg_proc", "pronamespace"),
        ("pg_type", "typnamespace"),
    )
)
_PLACES = f"""
with {_SCHEMAS}
select (select c.oid::regclass::text from pg_catalog.pg_class c
          join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.relname = $1
           and case when $2::text is null then pg_catalog.pg_table_is_visible(c.oid)
                    else n.nspname = $2 end),
       (select pg_catalog.count(*) from pg_catalog.pg_class c
          join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'bootstrapd' and c.relname in ('pin', 'proof')
           and pg_catalog.has_schema_privilege(n.oid, 'usage')
           and pg_catalog.has_table_privilege(c.oid, 'select')) = 2,
       not ({_NOT_EMPTY}), {_SESSION}
"""

# Everything that a schema consists of, by the rows of the system's catalogs and the transactions
# that wrote them: any DDL writes new ones. That is many times cheaper than to have the server spell
# out each definition, and misses nothing; what it takes for a change and is none (a restored dump,
# a grant) costs one validation. The rows of relations are compared by what DDL sets, since TRUNCATE
# and REFRESH write them too.
_RELATION = """
select (c.oid, relname, relnamespace, relowner, relkind, relpersistence, relam, reltablespace,
        reloptions, relrowsecurity, relforcerowsecurity, relispartition, relpartbound::text,
        relreplident) from c"""
_OF_RELATIONS = {
    "pg_attribute": ("attrelid", "attnum"),
    "pg_attrdef": ("adrelid", "adnum"),
    "pg_index": ("indrelid", "indexrelid"),
    "pg_trigger": ("tgrelid", "oid"),
    "pg_rewrite": ("ev_class", "oid"),
    "pg_policy": ("polrelid", "oid"),
    "pg_sequence": ("seqrelid",),
    "pg_inherits": ("inhrelid", "inhparent"),
}
_OF_SCHEMAS = {
    "pg_constraint": "connamespace",
    "pg_proc": "pronamespace",
    "pg_type": "typnamespace",
    "pg_statistic_ext": "stxnamespace",
}
_ROWS = "\nunion all\n".join(
    [
        _RELATION,
        "select (oid, nspname, nspowner) from n",
        *(
            f"select (tableoid, {', '.join(key)}, xmin) from pg_catalog.{name}"
            f" where {key[0]} in (select oid from c)"
            for name, key in _OF_RELATIONS.items()
        ),
        *(
            f"select (tableoid, oid, xmin) from pg_catalog.{name}"
            f" where {schema} in (select oid from n)"
            for name, schema in _OF_SCHEMAS.items()
        ),
        "select (e.tableoid, e.oid, e.xmin) from pg_catalog.pg_enum e"
        " join pg_catalog.pg_type t on t.oid = e.enumtypid"
        " where t.typnamespace in (select oid from n)",
        # Below this number are the server's own objects.
        "select (tableoid, objoid, classoid, objsubid, xmin)"
        " from pg_catalog.pg_description where objoid >= 16384",
        "select (tableoid, oid, xmin) from pg_catalog.pg_extension",
        "select (tableoid, oid, xmin) from pg_catalog.pg_event_trigger",
    ]
)
_TABLES = f"relkind in ('r', 'p', 'f') and relname <> $2 and {_NO_MEMBER}"
_CATALOG = f"""
with {_SCHEMAS},
c as materialized (
  select * from pg_catalog.pg_class c where c.relnamespace in (select oid from n)),
row (parts) as ({_ROWS})
select case when {_NOT_EMPTY}
            then pg_catalog.count(*) || ' ' || pg_catalog.sum(
                   pg_catalog.hash_record_extended(parts, 0))
            else '{database.EMPTY}' end,
       (select pg_catalog.count(*) from c where {_TABLES})
  from row
"""
# In place of all that: what a proof says of the catalog.
_PROVEN = f"""
with {_SCHEMAS}
select (select catalog from bootstrapd.proof where app = $1),
       (select pg_catalog.count(*) from pg_catalog.pg_class c
         where relnamespace in (select oid from n) and {_TABLES})
"""


class Postgres:
    """One database over one connection, which is at the same time the holder of the lock."""

    errors: tuple[type[Exception], ...] = (libpq.Error,)

    def __init__(
        self, connection: libpq.Connection, where: target.Target, declared: app.App
    ) -> None:
        self.target = where
        self.connection = connection
        self._app = declared
        self._schema, self._version = database.version_table(declared)
        self._known: tuple[str, bool] | None = None
        self._locked = False
        self._listening = False
        self._pid = 0

    @functools.cached_property
    def ledger(self) -> "ledger_postgres.Ledger":
        """The record, in a schema of its own."""
        from bootstrap import ledger_postgres

        return ledger_postgres.Ledger(self.connection, self._app.name, self.target.user)

    def look(self, before: database.Sight | None = None) -> database.Sight:
        """The state now: one query where version table and ledger are known to be there."""
        if self._known is not None:
            try:
                if before is not None:
                    sight = self._look(*self._known, _PROVEN)
                    if sight.proof is not None and sight.proof != before.proof:
                        return sight
                return self._look(*self._known)
            except libpq.Error as error:
                # Class 42: somebody has dropped one of them, or taken away the right to read it.
                if not (error.sqlstate or "").startswith("42"):
                    raise
                self._known = None
        version_table, ledger, empty, release, pid, read_only = self.connection.row(
            _PLACES, self._version, self._schema
        )
        if empty and not ledger:
            pooled = pid != self.connection.backend_pid
            return database.Sight(
                None, 0, database.EMPTY, None, None, release, read_only=read_only, pooled=pooled
            )
        if version_table and ledger:
            self._known = version_table, ledger
            if before is not None:
                return self.look(before)
        return self._look(version_table, ledger)

    def _look(
        self, version_table: str | None, ledger: bool, catalog: str = _CATALOG
    ) -> database.Sight:
        revisions = f"({_VERSIONS} {version_table})" if version_table else "null"
        release, pid, read_only, found, identity, proof, digest, tables = self.connection.row(
            f"select {_SESSION}, {revisions}, {_OWN if ledger else '$1::text, null'}, digest.*"
            f" from ({catalog}) as digest",
            self._app.name if ledger else None,
            self._version,
        )
        return database.Sight(
            revisions=tuple(found or ()) if version_table else None,
            tables=tables,
            catalog=digest,
            identity=identity,
            proof=database.Proof(*proof) if proof else None,
            version=release,
            read_only=read_only,
            # A pooler makes up the process id that it tells its clients.
            pooled=pid != self.connection.backend_pid,
        )

    def current(self) -> tuple[str, ...]:
        """The rows of the version table; none where it is not there."""
        table = libpq.identifier(*filter(None, (self._schema, self._version)))
        try:
            return tuple(self.connection.row(f"{_VERSIONS} {table}")[0] or ())
        except libpq.Error as error:
            if error.sqlstate != UNDEFINED_TABLE:
                raise
            return ()

    def identity(self) -> str | None:
        """What the pin table says."""
        try:
            rows = self.connection.execute("select identity::text from bootstrapd.pin")
        except libpq.Error as error:
            if error.sqlstate not in (UNDEFINED_TABLE, INSUFFICIENT_PRIVILEGE):
                raise
            return None
        return str(rows[0][0]) if rows else None

    def pin(self) -> str:
        """The identity in the pin table, made on first need."""
        self.connection.execute(
            "insert into bootstrapd.pin select gen_random_uuid()"
            " where not exists (select from bootstrapd.pin)"
        )
        (identity,) = self.connection.row("select identity::text from bootstrapd.pin")
        return str(identity)

    def close(self) -> None:
        """Close the connection; the server gives the lock back with it."""
        self.connection.close()

    # -- the lock ---------------------------------------------------------------------------------

    def try_lock(self) -> bool:
        """Ask for the lock without waiting.

        Waiting inside PostgreSQL would hold a snapshot, which a CREATE INDEX CONCURRENTLY of the
        holder waits for in turn, for ever.
        """
        # A pooler makes up the process id that the connection itself was told.
        self._locked, self._pid = self.connection.row(
            "select pg_catalog.pg_try_advisory_lock($1), pg_catalog.pg_backend_pid()", LOCK_KEY
        )
        return self._locked

    def lock_is_free(self) -> bool:
        """Whether nobody holds the lock: many may share it for an instant."""
        (free,) = self.connection.row(
            "select case when pg_catalog.pg_try_advisory_lock_shared($1)"
            " then pg_catalog.pg_advisory_unlock_shared($1) else false end",
            LOCK_KEY,
        )
        return bool(free)

    def await_unlock(self, timeout_s: float, stop: threading.Event) -> None:
        """Sleep; whoever listens holds no snapshot."""
        until_s = time.monotonic() + timeout_s
        if not self._listening:
            self.connection.execute(f"listen {CHANNEL}")
            self._listening = True
        while not stop.is_set() and (left_s := until_s - time.monotonic()) > 0:
            if self.connection.hears(min(left_s, STOP_POLL_S)):
                return

    def unlock(self) -> bool:
        """Give the lock back and say whether it was still ours."""
        self._locked = False
        try:
            # Told when the statement has ended, so that whoever hears of it finds the lock free.
            released, _ = self.connection.row(
                f"select pg_catalog.pg_advisory_unlock($1), pg_catalog.pg_notify('{CHANNEL}', '')",
                LOCK_KEY,
            )
        except libpq.Error:
            return False
        return bool(released)

    def holder(self) -> str:
        """The session that holds the lock: process, application, client and age."""
        rows = self.connection.execute(
            "select a.pid, coalesce(nullif(a.application_name, ''), 'unnamed'), a.usename,"
            " coalesce(host(a.client_addr), 'a local socket'),"
            " extract(epoch from clock_timestamp() - a.backend_start)::int"
            " from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a using (pid)"
            " where l.locktype = 'advisory' and l.granted and l.classid = $1"
            " and l.objid = $2 and l.database ="
            " (select oid from pg_catalog.pg_database where datname = current_database())",
            *_key_halves().values(),
        )
        if not rows:
            return "nobody any more"
        pid, name, user, client, age_s = rows[0]
        # To another role the server tells no more than that.
        rest = "" if age_s is None else f", from {client}, connected for {age_s} s"
        return f"process {pid} ({name}, user {user}{rest})"

    def shared_descriptors(self) -> tuple[int, ...]:
        """The socket: while a child has it open, the session and its lock live on."""
        return (self.connection.fileno(),)

    def witness(self) -> Mapping[str, Any] | None:
        """Where the lock is to be seen in pg_locks."""
        if not self._locked:
            return None
        return {"pid": self._pid, **_key_halves()}

    def lost(self) -> bool:
        """Whether the server closed the connection; reads nothing while it did not."""
        if self.connection.closed:
            return True
        readable, _, _ = select.select([self.connection.fileno()], [], [], 0)
        if not readable:
            return False
        try:
            self.connection.execute("select")
        except libpq.Error:
            return True
        return False

    def end_leftovers(self) -> int:
        """End the sessions of killed workers: their statements may still be running.

        Whoever holds the lock knows that no worker of a living run is there.
        """
        count = 0
        deadline_s = time.monotonic() + 30
        while time.monotonic() < deadline_s:
            ended = self.connection.execute(
                "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity"
                " where datname = current_database() and application_name like $1",
                f"{WORKER_NAME} %",
            )
            if not ended:
                break
            count = max(count, len(ended))
            time.sleep(0.1)
        return count

    def shares_sessions(self) -> bool:
        """Whether a pooler lends the same server session to two clients that are both connected.

        That is what transaction mode means; in session mode each client keeps its own.
        """
        other = libpq.reach(self.target.conninfo(), SECOND_LOGIN_S)
        try:
            seen = set()
            for _ in range(3):
                mine = self.connection.row("select pg_catalog.pg_backend_pid()")
                theirs = other.execute("select pg_catalog.pg_backend_pid()")[0]
                if mine == theirs:
                    return True
                seen.add(mine)
            return len(seen) > 1
        finally:
            other.close()

    # -- indexes ----------------------------------------------------------------------------------

    def catalog(self, *, within: bool = False) -> "catalogs.Catalog":
        """Read in one transaction, or `within` the one that is open, by PostgreSQL's deparsers."""
        from bootstrap import catalog

        return catalog.read_postgres(
            self.connection, version_table=(self._schema, self._version), within=within
        )

    def flaws(
        self, wanted: "catalogs.Catalog | None", *, app_role: str | None
    ) -> "Sequence[catalogs.Finding]":
        """Indexes, constraints, triggers, sequences, collations, owners and the app's role."""
        from bootstrap import catalog

        place = (self._schema, self._version)
        return catalog.flaws(self.connection, version_table=place, wanted=wanted, app_role=app_role)

    def invalid_indexes(self) -> Sequence[str]:
        """Indexes with indisvalid off, of tables that are not partitioned."""
        rows = self.connection.execute(
            "select c.oid::regclass::text from pg_catalog.pg_index i"
            " join pg_catalog.pg_class c on c.oid = i.indexrelid and c.relkind = 'i'"
            f" join pg_catalog.pg_namespace n on n.oid = c.relnamespace and {OWN_SCHEMAS}"
            " where not i.indisvalid order by 1"
        )
        return [name for (name,) in rows]

    def drop_index(self, name: str, *, lock_timeout_ms: int) -> bool:
        """Drop it without blocking writers, and without waiting for them too long."""
        self.connection.row("select set_config('lock_timeout', $1, false)", lock_timeout_ms)
        try:
            self.connection.execute(f"drop index concurrently if exists {name}")
        except libpq.Error as error:
            if error.sqlstate != LOCK_NOT_AVAILABLE:
                raise
            return False
        finally:
            self.connection.execute("reset lock_timeout")
        return True


def session(settings: Any, run: str, *, under_lock: bool) -> dict[str, str]:
    """The session settings of a worker's connections, as PostgreSQL names them.

    What works under the lock bears a name by which the next holder can end it, should it be left
    over.

    client_connection_check_interval makes the server notice within 2 s that a worker was killed.
    With synchronous_commit off a commit does not wait for the disk; the order of commits is kept,
    and the run's last commit, which does wait, makes all of them durable.
    """
    return {
        "application_name": f"{WORKER_NAME} {run}" if under_lock else f"bootstrapd {run}",
        "lock_timeout": str(settings.lock_timeout_ms),
        "statement_timeout": str(settings.statement_timeout_ms),
        "client_connection_check_interval": "2000",
        "synchronous_commit": "off",
    }


def _key_halves() -> dict[str, int]:
    unsigned = LOCK_KEY % 2**64
    return {"classid": unsigned >> 32, "objid": unsigned & 0xFFFFFFFF}

"""The ledger of a PostgreSQL database: tables in a schema of its own."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap import database, ledger, libpq

INSUFFICIENT_PRIVILEGE = "42501"

_LEDGER = """
create schema if not exists bootstrapd;
create table if not exists bootstrapd.pin (
  identity uuid primary key default gen_random_uuid(),
  given_at timestamptz not null default now()
);
create table if not exists bootstrapd.proof (
  app text primary key,
  code text not null,
  catalog text not null,
  findings integer not null,
  release text not null,
  proven_at timestamptz not null default now()
);
create table if not exists bootstrapd.attempt (
  id bigint generated always as identity primary key,
  app text not null,
  run text not null,
  direction text not null,
  revision text not null,
  actor text not null,
  host text not null,
  release text not null,
  started_at timestamptz not null,
  ended_at timestamptz,
  result text not null
    check (result in ('running', 'done', 'failed', 'interrupted')),
  error text,
  transactional boolean not null default true,
  before text
);
create table if not exists bootstrapd.schema (
  app text primary key,
  revisions json not null,
  digest text not null,
  snapshot text not null,
  noted_at timestamptz not null default now()
);
create table if not exists bootstrapd.revision (
  app text not null,
  revision text not null,
  below text not null,
  bytes text not null,
  source text not null,
  origin text not null check (origin in ('applied', 'marked', 'seen')),
  release text not null,
  at timestamptz not null default now(),
  compatible_with text,
  settled boolean not null default false,
  primary key (app, revision)
);
create table if not exists bootstrapd.move (
  id bigint generated always as identity primary key,
  app text not null,
  -- begun: the database was empty before its revisions; prepared: `report` counts what they put in.
  state text not null check (state in ('begun', 'prepared', 'moved')),
  source text not null,
  report json not null,
  at timestamptz not null default now()
);
create index if not exists attempt_running on bootstrapd.attempt (id) where result = 'running';
grant usage on schema bootstrapd to public;
grant select on bootstrapd.pin, bootstrapd.proof to public;
-- Rows that a revision inserts are nobody's business but the owner's.
grant select (app, revision, below, bytes, origin, release, at, compatible_with, settled)
  on bootstrapd.revision to public;
"""

_TABLES = _LEDGER.count("create table")
_INSERT = """
insert into bootstrapd.attempt
  (app, run, direction, revision, actor, host, release, started_at, ended_at, result)
select app, run, direction, revision, actor, host, release,
       to_timestamp(started_at), to_timestamp(ended_at), result
  from json_to_recordset($1::json) as entry (
    app text, run text, direction text, revision text, actor text, host text, release text,
    started_at double precision, ended_at double precision, result text)
returning id
"""
_ATTEMPT = (
    "select id, run, direction, revision, actor, host, release,"
    " to_char(started_at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),"
    " to_char(ended_at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),"
    " result, error, transactional, before from bootstrapd.attempt "
)
_NOTE = """
insert into bootstrapd.revision
select $1, revision, below, bytes, source, origin, release,
       coalesce(at, clock_timestamp()), compatible_with, settled
  from json_to_recordset($2::json) as entry (
    revision text, below text, bytes text, source text, origin text, release text,
    at timestamptz, compatible_with text, settled boolean)
on conflict (app, revision) do update set below = excluded.below, bytes = excluded.bytes,
  source = excluded.source, origin = excluded.origin, release = excluded.release,
  at = excluded.at, compatible_with = excluded.compatible_with, settled = excluded.settled
"""
_NOTES = (
    "select revision, below, bytes, '', origin, release,"
    " to_char(at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),"
    " compatible_with, settled from bootstrapd.revision where app = $1"
)


class Ledger:
    """The record of one app, over the connection that holds the lock."""

    def __init__(self, connection: libpq.Connection, app: str, actor: str | None) -> None:
        self._connection = connection
        self._app = app
        self._actor = actor or ledger.actor()

    def prepare(self) -> bool:
        """Make schema and tables that are not there; False where the role may not."""
        tables, writable = self._connection.row(
            "select count(*), coalesce(bool_and(has_table_privilege(c.oid, 'insert')"
            " and has_table_privilege(c.oid, 'update')), true)"
            " from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = 'bootstrapd' and c.relkind = 'r'"
        )
        if tables == _TABLES or not writable:
            return bool(writable)
        self._connection.execute("begin")
        try:
            self._connection.execute(_LEDGER)
        except BaseException as error:
            self._connection.execute("rollback")
            if isinstance(error, libpq.Error) and error.sqlstate == INSUFFICIENT_PRIVILEGE:
                return False
            raise
        self._connection.execute("commit")
        return True

    def begin(self, attempt: ledger.Started) -> int:
        """Insert a running attempt."""
        (number,) = self._connection.row(_INSERT, json.dumps([self._values(attempt)]))
        return int(number)

    def done(self, attempts: Sequence[tuple[ledger.Started, float]]) -> None:
        """Insert finished attempts, all at once."""
        entries = [
            {**self._values(attempt), "ended_at": ended_at, "result": "done"}
            for attempt, ended_at in attempts
        ]
        self._connection.execute(_INSERT, json.dumps(entries))

    def _values(self, attempt: ledger.Started) -> dict[str, Any]:
        return {
            **vars(attempt),
            "app": self._app,
            "actor": self._actor,
            "host": os.uname().nodename,
            "ended_at": None,
            "result": "running",
        }

    def not_transactional(self, attempt: int, before: Mapping[str, Any]) -> None:
        """Mark an attempt that cannot be rolled back, and keep `before`."""
        self._connection.execute(
            "update bootstrapd.attempt set transactional = false, before = $1 where id = $2",
            json.dumps(dict(before)),
            attempt,
        )

    def not_comparable(self, attempt: int) -> None:
        """Forget the digest of the schema."""
        self._connection.execute(
            "update bootstrapd.attempt set before = jsonb_set(before::jsonb, '{catalog}', 'null')"
            " where id = $1",
            attempt,
        )

    def end(self, attempt: int, result: str, error: str | None = None) -> None:
        """Write result, error and time."""
        self._connection.execute(
            "update bootstrapd.attempt set result = $1, error = $2, ended_at = clock_timestamp()"
            " where id = $3",
            result,
            error,
            attempt,
        )

    def unfinished(self) -> Sequence[ledger.Attempt]:
        """Running attempts, oldest first."""
        return self._attempts("where result = 'running' order by id")

    def attempts(self, limit: int) -> Sequence[ledger.Attempt]:
        """The latest attempts, newest first; none without a ledger or the right to read it."""
        if not self._is_readable("attempt"):
            return ()
        return self._attempts("where app = $1 order by id desc limit $2", self._app, limit)

    def note_schema(self, schema: ledger.Schema) -> None:
        """Insert or replace what is kept of the app's schema."""
        self._connection.execute(
            "insert into bootstrapd.schema (app, revisions, digest, snapshot)"
            " values ($1, $2, $3, $4) on conflict (app) do update set"
            " revisions = excluded.revisions, digest = excluded.digest,"
            " snapshot = excluded.snapshot, noted_at = now()",
            self._app,
            json.dumps(schema.revisions),
            schema.digest,
            schema.text,
        )

    def schema(self) -> ledger.Schema | None:
        """What is kept of the app's schema."""
        rows = self._connection.execute(
            "select revisions, digest, snapshot from bootstrapd.schema where app = $1", self._app
        )
        return ledger.Schema(tuple(rows[0][0]), *rows[0][1:]) if rows else None

    def notes(self) -> Sequence[ledger.Note]:
        """All rows of the app; none without a ledger or the right to read it."""
        if not self._is_readable("revision"):
            return ()
        rows = self._connection.execute(_NOTES, self._app)
        return [ledger.Note(row[0], tuple(json.loads(row[1])), *row[2:]) for row in rows]

    def note(self, notes: Sequence[ledger.Note]) -> None:
        """Insert or replace the rows, in one statement."""
        entries = [{**vars(note), "below": json.dumps(note.below)} for note in notes]
        self._connection.execute(_NOTE, self._app, json.dumps(entries))

    def sources(self, revisions: Sequence[str]) -> Mapping[str, str] | None:
        """The packed texts of these; None for a role that may not read them."""
        try:
            rows = self._connection.execute(
                "select revision, source from bootstrapd.revision where app = $1"
                " and revision in (select json_array_elements_text($2::json))",
                self._app,
                json.dumps(list(revisions)),
            )
        except libpq.Error as error:
            if error.sqlstate != INSUFFICIENT_PRIVILEGE:
                raise
            return None
        return dict(rows)

    def settle(self, revisions: Sequence[str]) -> None:
        """Mark the rows, in one statement."""
        self._connection.execute(
            "update bootstrapd.revision set settled = true where app = $1 and not settled"
            " and revision in (select json_array_elements_text($2::json))",
            self._app,
            json.dumps(list(revisions)),
        )

    def prove(self, proof: database.Proof, release: str) -> None:
        """Insert or replace the app's proof."""
        self._connection.execute(
            "insert into bootstrapd.proof (app, code, catalog, findings, release)"
            " values ($1, $2, $3, $4, $5)"
            " on conflict (app) do update set code = excluded.code, catalog = excluded.catalog,"
            " findings = excluded.findings, release = excluded.release, proven_at = now()",
            self._app,
            proof.code,
            proof.catalog,
            proof.findings,
            release,
        )

    def _is_readable(self, table: str) -> bool:
        (readable,) = self._connection.row(
            "select count(*) = 1 from pg_catalog.pg_class c"
            " join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = 'bootstrapd' and c.relname = $1"
            " and has_schema_privilege(n.oid, 'usage')"
            " and has_any_column_privilege(c.oid, 'select')",
            table,
        )
        return bool(readable)

    def _attempts(self, tail: str, *values: object) -> Sequence[ledger.Attempt]:
        rows = self._connection.execute(_ATTEMPT + tail, *values)
        return [ledger.Attempt(*row) for row in rows]

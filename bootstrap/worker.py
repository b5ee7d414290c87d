"""The child process in which an app's Alembic project runs. It needs nothing but Alembic.

A stranger's `env.py` may import a whole application, configure logging or open connections of its
own, and its dependencies may exclude ours: so it runs here, under the app's own interpreter, and
the memory it takes is given back at the end. This file is started by path and imports nothing of
bootstrapd.

Requests come as JSON lines on stdin, events and answers leave as JSON lines on the file descriptor
in argv[1]. The end of stdin means that the parent is gone: then this process ends at once, and the
server rolls back what is open.
"""

# An app's interpreter may be older than ours.
from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import io
import json
import os
import queue
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

PARENT_GONE = 70
OWN_SCHEMA = "bootstrapd"
_DRIVERS = {
    "postgresql": ("psycopg", "psycopg2", "asyncpg", "pg8000"),
    "sqlite": ("pysqlite", "aiosqlite"),
}
_MODULES = {"pysqlite": "sqlite3"}
_SYNC_OF = {"asyncpg": "psycopg", "aiosqlite": "pysqlite"}
_ASYNC_ENV = re.compile(r"\b(create_async_engine|async_engine_from_config|AsyncEngine)\b")

# Looking around changes nothing. Of what changes something, a comparison of schemas shows the
# definitions; only data are changed unseen.
_LOOKS = re.compile(
    r"\s*(select|show|set|reset|explain|pragma|begin|commit|rollback|savepoint|release|lock)\b",
    re.IGNORECASE,
)
_DEFINES = re.compile(
    r"\s*(create|alter|drop|comment|grant|revoke|reindex|analyze|vacuum|cluster)\b", re.IGNORECASE
)
# What SQLite refuses or, worse, ignores inside a transaction.
_SQLITE_ALONE = re.compile(
    r"\s*(vacuum|attach|detach|pragma\s+(\w+\.)?(foreign_keys|journal_mode|synchronous)\s*[=(])",
    re.IGNORECASE,
)
_POSTGRES_DRIVER = re.compile(r"psycopg|asyncpg|pg8000|postgresql")
_FOREIGN_KEYS_ON = re.compile(
    r"\s*pragma\s+foreign_keys\s*(=|\()\s*['\"]?(on|1|true|yes)\b", re.IGNORECASE
)


class StoppedError(Exception):
    """Asked to end between two revisions."""


class OtherDatabaseError(Exception):
    """env.py connects to another database than the one it was given."""


class OtherVersionTableError(Exception):
    """env.py keeps its version in another table than the one declared; the message is its name."""


class Worker:
    """Carries out requests on one Alembic project and one database."""

    def __init__(
        self, request: Mapping[str, Any], channel: Channel, stopping: threading.Event
    ) -> None:
        import sqlalchemy as sa
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        self.request = request
        self.channel = channel
        self.stopping = stopping
        self.step = Step(channel, None)
        self.postgres = request["dialect"] == "postgresql"
        self.config = _config(Config, request["alembic"])
        self.config.cmd_opts = argparse.Namespace(x=None, cmd=None, raiseerr=False)
        self._go_home()
        self.script = ScriptDirectory.from_config(self.config)
        self.url = self._url(sa)
        self.config.set_main_option(
            "sqlalchemy.url", self.url.render_as_string(hide_password=False).replace("%", "%%")
        )
        # After all else: what the project's own settings put on the path comes first.
        sys.path += [root for root in request["roots"] if root not in sys.path]
        _prepare_connections(sa, self)
        _prepare_environment(self)

    def _go_home(self) -> None:
        """Alembic's relative paths start from the folder that its owner calls it in."""
        option = getattr(self.config, "get_alembic_option", self.config.get_main_option)
        location = str(option("script_location"))
        homes = [root for root in self.request["roots"] if os.path.isdir(f"{root}/{location}")]
        if homes and not os.path.isdir(location):
            os.chdir(homes[0])

    # -- requests ---------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """All revisions, base first, and a digest of their files."""
        import hashlib

        digest = hashlib.sha256()
        entries = []
        for revision in sorted(self.script.walk_revisions(), key=lambda each: each.path):
            with open(revision.path, "rb") as file:
                digest.update(file.read())
            entries.append(
                {
                    "id": revision.revision,
                    "title": (revision.doc or "").strip().partition("\n")[0].rstrip("."),
                    "path": revision.path,
                    "down": _tuple(revision.down_revision),
                    "needs": _tuple(revision._resolved_dependencies),
                    # Alembic hands a label on to all of its branch.
                    "labels": sorted(revision._orig_branch_labels),
                }
            )
        return {"revisions": entries, "digest": digest.hexdigest()}

    def upgrade(self, revision: str, total: int) -> dict[str, Any]:
        """Apply revisions up to `revision`, one transaction each."""
        return self._migrate(lambda rev: self.script._upgrade_revs(revision, rev), revision, total)

    def downgrade(self, revision: str, total: int) -> dict[str, Any]:
        """Take back revisions down to `revision`."""
        return self._migrate(
            lambda rev: self.script._downgrade_revs(revision, rev), revision, total
        )

    def stamp(self, revision: str, total: int) -> dict[str, Any]:
        """Write `revision` into the version table without running anything."""
        return self._migrate(lambda rev: self.script._stamp_revs(revision, rev), revision, total)

    def sql(self, current: list[str], revision: str, version_table: bool) -> dict[str, Any]:
        """The SQL that `upgrade` would run, and nothing written to the database."""
        if not self.postgres:
            return {"sql": self._sql_on_copy(revision)}
        buffer = io.StringIO()

        def steps(_: Any, context: Any) -> Any:
            if version_table:
                # Alembic would print its creation for every start from base.
                context._version.create = lambda *_, **__: None
            start: Any = tuple(current)
            return self.script._upgrade_revs(revision, start)

        self._run_env(steps, as_sql=True, starting_rev=tuple(current) or None, output_buffer=buffer)
        return {"sql": buffer.getvalue()}

    def compare(self, metadata: str | None) -> dict[str, Any]:
        """The differences between models and database, by Alembic's own comparison."""
        from alembic.autogenerate import compare_metadata

        found: dict[str, Any] = {}

        def compare(_: Any, context: Any) -> Any:
            declared = _attribute(metadata) if metadata else context.opts.get("target_metadata")
            sets = declared if isinstance(declared, (list, tuple)) else [declared]
            tables = sum(len(each.tables) for each in sets if each is not None)
            found["tables"] = tables
            differences = compare_metadata(context, declared) if tables else []
            found["findings"] = [
                finding for entry in differences for finding in _findings(entry, context)
            ]
            return []

        self._run_env(compare, dont_mutate=True)
        return found

    def seed(self, seeds: str, metadata: str | None, folder: str) -> dict[str, Any]:
        """Insert the app's reference rows that are not there; counts a table.

        Seeds that are a function are called in `folder`.
        """
        import sqlalchemy as sa

        declared = _attribute(seeds)
        engine = sa.create_engine(self._sync_url(), poolclass=sa.pool.NullPool)
        with engine.begin() as connection:
            if callable(declared):
                os.chdir(folder)
                try:
                    return {"seeded": declared(connection) or {}}
                finally:
                    os.chdir(self.request["project"])
            known = _attribute(metadata) if metadata else None
            return {
                "seeded": {
                    name: _insert_missing(connection, _table(name, known, connection), entry)
                    for name, entry in declared.items()
                }
            }

    def demo(
        self, metadata: str, rows: int, seed: int, more: bool, reference: dict[str, int]
    ) -> dict[str, Any]:
        """Fill every table with demo rows in one transaction; counts a table."""
        import sqlalchemy as sa

        package = _beside("demo")
        declared = _attribute(metadata)
        sets = declared if isinstance(declared, (list, tuple)) else [declared]
        engine = sa.create_engine(self._sync_url(), poolclass=sa.pool.NullPool)

        def report(done: int, total: int, table: str) -> None:
            if self.stopping.is_set():
                raise StoppedError
            self.channel.send(event="demo_progress", done=done, total=total, table=table)

        made: dict[str, int] = {}
        with engine.begin() as connection:
            for each in sets:
                request = package.Request(rows, seed, more, reference)
                made |= package.fill(connection, each, request, report)
        return {"demo": made}

    def new(self, message: str, autogenerate: bool) -> dict[str, Any]:
        """Write a new revision file from the project's template."""
        from alembic import command

        made = command.revision(self.config, message=message, autogenerate=autogenerate)
        scripts = made if isinstance(made, list) else [made]
        return {"paths": [script.path for script in scripts if script is not None]}

    # -- running env.py ---------------------------------------------------------------------------

    def _migrate(self, steps: Callable[[Any], Any], destination: str, total: int) -> dict[str, Any]:
        def each(rev: Any, context: Any) -> Iterator[Any]:
            for step in steps(rev):
                if self.stopping.is_set():
                    raise StoppedError
                revision = getattr(step, "revision", None)
                self.step = Step(self.channel, revision.revision if revision else destination)
                began_s = time.monotonic()
                self.channel.send(
                    event="revision_started", revision=self.step.revision, total=total
                )
                if self.postgres and _commits_by_itself(context):
                    self.step.leave_transaction()
                # The transaction of this step ends before the generator is asked for the next one.
                yield step
                _commit_in_external_transaction(context, sqlite=not self.postgres)
                self.channel.send(
                    event="revision_done",
                    revision=self.step.revision,
                    total=total,
                    seconds=round(time.monotonic() - began_s, 4),
                )
                self.step = Step(self.channel, None)

        self.step = Step(self.channel, None)
        self._run_env(each, destination_rev=destination)
        return {}

    def _run_env(self, fn: Callable[[Any, Any], Any], **options: Any) -> None:
        from alembic.runtime.environment import EnvironmentContext

        with EnvironmentContext(self.config, self.script, fn=fn, **options):
            self.script.run_env()

    def check_version_table(self, connection: Any, options: Mapping[str, Any]) -> None:
        """Refuse a version table that the parent does not look at."""
        schema = options.get("version_table_schema")
        name = options.get("version_table") or "alembic_version"
        wanted_schema, wanted = self.request["version_table"]
        same = name == wanted
        if connection is not None:
            default = connection.dialect.default_schema_name
            same &= (schema or default) == (wanted_schema or default)
        if not same:
            raise OtherVersionTableError(f"{schema}.{name}" if schema else name)

    def check_same_database(self, connection: Any) -> None:
        """Refuse to touch any database but the one that the parent has locked."""
        began_here = not connection.in_transaction()
        if self._is_ours(connection):
            # Left open, this look would pass for a transaction of env.py's own, and Alembic would
            # leave the commit to it.
            if began_here and connection.in_transaction():
                connection.rollback()
            return
        other = connection.engine.url.render_as_string(hide_password=True).partition("?")[0]
        raise OtherDatabaseError(f"env.py connects to {other}")

    def _is_ours(self, connection: Any) -> bool:
        if connection.dialect.name != self.request["dialect"]:
            return False
        if not self.postgres:
            rows = connection.exec_driver_sql("pragma database_list").fetchall()
            path = next((row[2] for row in rows if row[1] == "main"), "")
            return bool(path) and os.path.realpath(path) == os.path.realpath(self.request["path"])
        name = connection.exec_driver_sql("select current_database()").scalar()
        witness = self.request["witness"]
        if witness is None or name != self.request["params"]["dbname"]:
            return bool(name == self.request["params"]["dbname"])
        # The parent's advisory lock is seen only on the same server and in the same database.
        held = connection.exec_driver_sql(
            "select count(*) from pg_catalog.pg_locks where locktype = 'advisory' and granted"
            f" and pid = {int(witness['pid'])} and classid = {int(witness['classid'])}"
            f" and objid = {int(witness['objid'])} and database ="
            " (select oid from pg_catalog.pg_database where datname = current_database())"
        ).scalar()
        return bool(held)

    # -- the database -----------------------------------------------------------------------------

    def _url(self, sa: Any) -> Any:
        request = self.request
        driver = self._driver()
        name = f"{request['dialect']}+{driver}"
        if not self.postgres:
            return sa.engine.URL.create(name, database=request["path"], query=request["query"])
        params, query = dict(request["params"]), dict(request["query"])
        if driver == "asyncpg" and "sslmode" in query:
            query["ssl"] = query.pop("sslmode")
        host, port = params.get("host"), params.get("port")
        if host and ("," in host or host.startswith("/")):
            query["host"] = host
            if port:
                query["port"] = port
            host = port = None
        return sa.engine.URL.create(
            name,
            username=params.get("user"),
            password=params.get("password"),
            host=host,
            port=int(port) if port else None,
            database=params.get("dbname"),
            query=query,
        )

    def _sync_url(self) -> Any:
        driver = self.url.get_driver_name()
        return self.url.set(drivername=f"{self.request['dialect']}+{_SYNC_OF.get(driver, driver)}")

    def _driver(self) -> str:
        """The driver that was asked for, else the project's own, else one that is installed."""
        if self.request["driver"]:
            return str(self.request["driver"])
        dialect = self.request["dialect"]
        candidates = list(_DRIVERS[dialect])
        own = re.match(rf"{dialect}\+(\w+)://", self._own_url())
        if own:
            candidates.insert(0, own[1])
        elif self._env_is_async():
            candidates = ["asyncpg", *candidates] if self.postgres else ["aiosqlite", *candidates]
        for driver in candidates:
            if importlib.util.find_spec(_MODULES.get(driver, driver)):
                return driver
        raise ImportError(
            f"no {dialect} driver is installed for {sys.executable}: wanted one of "
            + ", ".join(candidates)
        )

    def _own_url(self) -> str:
        """What the project's file has for a URL; it may have placeholders that env.py fills in."""
        parser = self.config.file_config
        return str(
            parser.get(self.config.config_ini_section, "sqlalchemy.url", raw=True, fallback="")
        )

    def _env_is_async(self) -> bool:
        try:
            with open(os.path.join(self.script.dir, "env.py"), encoding="utf-8") as file:
                return bool(_ASYNC_ENV.search(file.read()))
        except OSError:
            return False

    def _sql_on_copy(self, revision: str) -> str:
        """SQLite revisions look at the live tables: run them on an empty copy of the schema."""
        import sqlite3
        import tempfile

        import sqlalchemy as sa

        transcript = Transcript(sa, sqlite3.connect(":memory:"))
        with tempfile.TemporaryDirectory() as folder:
            copy = os.path.join(folder, "plan.db")
            _copy_schema(sqlite3, self.request["path"], copy)
            self.url = self.url.set(database=copy)
            self.config.set_main_option(
                "sqlalchemy.url", self.url.render_as_string().replace("%", "%%")
            )
            self.request = {**self.request, "path": copy}

            def steps(rev: Any, _: Any) -> Iterator[Any]:
                for step in self.script._upgrade_revs(revision, rev):
                    transcript.remark(f"Running {step.short_log}")
                    yield step

            self._run_env(steps)
        return transcript.text


class Step:
    """One revision under way, or none: what of it could not be rolled back any more."""

    def __init__(self, channel: Channel, revision: str | None) -> None:
        self.revision = revision
        # Whether some of it was committed before its end.
        self.autocommit = False
        self._channel = channel
        self._outside = False
        self._changed = False
        self._changed_data = False

    def leave_transaction(self) -> None:
        """What was done so far is about to be committed; what comes is committed at once."""
        self._outside = True
        self._commit()

    def reenter_transaction(self) -> None:
        """What comes is in a transaction again."""
        self._outside = False

    def cut_transaction(self) -> None:
        """What was done so far is about to be committed; a new transaction follows."""
        if self._changed:
            self._commit()

    def statement(self, statement: str) -> None:
        """A statement is about to be run."""
        if self.revision is None or _LOOKS.match(statement):
            return
        self._changed = True
        if not _DEFINES.match(statement) and not self._changed_data:
            self._changed_data = True
            if self._outside:
                self._ask("data_committed")

    def _commit(self) -> None:
        # The parent must have written this down before it happens.
        if self.revision is not None and not self.autocommit:
            self.autocommit = True
            self._ask("autocommit")
        if self.revision is not None and self._changed_data:
            self._ask("data_committed")

    def _ask(self, event: str) -> None:
        self._channel.send(event=event, revision=self.revision)
        self._channel.receive()


class Transcript:
    """What is run on SQLite in this process, as SQL that could be run by hand."""

    def __init__(self, sa: Any, quoting: Any) -> None:
        self._lines: list[str] = []
        self._quoting = quoting
        engine = sa.engine.Engine
        sa.event.listen(engine, "begin", lambda connection: self._bound(connection, "BEGIN;"))
        sa.event.listen(engine, "commit", lambda connection: self._bound(connection, "COMMIT;"))
        sa.event.listen(engine, "rollback", lambda connection: self._bound(connection, "ROLLBACK;"))
        sa.event.listen(engine, "before_cursor_execute", self._statement)

    @property
    def text(self) -> str:
        """All of it, transactions in which nothing happened left out."""
        kept: list[str] = []
        for line in self._lines:
            if line in ("COMMIT;", "ROLLBACK;") and kept[-1:] == ["BEGIN;"]:
                kept.pop()
            else:
                kept.append(line)
        return "".join(f"{line}\n\n" for line in kept)

    def remark(self, text: str) -> None:
        """Add a comment."""
        self._lines.append(f"-- {text}")

    def _bound(self, connection: Any, line: str) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            self._lines.append(line)

    def _statement(
        self, connection: Any, _: Any, statement: str, values: Any, _context: Any, many: bool
    ) -> None:
        # How revisions look around is left out.
        if re.match(r"\s*(select\b|pragma\s[^=]*$)", statement, re.IGNORECASE):
            return
        lines = [self._filled(statement.strip(), row) for row in (values if many else [values])]
        if connection.info.get(_CUT):
            lines = ["COMMIT;", *lines, "BEGIN;"]
        self._lines += lines

    def _filled(self, statement: str, values: Any) -> str:
        left = iter(values or ())

        def fill(match: re.Match[str]) -> str:
            if match[0] != "?":
                return match[0]
            (literal,) = self._quoting.execute("select quote(?)", (next(left),)).fetchone()
            return str(literal)

        # A question mark in a text, a name or a comment stays what it is.
        text = re.sub(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|\?", fill, statement)
        return text if text.endswith(";") else f"{text};"


class Channel:
    """Lines of JSON to the parent, and the parent's lines from stdin."""

    def __init__(self, descriptor: int) -> None:
        self._out = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)
        self._in: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._in.put(line)
        os._exit(PARENT_GONE)

    def send(self, **message: object) -> None:
        """One line to the parent."""
        self._out.write(json.dumps(message, default=str) + "\n")

    def receive(self) -> dict[str, Any]:
        """The parent's next line; waits for it."""
        # With a timeout the main thread stays open to signals on every platform.
        while True:
            try:
                received = json.loads(self._in.get(timeout=3600))
            except queue.Empty:
                continue
            assert isinstance(received, dict)
            return received


def _prepare_environment(worker: Worker) -> None:
    """Whatever env.py says, to whichever command of Alembic: these things hold."""
    from alembic.runtime.environment import EnvironmentContext

    plain = EnvironmentContext.configure

    def configure(environment: Any, connection: Any = None, **given: Any) -> None:
        given["transaction_per_migration"] = True
        if not worker.postgres:
            given["transactional_ddl"] = True
        given["include_name"] = _all_but_bootstrapds(given.get("include_name"))
        if connection is not None:
            worker.check_same_database(connection)
        worker.check_version_table(connection, given)
        plain(environment, connection=connection, **given)
        _announce_autocommit(worker, environment.get_context())

    EnvironmentContext.configure = configure  # type: ignore[method-assign, assignment]


def _all_but_bootstrapds(include: Any) -> Any:
    """The filter of an env.py, which may compare all schemas, less the schema of our record."""

    def included(name: Any, kind: str, parents: Any) -> bool:
        if kind == "schema" and name == OWN_SCHEMA:
            return False
        return include is None or bool(include(name, kind, parents))

    return included


def _announce_autocommit(worker: Worker, context: Any) -> None:
    """Have the parent note that a revision leaves its transaction, before it does."""
    plain = context.autocommit_block

    @contextlib.contextmanager
    def announced() -> Iterator[None]:
        if _is_external(context):
            raise RuntimeError(
                "autocommit_block() cannot work inside the transaction that env.py has begun; let "
                "env.py use engine.connect() in place of engine.begin()"
            )
        worker.step.leave_transaction()
        with plain():
            yield
        worker.step.reenter_transaction()

    context.autocommit_block = announced


def _is_external(context: Any) -> bool:
    return not context.as_sql and bool(context._in_external_transaction)


def _commit_in_external_transaction(context: Any, *, sqlite: bool) -> None:
    """Where env.py has begun a transaction around all revisions, end it after each of them."""
    if not _is_external(context):
        return
    # By the driver: SQLAlchemy would take the whole `with engine.begin()` for closed.
    connection = context.connection.connection
    connection.commit()
    if sqlite:
        _begin(connection)


def _commits_by_itself(context: Any) -> bool:
    """Whether env.py made the connection in autocommit mode."""
    return getattr(context.connection.connection.dbapi_connection, "autocommit", False) is True


def _prepare_connections(sa: Any, worker: Worker) -> None:
    """Every connection made in this process gets the timeouts, whoever makes it."""

    @sa.event.listens_for(sa.engine.Engine, "before_cursor_execute")  # type: ignore[untyped-decorator]
    def executing(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        worker.step.statement(statement)

    if not worker.postgres:
        _prepare_sqlite(sa, worker)
        return
    values = ", ".join(
        f"('{name}', '{value}')" for name, value in sorted(worker.request["session"].items())
    )
    # The join leaves out what this server's version does not have.
    statement = (
        "select pg_catalog.set_config(name, value, false) from (values "
        f"{values}) as wanted (name, value) join pg_catalog.pg_settings using (name)"
    )

    @sa.event.listens_for(sa.engine.Engine, "connect")  # type: ignore[untyped-decorator]
    def connected(connection: Any, _: Any) -> None:
        if not _POSTGRES_DRIVER.search(type(connection).__module__):
            return
        cursor = connection.cursor()
        cursor.execute(statement)
        cursor.close()
        # Without a commit the settings would go with the first rollback.
        connection.commit()


def _prepare_sqlite(sa: Any, worker: Worker) -> None:
    """Real transactions around DDL, which Python's driver does not give by itself."""

    @sa.event.listens_for(sa.engine.Engine, "connect")  # type: ignore[untyped-decorator]
    def connected(connection: Any, _: Any) -> None:
        if not _POSTGRES_DRIVER.search(type(connection).__module__):
            connection.isolation_level = None

    @sa.event.listens_for(sa.engine.Engine, "begin")  # type: ignore[untyped-decorator]
    def begun(connection: Any) -> None:
        if connection.dialect.name != "sqlite":
            return
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            _begin(connection.connection)

    # A revision that turns foreign keys off to rebuild a table would, were that ignored, delete
    # rows by cascade. So the transaction is cut around such a statement. Turning them on can wait
    # for the end of the transaction: so the revision and its stamp stay together.
    @sa.event.listens_for(sa.engine.Engine, "before_cursor_execute")  # type: ignore[untyped-decorator]
    def cut(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if not _SQLITE_ALONE.match(statement) or connection.dialect.name != "sqlite":
            return
        if not connection.connection.driver_connection.in_transaction:
            return
        if _FOREIGN_KEYS_ON.match(statement):
            connection.info[_AT_BEGIN] = statement
        else:
            worker.step.cut_transaction()
            cursor.execute("COMMIT")
            connection.info[_CUT] = True

    @sa.event.listens_for(sa.engine.Engine, "after_cursor_execute")  # type: ignore[untyped-decorator]
    def resumed(connection: Any, cursor: Any, *_: Any) -> None:
        if connection.info.pop(_CUT, False):
            cursor.execute("BEGIN")


_CUT = "bootstrapd cut"
_AT_BEGIN = "bootstrapd at begin"


def _begin(connection: Any) -> None:
    """Begin a transaction on a driver's connection to SQLite."""
    cursor = connection.cursor()
    waiting = connection.info.pop(_AT_BEGIN, None)
    if waiting:
        cursor.execute(waiting)
    cursor.execute("BEGIN")
    cursor.close()


def _copy_schema(sqlite3: Any, source: str, copy: str) -> None:
    made = sqlite3.connect(copy, isolation_level=None)
    if os.path.exists(source):
        live = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
        for name, statement in live.execute(
            "select name, sql from sqlite_schema where sql is not null and name not like 'sqlite_%'"
            " order by type = 'table' desc, rowid"
        ):
            # A virtual table brings the tables that it stands on.
            if not made.execute("select 1 from sqlite_schema where name = ?", (name,)).fetchone():
                made.execute(statement)
        # The version table is the one thing whose rows matter for what comes next.
        for (table,) in live.execute(
            "select m.name from sqlite_schema m join pragma_table_info(m.name) c"
            " where m.type = 'table' and c.name = 'version_num'"
        ).fetchall():
            for row in live.execute(f'select version_num from "{table}"'):
                made.execute(f'insert into "{table}" (version_num) values (?)', row)
        live.close()
    made.close()


def _config(factory: Any, alembic: str) -> Any:
    if os.path.isdir(alembic):
        config = factory()
        config.set_main_option("script_location", alembic.replace("%", "%%"))
        return config
    if alembic.endswith(".toml"):
        config = factory(toml_file=alembic)
        if config.get_alembic_option("script_location") is None:
            raise ValueError(f"{alembic}: [tool.alembic] has no script_location")
        return config
    return factory(alembic)


def _tuple(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else sorted(value)


def _beside(name: str) -> Any:
    """A package that stands beside this file; the package around both may not be importable."""
    folder = os.path.join(os.path.dirname(os.path.realpath(__file__)), name)
    alias = f"bootstrapd_{name}"
    spec = importlib.util.spec_from_file_location(
        alias, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules[alias] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _attribute(name: str) -> Any:
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def _table(name: str, metadata: Any, connection: Any) -> Any:
    import sqlalchemy as sa

    if metadata is not None and name in metadata.tables:
        return metadata.tables[name]
    schema, _, plain = name.rpartition(".")
    return sa.Table(plain, sa.MetaData(), schema=schema or None, autoload_with=connection)


def _insert_missing(connection: Any, table: Any, entry: Mapping[str, Any]) -> dict[str, int]:
    """Insert the rows whose key is not there; what is there stays as it is."""
    import sqlalchemy as sa

    key = [table.c[name] for name in entry["key"]]
    present = {tuple(row) for row in connection.execute(sa.select(*key))}
    missing = [
        row for row in entry["rows"] if tuple(row[name] for name in entry["key"]) not in present
    ]
    if missing:
        connection.execute(table.insert(), missing)
    return {"inserted": len(missing), "present": len(entry["rows"]) - len(missing)}


def _findings(entry: Any, context: Any) -> Iterator[dict[str, Any]]:
    """Alembic's difference as object, wanted and found; `missing` marks what breaks an app."""
    if isinstance(entry, list):
        for part in entry:
            yield from _findings(part, context)
        return
    kind = entry[0]
    if kind in ("add_table", "remove_table"):
        name = entry[1].fullname
        wanted, found = ("a table", "nothing") if kind == "add_table" else ("nothing", "a table")
        yield _finding(kind, f"table {name}", wanted, found, missing=kind == "add_table")
    elif kind in ("add_column", "remove_column"):
        column = entry[3]
        name = f"column {_dotted(entry[1], entry[2])}.{column.name}"
        shown = str(column.type.compile(context.dialect))
        wanted, found = (shown, "nothing") if kind == "add_column" else ("nothing", shown)
        yield _finding(kind, name, wanted, found, missing=kind == "add_column")
    elif kind.startswith("modify_"):
        name = f"column {_dotted(entry[1], entry[2])}.{entry[3]}"
        yield _finding(kind, name, _shown(entry[6], context), _shown(entry[5], context))
    else:
        thing = entry[1]
        table = getattr(thing, "table", None)
        what = kind.partition("_")[2].replace("_", " ")
        name = f"{what} {thing.name or '(unnamed)'}" + (
            f" on {table.fullname}" if table is not None else ""
        )
        columns = ", ".join(column.name for column in getattr(thing, "columns", ()))
        shown = (
            f"{'unique ' if getattr(thing, 'unique', False) else ''}({columns})"
            if columns
            else what
        )
        wanted, found = (shown, "nothing") if kind.startswith("add") else ("nothing", shown)
        yield _finding(kind, name, wanted, found)


def _finding(
    kind: str, name: str, wanted: str, found: str, *, missing: bool = False
) -> dict[str, Any]:
    return {"kind": kind, "object": name, "wanted": wanted, "found": found, "missing": missing}


def _dotted(schema: str | None, table: str) -> str:
    return f"{schema}.{table}" if schema else table


def _shown(value: Any, context: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "nullable" if value else "not null"
    if hasattr(value, "compile"):
        return str(value.compile(dialect=context.dialect))
    return str(getattr(value, "arg", value))


def _failure(worker: Worker | None, error: BaseException) -> dict[str, Any]:
    import traceback

    origin = getattr(error, "orig", None)
    kind = type(error).__name__
    # PostgreSQL points at the place in the statement; on one line that points nowhere.
    text = re.sub(r"\nLINE \d+: .*\n *\^", "", str(origin or error))
    message = " ".join(text.split()).rstrip(".")
    if not message:
        message = kind
    elif isinstance(error, KeyError):
        # Its text is the key alone: a revision, say, that another one names as its parent.
        message = f"there is no {message}"
    elif type(error).__module__ == "builtins":
        message = f"{kind}: {message}"
    return {
        "kind": kind,
        "message": message,
        "sqlstate": getattr(origin, "sqlstate", None) or getattr(origin, "pgcode", None),
        "statement": " ".join(str(getattr(error, "statement", "") or "").split())[:500],
        "disconnected": bool(getattr(error, "connection_invalidated", False)),
        "revision": worker.step.revision if worker else None,
        "autocommit": worker.step.autocommit if worker else False,
        "traceback": "".join(traceback.format_exception(type(error), error, error.__traceback__)),
    }


def main() -> None:
    """Answer requests until the parent closes stdin."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    # A terminal sends this to parent and child alike; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel(int(sys.argv[1]))
    worker: Worker | None = None
    while True:
        request = channel.receive()
        do = request.pop("do")
        try:
            if do == "open":
                worker = Worker(request, channel, stopping)
                answer = {}
            else:
                answer = getattr(worker, do)(**request)
            channel.send(answer=answer)
        except (Exception, SystemExit) as error:
            channel.send(error=_failure(worker, error))


if __name__ == "__main__":
    # The folder of this file is bootstrapd's package: its names must not shadow the app's.
    own = os.path.dirname(os.path.realpath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.realpath(path) != own]
    main()

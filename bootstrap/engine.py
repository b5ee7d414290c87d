"""SQLAlchemy engines for a target, the same on both dialects: pooled, bounded in time, in UTC."""

import contextlib
import math
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import sqlalchemy as sa
from psycopg.abc import PQGen
from sqlalchemy import event

from bootstrap import fence, models, target
from bootstrap.errors import SettingsError

BUSY_TIMEOUT_S = 5.0
# Past the statement timeout, for the server's own word that it has ended the statement.
_LATE_S = 5.0
# An idle connection that takes longer to prove that it is alive is replaced.
_ALIVE_S = 2.0
# How often SQLite looks at the clock, in steps of its virtual machine: some milliseconds' worth.
_CLOCK_STEPS = 100_000
# The execution option that says how a SQLite transaction begins.
SQLITE_BEGIN = "sqlite_begin"


@dataclass(frozen=True)
class Options:
    """How an app uses its database. Pool options in the URL come before those given here."""

    application_name: str = "bootstrapd"
    pool_size: int = 5
    max_overflow: int = 10
    pool_timeout_s: float = 30.0
    # A connection older than this is replaced by a new one; -1 is never.
    pool_recycle_s: int = -1
    # A connection that was idle for so long is ended by PostgreSQL (from 14 on), but for `pool_min`
    # of them; 0 is never.
    idle_timeout_s: float = 0.0
    pool_min: int = 0
    connect_timeout_s: float = 5.0
    query_timeout_s: float = 30.0


def make(where: target.Target, options: Options) -> sa.Engine:
    """An engine for `where`, which connects when it is first used.

    A SQLite file that is not there is not made: that is the migrations' part. One whose rows have
    moved elsewhere is not opened: to connect raises IdentityError. In memory all share one
    connection. Raises SettingsError for pool options in the URL that make no sense.
    """
    pool: dict[str, Any] = {
        "pool_size": options.pool_size,
        "max_overflow": options.max_overflow,
        "pool_timeout": options.pool_timeout_s,
        "pool_recycle": options.pool_recycle_s,
        **_pool_options(where),
    }
    # The values of a statement are the users' data: they do not belong in errors and logs.
    pool["hide_parameters"] = True
    pool["json_serializer"] = models.write_json
    return _postgres(where, options, pool) if where.is_postgres else _sqlite(where, options, pool)


# -- PostgreSQL ------------------------------------------------------------------------------------


def _postgres(where: target.Target, options: Options, pool: dict[str, Any]) -> sa.Engine:
    arguments = {
        "application_name": options.application_name,
        "connect_timeout": str(math.ceil(options.connect_timeout_s)),
        # Prepared statements are lost behind a pooler in transaction mode.
        "prepare_threshold": None,
        **where.conninfo(),
    }
    # The last connection to come back goes out first: so those that are too many stay idle.
    pool = {"pool_pre_ping": True, "pool_use_lifo": options.idle_timeout_s > 0, **pool}
    engine = sa.create_engine("postgresql+psycopg://", connect_args=arguments, **pool)
    # As startup options these would be refused by a pooler.
    session = {
        "TimeZone": "UTC",
        "statement_timeout": str(math.ceil(options.query_timeout_s * 1000)),
    }
    given = where.query.get("options", "").lower()
    wanted = [(name, value) for name, value in session.items() if name.lower() not in given]
    leaving = [*wanted, ("idle_session_timeout", str(math.ceil(options.idle_timeout_s * 1000)))]
    staying: weakref.WeakSet[Bounded] = weakref.WeakSet()
    one_at_a_time = threading.Lock()

    def stays(connection: Bounded) -> bool:
        """Whether a new connection may be idle for ever."""
        if not options.idle_timeout_s or connection.info.server_version < 140000:
            return True
        with one_at_a_time:
            if sum(not other.closed for other in staying) < options.pool_min:
                staying.add(connection)
            return connection in staying

    @event.listens_for(engine, "do_connect")
    def connect(_d: object, _r: object, args: Any, keywords: Any) -> Bounded:
        connection = Bounded.connect(*args, **keywords)
        connection.limit_s = options.connect_timeout_s
        return connection

    @event.listens_for(engine, "connect")
    def connected(connection: Bounded, _: object) -> None:
        connection.autocommit = True
        for name, value in wanted if stays(connection) else leaving:
            connection.execute("select pg_catalog.set_config(%s, %s, false)", [name, value])
        connection.autocommit = False

    @event.listens_for(engine, "checkout")
    def lent(connection: Bounded, _r: object, _p: object) -> None:
        connection.limit_s = options.query_timeout_s + _LATE_S

    @event.listens_for(engine, "checkin")
    def returned(connection: Bounded | None, _: object) -> None:
        if connection is not None:
            connection.limit_s = _ALIVE_S

    @event.listens_for(engine, "handle_error")
    def failed(context: Any) -> None:
        # A failed connect counts as a lost connection; and where the server has become a standby,
        # a new connection may lead to the primary.
        if context.connection is None or sqlstate(context.original_exception) == "25006":
            context.is_disconnect = True

    return engine


class Bounded(psycopg.Connection[Any]):
    """A connection that gives up when the server is silent for `limit_s`.

    The server's own timeouts do not help where the network or the whole machine stands still: a
    thread would wait for ever.
    """

    limit_s: float = math.inf

    def wait(self, gen: PQGen[Any], *args: Any, **keywords: Any) -> Any:
        """Wait as psycopg does, with a deadline; past it the connection is closed."""
        return super().wait(self._until(time.monotonic() + self.limit_s, gen), *args, **keywords)

    def _until(self, deadline_s: float, gen: PQGen[Any]) -> Generator[Any, Any, Any]:
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                # Several times a second psycopg says that nothing has come.
                if not ready and time.monotonic() > deadline_s:
                    self.close()
                    raise psycopg.OperationalError(f"no answer for {self.limit_s:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value


def sqlstate(error: BaseException | None) -> str | None:
    """The SQLSTATE that PostgreSQL gave; None where there is none, as on SQLite."""
    origin = getattr(error, "orig", None) or error
    return getattr(origin, "sqlstate", None)


# -- SQLite ----------------------------------------------------------------------------------------


class _Clocked(sqlite3.Connection):
    """A connection that ends a statement which runs past `deadline_s`."""

    deadline_s: float = math.inf

    def is_late(self) -> bool:
        return time.monotonic() > self.deadline_s


def _sqlite(where: target.Target, options: Options, pool: dict[str, Any]) -> sa.Engine:
    path = where.path
    location = ":memory:" if path is None else f"file:{quote(str(path))}?mode=rw"
    if path is None:
        pool |= {"pool_size": 1, "max_overflow": 0}

    def connect() -> _Clocked:
        connection = sqlite3.connect(
            location,
            uri=path is not None,
            timeout=BUSY_TIMEOUT_S,
            # Python's driver begins transactions by rules of its own; here SQLAlchemy does.
            isolation_level=None,
            check_same_thread=False,
            factory=_Clocked,
        )
        connection.set_progress_handler(connection.is_late, _CLOCK_STEPS)
        connection.execute("pragma foreign_keys = on")
        if path is not None:
            try:
                fence.refuse(connection, path)
                connection.execute("pragma journal_mode = wal")
            except BaseException:
                connection.close()
                raise
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool, **pool)

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        how = connection.get_execution_options().get(SQLITE_BEGIN, "")
        connection.exec_driver_sql(f"BEGIN {how}")

    @event.listens_for(engine, "before_cursor_execute")
    def start_clock(_c: object, cursor: Any, *_: object) -> None:
        cursor.connection.deadline_s = time.monotonic() + options.query_timeout_s

    if path is not None:
        _follow_file(engine, path)
    return engine


def _follow_file(engine: sa.Engine, path: Path) -> None:
    """Leave a file that was moved away or replaced: what is written to it would be lost."""

    @event.listens_for(engine, "connect")
    def connected(_: object, record: Any) -> None:
        record.info["file"] = _file(path)

    @event.listens_for(engine, "checkout")
    def lent(_c: object, record: Any, _p: object) -> None:
        if record.info.get("file") != _file(path):
            raise sa.exc.DisconnectionError(f"{path} is another file now")


def _file(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


# -- pool options of the URL -----------------------------------------------------------------------

_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_POOL_READERS: dict[str, Callable[[str], Any]] = {
    "pool_size": int,
    "max_overflow": int,
    "pool_timeout": float,
    "pool_recycle": int,
    "pool_pre_ping": lambda text: _TRUTH[text.lower()],
}


def _pool_options(where: target.Target) -> dict[str, Any]:
    options = {}
    for name, text in where.pool.items():
        try:
            options[name] = _POOL_READERS[name](text)
        except (ValueError, KeyError):
            wanted = "true or false" if name == "pool_pre_ping" else "a number"
            raise SettingsError(
                f"{name} in the database URL: wanted {wanted}, found {text!r}"
            ) from None
    return options

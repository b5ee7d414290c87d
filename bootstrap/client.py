"""The database client of the apps: connect, query, transaction, health check, disconnect."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import orm

from bootstrap import backoff, target
from bootstrap import engine as engines
from bootstrap.errors import IdentityError

T = TypeVar("T")
Values = Mapping[str, Any]
Statement = str | sa.Executable

# serialization_failure and deadlock_detected: the server has rolled back, and the same work may
# pass the next time.
PASSING = ("40001", "40P01")
# A request that waits longer than this for a database that is away is better told so.
_RETRY_WITHIN_S = 5.0
_FIRST_SLEEP_S = 0.1
_LONGEST_SLEEP_S = 1.0


class CommitLostError(sa.exc.SQLAlchemyError):
    """The connection was lost during COMMIT: nobody knows whether the work took effect."""


class Client:
    """One app's pooled road to its database.

    Work is tried again, up to `tries` times in all, after a serialization failure, a deadlock or a
    lost connection; the first time after `retry_delay_s`, of which up to half is taken off at
    random. Errors are SQLAlchemy's, with the driver's as their cause; IdentityError where a SQLite
    file's rows have moved to another database.
    """

    def __init__(
        self,
        where: target.Target,
        options: engines.Options | None = None,
        *,
        tries: int = 3,
        retry_delay_s: float = _FIRST_SLEEP_S,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.target = where
        self.engine = engines.make(where, options or engines.Options())
        # SQLite: who will write takes the write lock first and waits for it; taken in the middle it
        # could not be waited for.
        self._writing = self.engine.execution_options(**{engines.SQLITE_BEGIN: "IMMEDIATE"})
        self._tries = tries
        self._retry_delay_s = retry_delay_s
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()

    def connect(self) -> None:
        """Prove that the database answers."""
        self.query("SELECT 1")

    def disconnect(self) -> None:
        """Close the pooled connections, and those in use when they are given back."""
        self.engine.dispose()

    def query(self, statement: Statement, values: Values | None = None) -> list[dict[str, Any]]:
        """The rows of one statement, which is committed. Text names its values as `:name`."""

        def work(session: orm.Session) -> list[dict[str, Any]]:
            result = _executed(session, statement, values)
            return [dict(row) for row in result.mappings()] if result.returns_rows else []

        return self._run(work, self.engine)

    def query_one(
        self, statement: Statement, values: Values | None = None
    ) -> dict[str, Any] | None:
        """The first row of one statement, or None."""
        rows = self.query(statement, values)
        return rows[0] if rows else None

    def execute(self, statement: Statement, values: Values | None = None) -> int:
        """How many rows one statement changed; it is committed."""

        return self._run(
            lambda session: _executed(session, statement, values).rowcount, self.engine
        )

    def transaction(self, work: Callable[[orm.Session], T]) -> T:
        """What `work` returns, all of it committed or nothing.

        `work` may be called more than once, each time in a new session and transaction.
        """
        return self._run(work, self._writing)

    def read(self, work: Callable[[orm.Session], T]) -> T:
        """What `work` returns, of a transaction that is rolled back."""
        return self._run(work, self.engine, keep=False)

    def health_check(self) -> bool:
        """Whether the database answers; never raises."""
        try:
            self.connect()
        except (sa.exc.SQLAlchemyError, IdentityError):
            return False
        return True

    def _run(self, work: Callable[[orm.Session], T], engine: sa.Engine, *, keep: bool = True) -> T:
        give_up_s = time.monotonic() + max(_RETRY_WITHIN_S, self._tries * self._retry_delay_s)

        def once() -> T:
            with orm.Session(engine, expire_on_commit=False) as session:
                result = work(session)
                if keep:
                    session.flush()
                    _commit(session)
                return result

        policy = backoff.retrying(
            tries=self._tries,
            first_s=self._retry_delay_s,
            cap_s=max(_LONGEST_SLEEP_S, self._retry_delay_s),
            retry_on=lambda error: is_passing(error) and time.monotonic() < give_up_s,
            sleep=self._sleep,
        )
        return policy(once)


class Tables:
    """What gives an app its tables over one client, and is closed with it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.client.disconnect()


def is_passing(error: BaseException) -> bool:
    """Whether the same work may succeed when it is tried again at once."""
    return isinstance(error, sa.exc.DBAPIError) and (
        error.connection_invalidated or engines.sqlstate(error) in PASSING
    )


def _commit(session: orm.Session) -> None:
    try:
        session.commit()
    except sa.exc.DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise CommitLostError(
            "the connection was lost during COMMIT; look whether the change is there before doing "
            "it again"
        ) from error


def _executed(
    session: orm.Session, statement: Statement, values: Values | None
) -> sa.CursorResult[Any]:
    prepared = sa.text(statement) if isinstance(statement, str) else statement
    return cast(sa.CursorResult[Any], session.execute(prepared, values))

"""libpq with a deadline, and with the SQLSTATE of a login that failed.

psycopg's own `connect` waits 2 s a host at least, knows no time limit for the first query, and its
error says nothing but the server's text, in the server's language.
"""

import os
import re
import selectors
import sys
import time
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import conninfo, pq

_ERROR_CODE = re.compile(rb'\tErrorResponse\t.*? C "(\w{5})"')

Row = tuple[str | None, ...]


class Error(Exception):
    """No connection, or no answer: libpq's message, and the server's SQLSTATE where it is known."""

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate


class SilentError(Error):
    """Time was up; `accepted` says whether somebody had taken the connection."""

    def __init__(self, accepted: bool) -> None:
        super().__init__(
            "the connection was accepted, but no answer came" if accepted else "no answer came"
        )
        self.accepted = accepted


def places(params: Mapping[str, str]) -> list[dict[str, Any]]:
    """`params` once for each address of each host, in the order to try; may block in the resolver.

    Raises Error where no host has an address.
    """
    try:
        return conninfo.conninfo_attempts(dict(params))
    except psycopg.Error as error:
        raise Error(str(error)) from None


def connect(
    params: Mapping[str, Any], deadline_s: float, *, traced: bool = False
) -> "psycopg.Connection[tuple[Any, ...]]":
    """A connection in autocommit mode to the one address in `params`, by a monotonic deadline.

    A `traced` login that the server refuses raises Error with its SQLSTATE: on Linux always, with a
    libpq older than 18 only from the password on. Tracing leaks about a kilobyte, since psycopg
    never closes the stream that it makes for it.
    """
    try:
        keywords = conninfo.make_conninfo(**params)
    except psycopg.Error as error:
        raise Error(str(error)) from None
    pgconn = pq.PGconn.connect_start(keywords.encode())
    try:
        if traced and sys.platform == "linux":
            _log_in_traced(pgconn, deadline_s)
        else:
            _log_in(pgconn, deadline_s)
    except BaseException:
        pgconn.finish()
        raise
    pgconn.nonblocking = 1
    connection = psycopg.Connection(pgconn)
    connection.autocommit = True
    return connection


def ask(connection: "psycopg.Connection[Any]", query: str, deadline_s: float) -> Row:
    """The first row of a query's result as text, by a monotonic deadline.

    Raises Error; the connection is of no use then.
    """
    pgconn = connection.pgconn
    try:
        pgconn.send_query(query.encode())
        while pgconn.flush():
            _await(pgconn.socket, selectors.EVENT_WRITE, deadline_s)
        result = None
        while True:
            while pgconn.is_busy():
                _await(pgconn.socket, selectors.EVENT_READ, deadline_s)
                pgconn.consume_input()
            following = pgconn.get_result()
            if following is None:
                break
            result = following
    except TimeoutError:
        raise SilentError(accepted=True) from None
    except psycopg.OperationalError as error:
        raise Error(str(error)) from None
    if result is None or result.status != pq.ExecStatus.TUPLES_OK:
        code = result.error_field(pq.DiagnosticField.SQLSTATE) if result else None
        message = result.get_error_message() if result else pgconn.get_error_message()
        raise Error(message, code.decode() if code else None)
    values = (result.get_value(0, column) for column in range(result.nfields))
    return tuple(None if value is None else value.decode() for value in values)


def _log_in_traced(pgconn: pq.abc.PGconn, deadline_s: float) -> None:
    # The trace shows the password where the server asks for it in plain: memory only.
    with os.fdopen(os.memfd_create("libpq"), "rb") as trace:
        try:
            _log_in(pgconn, deadline_s, trace.fileno())
        except Error as error:
            pgconn.untrace()
            trace.seek(0)
            codes = _ERROR_CODE.findall(trace.read())
            error.sqlstate = codes[-1].decode() if codes else None
            raise
        finally:
            pgconn.untrace()


def _log_in(pgconn: pq.abc.PGconn, deadline_s: float, trace: int | None = None) -> None:
    events = {
        pq.PollingStatus.READING: selectors.EVENT_READ,
        pq.PollingStatus.WRITING: selectors.EVENT_WRITE,
    }
    while pgconn.status != pq.ConnStatus.BAD:
        status = pgconn.connect_poll()
        if status == pq.PollingStatus.OK:
            return
        if status == pq.PollingStatus.FAILED:
            break
        accepted = pgconn.status != pq.ConnStatus.STARTED
        if accepted and trace is not None:
            # Where nobody is there is nothing to trace, and nothing leaks.
            pgconn.trace(trace)
            trace = None
        try:
            _await(pgconn.socket, events[pq.PollingStatus(status)], deadline_s)
        except TimeoutError:
            raise SilentError(accepted) from None
    raise Error(pgconn.get_error_message())


def _await(descriptor: int, event: int, deadline_s: float) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, event)
        if not selector.select(max(deadline_s - time.monotonic(), 0)):
            raise TimeoutError

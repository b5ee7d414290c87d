"""PostgreSQL's own client library, spoken to directly: connections with a deadline, and plain SQL.

Every start of a container pays for this module, and mostly it asks two questions. psycopg takes
five times as long to import as this takes to connect; its `connect` waits 2 s a host at least,
knows no time limit for the first query, and its error has no SQLSTATE. The library is the one that
comes with psycopg's binary wheel, else the system's. See https://www.postgresql.org/docs/18/libpq.html
"""

import contextlib
import ctypes
import json
import re
import select
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bootstrap.errors import SettingsError

_BAD = 1
_POLL_FAILED, _POLL_READING, _POLL_WRITING, _POLL_OK = 0, 1, 2, 3
_STARTED = 2
_EMPTY_QUERY, _COMMAND_OK, _TUPLES_OK, _COPY_OUT, _COPY_IN = 0, 1, 2, 3, 4
_VERBOSE = 2
_SQLSTATE, _PRIMARY, _DETAIL = (ord(letter) for letter in "CMD")

# With verbose errors the code stands between the severity, in any language, and the text.
_CODE = r"(?P<severity>\S+:  )(?P<code>[0-9A-Z]{5}): "
_LOCATION = r"(?m)^LOCATION:  .*\n?"
# What needs no looking up, for which Python would need its own library of sockets.
_ADDRESS = r"\d+(?:\.\d+){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]+"
# What else than text comes back, by the object id of its type (pg_type.dat).
_READERS: Mapping[int, Callable[[str], Any]] = {
    16: lambda text: text == "t",
    20: int,
    21: int,
    23: int,
    26: int,
    114: json.loads,
    3802: json.loads,
}

Row = tuple[Any, ...]


# A server that has answered before answers within this time.
REACH_S = 10.0


class Error(Exception):
    """No connection, or no result: libpq's message, and the server's SQLSTATE if it has one."""

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


class Connection:
    """One session, in autocommit mode; for one thread at a time."""

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    @property
    def closed(self) -> bool:
        """Whether it was closed here or is known to be broken."""
        return self._handle is None or _pq().PQstatus(self._handle) == _BAD

    @property
    def backend_pid(self) -> int:
        """The server process, as the server - or a pooler - said at the login."""
        return int(_pq().PQbackendPID(self._handle))

    @property
    def server_version(self) -> int:
        """180004 is 18.4."""
        return int(_pq().PQserverVersion(self._handle))

    def fileno(self) -> int:
        """The socket."""
        return int(_pq().PQsocket(self._handle))

    def execute(self, query: str, *values: object, deadline_s: float | None = None) -> list[Row]:
        """The rows of a query, whose `$1` and so on are `values`; by a monotonic deadline if given.

        Without values it may be several statements; the last one's rows count then. Booleans,
        integers and JSON come as such, all else as text. Raises Error; SilentError leaves the
        connection of no use.
        """
        if self._handle is None:
            raise Error("the connection is closed")
        pq = _pq()
        if values:
            texts = [_sent(value) for value in values]
            array = (ctypes.c_char_p * len(texts))(*texts)
            sent = pq.PQsendQueryParams(
                self._handle, query.encode(), len(texts), None, array, None, None, 0
            )
        else:
            sent = pq.PQsendQuery(self._handle, query.encode())
        if not sent:
            raise self._error()
        self._flush(deadline_s)
        rows: list[Row] = []
        failure: Error | None = None
        while (result := self._result(deadline_s)) is not None:
            try:
                status = pq.PQresultStatus(result)
                if status == _TUPLES_OK:
                    rows = _rows(result)
                elif status not in (_COMMAND_OK, _EMPTY_QUERY):
                    failure = _failed(result)
            finally:
                pq.PQclear(result)
        if failure is not None:
            raise failure
        return rows

    def copy_in(self, statement: str) -> None:
        """Begin a COPY ... FROM STDIN; `put` sends its bytes, `end_copy` ends it."""
        self._begin_copy(statement, _COPY_IN)

    def put(self, data: bytes) -> None:
        """Send bytes of the COPY that is under way; raises Error when the server has refused it."""
        while not (sent := _pq().PQputCopyData(self._handle, data, len(data))):
            self._await(_POLL_WRITING, None)
        if sent < 0:
            raise self._error()
        # What cannot be sent now stays in libpq's memory, which is to stay small.
        self._flush(None)

    def end_copy(self, reason: str | None = None) -> None:
        """All is sent; with a `reason` the server is to forget it. Raises Error if it refuses."""
        why = reason.encode() if reason is not None else None
        while not (sent := _pq().PQputCopyEnd(self._handle, why)):
            self._await(_POLL_WRITING, None)
        if sent < 0:
            raise self._error()
        self._flush(None)
        failure = self._drain()
        if failure is not None and reason is None:
            raise failure

    def copy_out(self, statement: str, size: int) -> Iterator[list[bytes]]:
        """The lines of a COPY ... TO STDOUT, some `size` bytes at a time."""
        self._begin_copy(statement, _COPY_OUT)
        handle, place = _Handle(self._handle), _Handle()
        found, without_waiting = ctypes.byref(place), _Int(1)
        # To let other threads run around each line would take longer than the line.
        quick = ctypes.PyDLL(_pq()._name)
        get, free, line = quick.PQgetCopyData, quick.PQfreemem, _bytes_of
        free.restype = None
        lines: list[bytes] = []
        held = 0
        while (length := get(handle, found, without_waiting)) >= 0:
            if not length:
                self._await(_POLL_READING, None)
                if not _pq().PQconsumeInput(self._handle):
                    raise self._error()
                continue
            lines.append(line(place, length))
            free(place)
            held += length
            if held >= size:
                yield lines
                lines, held = [], 0
        if length < -1:
            raise self._error()
        failure = self._drain()
        if failure is not None:
            raise failure
        yield lines

    def _begin_copy(self, statement: str, wanted: int) -> None:
        if self._handle is None:
            raise Error("the connection is closed")
        if not _pq().PQsendQuery(self._handle, statement.encode()):
            raise self._error()
        self._flush(None)
        result = self._result(None)
        if result is None:
            raise self._error()
        try:
            if _pq().PQresultStatus(result) == wanted:
                return
            failure = _failed(result)
        finally:
            _pq().PQclear(result)
        self._drain()
        raise failure

    def _drain(self) -> Error | None:
        """Read what is left of the results; the first failure among them."""
        failure: Error | None = None
        while (result := self._result(None)) is not None:
            try:
                if _pq().PQresultStatus(result) not in (_COMMAND_OK, _TUPLES_OK):
                    failure = failure or _failed(result)
            finally:
                _pq().PQclear(result)
        return failure

    def row(self, query: str, *values: object) -> Row:
        """The one row of a query that has one."""
        (row,) = self.execute(query, *values)
        return row

    def hears(self, timeout_s: float) -> bool:
        """Whether the server says something unasked within that time; the next query reads it.

        That is a notification, or the end of the connection, which then is the query's error.
        """
        return _ready(self.fileno(), _POLL_READING, time.monotonic() + timeout_s)

    def close(self) -> None:
        """End the session."""
        handle, self._handle = self._handle, None
        if handle is not None:
            _pq().PQfinish(handle)

    def _flush(self, deadline_s: float | None) -> None:
        while (left := _pq().PQflush(self._handle)) == 1:
            self._await(_POLL_WRITING, deadline_s)
        if left:
            raise self._error()

    def _result(self, deadline_s: float | None) -> int | None:
        while _pq().PQisBusy(self._handle):
            self._await(_POLL_READING, deadline_s)
            if not _pq().PQconsumeInput(self._handle):
                raise self._error()
        result: int | None = _pq().PQgetResult(self._handle)
        return result

    def _await(self, direction: int, deadline_s: float | None) -> None:
        if not _ready(self.fileno(), direction, deadline_s):
            raise SilentError(accepted=True)

    def _error(self) -> Error:
        return _login_error(self._handle)


def connect(params: Mapping[str, str], deadline_s: float) -> Connection:
    """A connection to the one address in `params`, libpq's keywords, by a monotonic deadline.

    Raises Error, with its SQLSTATE where the server refused the login, and SilentError.
    """
    pq = _pq()
    words = {"client_encoding": "UTF8", **params}
    keys = (ctypes.c_char_p * (len(words) + 1))(*(word.encode() for word in words), None)
    texts = (ctypes.c_char_p * (len(words) + 1))(*(text.encode() for text in words.values()), None)
    handle = pq.PQconnectStartParams(keys, texts, 0)
    try:
        pq.PQsetNoticeProcessor(handle, _QUIET, None)
        pq.PQsetErrorVerbosity(handle, _VERBOSE)
        _log_in(handle, deadline_s)
        pq.PQsetnonblocking(handle, 1)
    except BaseException:
        pq.PQfinish(handle)
        raise
    return Connection(handle)


def reach(params: Mapping[str, str], timeout_s: float = REACH_S) -> Connection:
    """A connection to a server that is known to be there; of several addresses to the first.

    Raises Error where it cannot be had within `timeout_s` seconds.
    """
    place, *_ = places(params)
    return connect(place, time.monotonic() + timeout_s)


def places(params: Mapping[str, str]) -> list[dict[str, str]]:
    """`params` once for each address of each host, in the order to try; may block in the resolver.

    Raises Error where no host has an address.
    """
    hosts = params.get("host", "").split(",")
    ports = params.get("port", "").split(",")
    ports += ports[-1:] * (len(hosts) - len(ports))
    found: list[dict[str, str]] = []
    failure: Error | None = None
    for host, port in zip(hosts, ports, strict=False):
        here = {**params, "host": host, "port": port}
        here = {key: value for key, value in here.items() if value}
        if not host or host.startswith(("/", "@")) or "hostaddr" in params:
            # A socket, or what libpq finds in its own environment.
            found.append(here)
            continue
        if re.fullmatch(_ADDRESS, host):
            found.append({**here, "hostaddr": host})
            continue
        import socket

        try:
            known = socket.getaddrinfo(_resolved(host), port or 5432, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            failure = Error(f"failed to resolve host {host!r}: {error}")
            continue
        found += [{**here, "hostaddr": str(address[0])} for *_, address in known]
    if not found and failure is not None:
        raise failure
    return found


def _resolved(host: str) -> str | bytes:
    """A plain name as bytes: for a text, Python imports the tables of all scripts first."""
    return host.encode() if host.isascii() else host


def identifier(*names: str) -> str:
    """Names quoted for SQL, joined by dots."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def _log_in(handle: int, deadline_s: float) -> None:
    pq = _pq()
    while pq.PQstatus(handle) != _BAD:
        state = pq.PQconnectPoll(handle)
        if state == _POLL_OK:
            return
        if state == _POLL_FAILED:
            break
        accepted = pq.PQstatus(handle) != _STARTED
        if not _ready(pq.PQsocket(handle), state, deadline_s):
            raise SilentError(accepted)
    raise _login_error(handle)


def _login_error(handle: int | None) -> Error:
    message = re.sub(_LOCATION, "", _pq().PQerrorMessage(handle).decode(errors="replace")).rstrip()
    codes = [match["code"] for match in re.finditer(_CODE, message)]
    return Error(re.sub(_CODE, r"\g<severity>", message), codes[-1] if codes else None)


def _failed(result: int) -> Error:
    def field(code: int) -> str:
        text: bytes | None = _pq().PQresultErrorField(result, code)
        return text.decode(errors="replace") if text else ""

    message = field(_PRIMARY) or _pq().PQresultErrorMessage(result).decode(errors="replace").strip()
    detail = field(_DETAIL)
    return Error(f"{message} ({detail})" if detail else message, field(_SQLSTATE) or None)


def _rows(result: int) -> list[Row]:
    pq = _pq()
    columns = range(pq.PQnfields(result))
    readers = [_READERS.get(pq.PQftype(result, column), str) for column in columns]
    return [
        tuple(
            None
            if pq.PQgetisnull(result, row, column)
            else readers[column](pq.PQgetvalue(result, row, column).decode(errors="replace"))
            for column in columns
        )
        for row in range(pq.PQntuples(result))
    ]


def _sent(value: object) -> bytes | None:
    if value is None:
        return None
    return str(value).lower().encode() if isinstance(value, bool) else str(value).encode()


def _ready(descriptor: int, direction: int, deadline_s: float | None) -> bool:
    """Wait until the socket can be read from or written to; False when time is up."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN if direction == _POLL_READING else select.POLLOUT)
    if deadline_s is None:
        return bool(poll.poll())
    return bool(poll.poll(max(deadline_s - time.monotonic(), 0) * 1000))


# -- the library ----------------------------------------------------------------------------------

_Handle, _Text, _Int = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_NoticeProcessor = ctypes.CFUNCTYPE(None, _Handle, _Text)
_bytes_of = ctypes.pythonapi.PyBytes_FromStringAndSize
_bytes_of.restype, _bytes_of.argtypes = ctypes.py_object, (_Handle, ctypes.c_ssize_t)
# Notices would go to stderr. The object must outlive every connection.
_QUIET = _NoticeProcessor(lambda *_: None)
_SIGNATURES: Mapping[str, tuple[Any, tuple[Any, ...]]] = {
    "PQbackendPID": (_Int, (_Handle,)),
    "PQclear": (None, (_Handle,)),
    "PQconnectPoll": (_Int, (_Handle,)),
    "PQconnectStartParams": (_Handle, (ctypes.POINTER(_Text), ctypes.POINTER(_Text), _Int)),
    "PQconsumeInput": (_Int, (_Handle,)),
    "PQerrorMessage": (_Text, (_Handle,)),
    "PQfinish": (None, (_Handle,)),
    "PQflush": (_Int, (_Handle,)),
    "PQftype": (ctypes.c_uint, (_Handle, _Int)),
    "PQfreemem": (None, (_Handle,)),
    "PQgetCopyData": (_Int, (_Handle, ctypes.POINTER(_Handle), _Int)),
    "PQgetResult": (_Handle, (_Handle,)),
    "PQgetisnull": (_Int, (_Handle, _Int, _Int)),
    "PQgetvalue": (_Text, (_Handle, _Int, _Int)),
    "PQisBusy": (_Int, (_Handle,)),
    "PQnfields": (_Int, (_Handle,)),
    "PQntuples": (_Int, (_Handle,)),
    "PQputCopyData": (_Int, (_Handle, _Text, _Int)),
    "PQputCopyEnd": (_Int, (_Handle, _Text)),
    "PQresultErrorField": (_Text, (_Handle, _Int)),
    "PQresultErrorMessage": (_Text, (_Handle,)),
    "PQresultStatus": (_Int, (_Handle,)),
    "PQsendQuery": (_Int, (_Handle, _Text)),
    "PQsendQueryParams": (
        _Int,
        (_Handle, _Text, _Int, _Handle, ctypes.POINTER(_Text), _Handle, _Handle, _Int),
    ),
    "PQserverVersion": (_Int, (_Handle,)),
    "PQsetErrorVerbosity": (_Int, (_Handle, _Int)),
    "PQsetNoticeProcessor": (_Handle, (_Handle, _NoticeProcessor, _Handle)),
    "PQsetnonblocking": (_Int, (_Handle, _Int)),
    "PQsocket": (_Int, (_Handle,)),
    "PQstatus": (_Int, (_Handle,)),
}

_loaded: ctypes.CDLL | None = None


def _pq() -> ctypes.CDLL:
    global _loaded
    if _loaded is None:
        _loaded = _load()
    return _loaded


def _load() -> ctypes.CDLL:
    for path in [*_bundled(), "libpq.so.5"]:
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        return library
    raise SettingsError(
        "cannot reach PostgreSQL: there is no libpq, neither psycopg's nor the system's; "
        "install psycopg[binary], or libpq5"
    )


def _bundled() -> list[Path]:
    """The library inside psycopg's binary wheel, whose name has a digest in it."""
    for folder in sys.path:
        place = Path(folder, "psycopg_binary.libs")
        with contextlib.suppress(OSError):
            found = [path for path in place.iterdir() if path.name.startswith("libpq-")]
            if found:
                return found
    return []

"""Is a Redis ready? Only a PONG after the login can tell, and there is none while it loads."""

import re
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, quote, unquote, urlsplit

from bootstrap import bounded, redact
from bootstrap.answer import Answer, ErrorClass, answer
from bootstrap.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

    from bootstrap import knock

_FORMS = "redis://host:port/number, rediss:// for TLS, or unix:///path?db=number"
# A password that was pasted as it is runs from the first ":" to the last "@".
_PASTED = r"(?s)(rediss?://[^:@/?#]*:)(.*[/?#].*)(@[^@]*)"
# How OpenSSL's errors begin and end in Python.
_SSL_FRAME = r"^\[.*?\] | \(_ssl\.c:\d+\)$"
_BY_TEXT: tuple[tuple[str, ErrorClass], ...] = (
    (r"^BUSY ", "busy"),
    (r"^DENIED ", "not_authorized"),
    (r"max number of clients", "too_many_connections"),
    (r"DB index", "missing_database"),
)


class Redis:
    """Probes a Redis server: ready on PONG, after AUTH and SELECT, when it is not loading.

    Raises SettingsError for a URL that cannot be read; no message holds the URL.
    """

    name: Literal["redis"] = "redis"

    def __init__(self, url: str, *, setting: str = "REDIS_URL") -> None:
        self.setting = setting
        self._url = re.sub(
            _PASTED, lambda found: found[1] + quote(found[2], safe="%") + found[3], url
        )
        try:
            parts = urlsplit(self._url)
            self._place = (parts.hostname or "localhost", parts.port or 6379)
        except ValueError:
            raise self._unreadable("host and port cannot be read") from None
        if parts.scheme not in ("redis", "rediss", "unix"):
            raise self._unreadable(f"found the scheme {parts.scheme!r}")
        self._tls = parts.scheme == "rediss"
        self._socket = unquote(parts.path) if parts.scheme == "unix" else None
        number = parse_qs(parts.query).get("db", ["" if self._socket else parts.path[1:]])[0] or "0"
        if not number.isdigit():
            raise self._unreadable(f"found {number!r} for the number of the database")
        self.identity = f"{self._socket or '{}:{}'.format(*self._place)}/{number}"
        self._user = unquote(parts.username or "") or "default"
        redact.remember(unquote(parts.password or ""), public=(self.identity, self._user))

    def probe(self, timeout_s: float) -> Answer:
        """Log in, choose the database, say PING."""
        # The rest is for finding out who it is that does not answer as Redis would.
        answer_s = timeout_s * 0.8
        try:
            found = bounded.within(answer_s, lambda: self._ask(answer_s))
        except TimeoutError:
            found = answer("timeout", f"no answer came in {timeout_s:.1f} s")
        if found.error_class in ("timeout", "closed") and not self._socket:
            return self._stranger(timeout_s - answer_s) or found
        return found

    def doors(self) -> "Sequence[knock.Door]":
        """Its port, or its socket."""
        from bootstrap import knock

        return [knock.Door(self._socket) if self._socket else knock.Door(*self._place)]

    def close(self) -> None:
        """Nothing is open between two probes."""

    def _ask(self, timeout_s: float) -> Answer:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        try:
            # RESP 2 asks for no right but that to PING.
            with redis.Redis.from_url(
                self._url,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            ) as client:
                client.ping()
        except redis.RedisError as error:
            return self._failed(error)
        except (TypeError, ValueError) as error:
            # How redis-py refuses an option in the URL's query.
            raise self._unreadable(redact.text(str(error))) from None
        return answer("none")

    def _failed(self, error: "redis.RedisError") -> Answer:
        # redis-py raises its own error while it handles the system's, which says more.
        if isinstance(error.__context__, TimeoutError):
            raise TimeoutError from error
        if isinstance(error.__context__, OSError):
            return _system_error(error.__context__)
        text = str(error)
        for pattern, error_class in _BY_TEXT:
            if re.search(pattern, text):
                return answer(error_class, text, user=self._user)
        return answer(_classify(error), text, user=self._user)

    def _stranger(self, timeout_s: float) -> Answer | None:
        from bootstrap import stranger

        other = stranger.protocol(*self._place, timeout_s)
        if other == "TLS" and not self._tls:
            return answer("tls", f"it speaks TLS, as rediss:// in {self.setting} would")
        if other == "Redis" and self._tls:
            return answer(
                "tls", f"it speaks Redis without TLS, as redis:// in {self.setting} would"
            )
        return (
            answer("not_redis", f"it speaks {other}") if other in ("HTTP", "PostgreSQL") else None
        )

    def _unreadable(self, found: str) -> SettingsError:
        return SettingsError(f"{self.setting}: wanted {_FORMS}; {found}")


def _classify(error: "redis.RedisError") -> ErrorClass:
    from redis import exceptions

    by_type: tuple[tuple[type[Exception], ErrorClass], ...] = (
        (exceptions.BusyLoadingError, "loading"),
        (exceptions.AuthenticationError, "authentication"),
        (exceptions.NoPermissionError, "not_authorized"),
        (exceptions.MasterDownError, "master_down"),
        (exceptions.InvalidResponse, "not_redis"),
        # What is left of these is "Connection closed by server".
        (exceptions.ConnectionError, "closed"),
    )
    return next((found for kind, found in by_type if isinstance(error, kind)), "server_error")


def _system_error(error: OSError) -> Answer:
    import socket
    import ssl

    by_type: tuple[tuple[type[OSError], ErrorClass], ...] = (
        (socket.gaierror, "dns"),
        (ConnectionRefusedError, "connection_refused"),
        (FileNotFoundError, "connection_refused"),
        (PermissionError, "permission"),
        (ConnectionError, "closed"),
        (ssl.SSLEOFError, "closed"),
        (ssl.SSLError, "tls"),
    )
    error_class: ErrorClass = "unreachable"
    for kind, found in by_type:
        if isinstance(error, kind):
            error_class = found
            break
    return answer(error_class, re.sub(_SSL_FRAME, "", error.strerror or str(error)))

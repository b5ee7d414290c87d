"""Is a PostgreSQL database ready? Only a query on it can tell."""

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from bootstrap import bounded
from bootstrap.answer import Answer, ErrorClass, answer
from bootstrap.errors import SettingsError
from bootstrap.target import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootstrap import knock, libpq

_BY_SQLSTATE: Mapping[str, ErrorClass] = {
    "28000": "not_authorized",
    "28P01": "authentication",
    "3D000": "missing_database",
    "42501": "not_authorized",
    "53300": "too_many_connections",
    "55000": "not_authorized",
    "57P01": "shutting_down",
    "57P02": "shutting_down",
    "57P03": "starting_up",
    "57P04": "missing_database",
}
# What no SQLSTATE tells: libpq's own sentences, which are not translated here, and PgBouncer's, to
# which every refusal is a protocol violation. The first match counts.
_BY_TEXT: tuple[tuple[str, ErrorClass], ...] = (
    (r"Connection refused|Is the server running locally", "connection_refused"),
    (
        r"failed to resolve host|could not translate host name|[Nn]ame or service not known"
        r"|name resolution|No address associated",
        "dns",
    ),
    (r"No route to host|Network is unreachable|Host is (?:down|unreachable)", "unreachable"),
    (r"timeout expired|timed out", "timeout"),
    (r"server.login|cannot connect to server|query_wait_timeout", "no_backend"),
    (r"no more connections|too many|connection slots", "too_many_connections"),
    (r"the database system is shutting", "shutting_down"),
    (r"the database system is|not yet accepting", "starting_up"),
    (r"no such database|database .* does not exist", "missing_database"),
    (r"Permission denied", "permission"),
    (r"pg_hba|permi(?:tted|ssion)", "not_authorized"),
    (r"standby mode|session is (?:not )?read-only", "standby"),
    (
        r"invalid response|unencrypted data after|expected authentication request"
        r"|unsupported frontend protocol|lost synchronization|invalid message",
        "not_postgres",
    ),
    (
        r"SYSCALL|unexpected eof|closed the connection|Connection reset|Broken pipe"
        r"|could not (?:receive|send)",
        "closed",
    ),
    (r"authentication|password|channel binding|no such user", "authentication"),
    (r"SSL|TLS|certificate|private key", "tls"),
)
_FAILED = r"(?m)^connection to server .*? failed: (.*)$"
# libpq puts two spaces after the severity of a server's message, in whatever language it is.
_SEVERITY = r"^\S+:  "
_DETAIL = r"(?m)^DETAIL:  (.*?)\.?$"
_UNUSABLE = r"could not match|invalid .*(?:value|option)"

_ROUND_TRIP = (
    "select pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')"
)


class Postgres:
    """Probes a PostgreSQL database.

    When it is ready, `connection` is open, in autocommit mode, and the caller's to use until
    `close` or the next probe; `facts` are `in_recovery`, `read_only` and `server_version` (180004
    is 18.4).
    """

    name: Literal["postgres"] = "postgres"

    def __init__(
        self, target: Target, require_primary: bool = False, *, setting: str = "DATABASE_URL"
    ) -> None:
        self.identity = target.identity
        self.setting = setting
        self.connection: libpq.Connection | None = None
        self._user = target.user
        self._require_primary = require_primary
        self._params = {
            "fallback_application_name": "bootstrapd",
            "keepalives_idle": "30",
            "keepalives_interval": "10",
            "keepalives_count": "3",
            **target.conninfo(),
        }
        self._places: Sequence[Mapping[str, str]] = ()
        self._closed = False

    def probe(self, timeout_s: float) -> Answer:
        """Ask each address of each host until one is ready; a refusal by one counts for all."""
        from bootstrap import libpq

        self._let_go()
        deadline_s = time.monotonic() + timeout_s
        try:
            places = bounded.within(timeout_s, lambda: libpq.places(self._params))
        except TimeoutError:
            return answer("dns", f"the resolver did not answer in {timeout_s:.1f} s")
        except libpq.Error as error:
            return self._failed(error)
        self._places = places
        best = answer("connection_refused")
        for number, place in enumerate(places):
            # A host that hangs must not use up the time of the next one.
            share_s = (deadline_s - time.monotonic()) / (len(places) - number)
            found = self._ask(place, max(share_s, 0))
            if found.state != "not_yet":
                return found
            # Of several causes the one that tells is that of an address where somebody is.
            if best.error_class == "connection_refused":
                best = found
        return best

    def doors(self) -> "Sequence[knock.Door]":
        """The addresses that the last probe asked."""
        return [door for place in self._places if (door := _door(place)) is not None]

    def close(self) -> None:
        """Close the connection."""
        self._closed = True
        self._let_go()

    def _let_go(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    def _ask(self, place: Mapping[str, Any], share_s: float) -> Answer:
        from bootstrap import libpq

        # The rest is for finding out who it is that takes connections and says nothing.
        deadline_s = time.monotonic() + share_s * 0.9
        try:
            connection = libpq.connect(place, deadline_s)
            try:
                ((recovery, read_only),) = connection.execute(_ROUND_TRIP, deadline_s=deadline_s)
            except BaseException:
                connection.close()
                raise
        except libpq.SilentError as error:
            if error.accepted and (other := _stranger(place, share_s * 0.1)):
                return answer("not_postgres", f"it speaks {other}")
            return answer("timeout", f"{error} in {share_s:.1f} s")
        except libpq.Error as error:
            return self._failed(error)
        if recovery and self._require_primary:
            connection.close()
            return answer("standby", "it is a standby, and a primary is required")
        ready = answer(
            "none",
            in_recovery=recovery,
            read_only=read_only == "on",
            server_version=connection.server_version,
        )
        self.connection = connection
        if self._closed:
            self._let_go()
        return ready

    def _failed(self, error: "libpq.Error") -> Answer:
        cause = re.sub(_SEVERITY, "", _cause(error.message))
        if error.sqlstate is None and re.match(_UNUSABLE, cause):
            raise SettingsError(f"{self.setting}: {cause}")
        detail = re.search(_DETAIL, error.message)
        more = f" ({detail[1]})" if detail else ""
        # The sentence around it says for which user, and the number says nothing.
        cause = re.sub(r' for user ".*"$|\[Errno -?\d+\] ', "", cause)
        return answer(_classify(error), cause + more, user=self._user)


def _classify(error: "libpq.Error") -> ErrorClass:
    code = error.sqlstate or ""
    if code == "57P03" and "shutting down" in error.message:
        return "shutting_down"
    if code in _BY_SQLSTATE:
        return _BY_SQLSTATE[code]
    if code.startswith("53"):
        return "out_of_resources"
    if not code or code.startswith("08"):
        for pattern, error_class in _BY_TEXT:
            if re.search(pattern, error.message):
                return error_class
    return "server_error"


def _cause(message: str) -> str:
    """The line in libpq's message that says why: the last one, as it may have tried twice."""
    causes = re.findall(_FAILED, message) or [message.partition("\n")[0]]
    return str(causes[-1]).removeprefix("consuming input failed: ")


def _door(place: Mapping[str, str]) -> "knock.Door | None":
    """Where this is; None where libpq alone knows, from its own environment."""
    from bootstrap import knock

    host, port = place.get("host", ""), int(place.get("port") or 5432)
    if "hostaddr" in place:
        return knock.Door(place["hostaddr"], port)
    return knock.Door(f"{host}/.s.PGSQL.{port}") if host.startswith("/") else None


def _stranger(place: Mapping[str, Any], timeout_s: float) -> str | None:
    if "hostaddr" not in place:
        return None
    from bootstrap import stranger

    other = stranger.protocol(place["hostaddr"], int(place.get("port") or 5432), timeout_s)
    return None if other == "PostgreSQL" else other

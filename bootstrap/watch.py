"""The watch of `serve`: a look at the database on an interval, never one a request."""

import socket
import threading
from dataclasses import dataclass
from typing import Any

from bootstrap import database, journal, opening, probe, revisions, settings
from bootstrap import plan as planning
from bootstrap.errors import BootstrapdError


@dataclass(frozen=True)
class Verdict:
    """What one look found. `slug` names the runbook of what is wrong, None where all is well."""

    reason: str
    slug: str | None = None
    sight: database.Sight | None = None
    plan: planning.Plan | None = None


class Watch:
    """Looks at one database again and again, over one connection where that lives on."""

    def __init__(
        self, loaded: settings.Loaded, record: journal.Journal, stop: threading.Event
    ) -> None:
        self._loaded = loaded
        self._record = record
        self._stop = stop
        # Kept for good: each prober learns from the refusals that it has seen.
        self._prober = opening.prober(loaded)
        redis_url = loaded.settings.redis_url
        self._redis = probe.Redis(redis_url) if redis_url else None
        self._base: database.Database | None = None
        self._looking: threading.Thread | None = None

    def look(self, identity: str | None) -> Verdict:
        """One look, which ends within the watch timeout whatever the server does.

        `identity` is the database that is expected; None expects nothing.
        """
        timeout_s = self._loaded.settings.watch_timeout_s
        if self._looking is not None and self._looking.is_alive():
            self._cut()
            self._looking.join(timeout_s)
        if self._looking is not None and self._looking.is_alive():
            return Verdict(f"{self._place} still does not answer", "timeout")
        verdicts: list[Verdict] = []
        self._looking = threading.Thread(
            target=lambda: verdicts.append(self._safely(identity, timeout_s)), daemon=True
        )
        self._looking.start()
        self._looking.join(timeout_s)
        if not verdicts:
            self._cut()
            return Verdict(f"{self._place} did not answer within {timeout_s:g} s", "timeout")
        return verdicts[0]

    def close(self) -> None:
        """Close all connections, for good."""
        self._let_go()
        self._prober.close()
        if self._redis is not None:
            self._redis.close()

    def _let_go(self) -> None:
        if self._base is not None:
            self._base.close()
            self._base = None

    @property
    def _place(self) -> str:
        return self._loaded.target.identity

    def _safely(self, identity: str | None, timeout_s: float) -> Verdict:
        try:
            had_connection = self._base is not None
            try:
                return self._verdict(identity, timeout_s)
            except BootstrapdError:
                raise
            except Exception:
                # A connection from before may have ended with a restart of the server.
                if not had_connection:
                    raise
                self._let_go()
                return self._verdict(identity, timeout_s)
        except BootstrapdError as error:
            return Verdict(error.message, error.slug)
        except Exception as error:
            self._let_go()
            return Verdict(f"{self._place}: {' '.join(str(error).split())}", "timeout")

    def _verdict(self, identity: str | None, timeout_s: float) -> Verdict:
        if self._redis is not None:
            answer = self._redis.probe(timeout_s)
            if answer.state != "ready":
                return Verdict(f"redis: {answer.detail}", _slug(answer))
        if self._base is None:
            answer = self._prober.probe(timeout_s)
            if answer.state != "ready":
                return Verdict(f"{self._place}: {answer.detail}", _slug(answer))
            self._base = opening.opened(self._loaded, self._prober)
        sight = self._base.look()
        if identity is not None and sight.identity != identity:
            found = f"database {sight.identity}" if sight.identity else "one without an identity"
            return Verdict(
                f"{self._place} is another database: expected {identity}, found {found}",
                "identity",
                sight,
            )
        known = self._graph()
        wanted = planning.make(self._loaded, known, sight, self._base, or_ahead=True)
        if wanted.pending:
            return Verdict(wanted.message, "migrate", sight, wanted)
        return Verdict(wanted.message, None, sight, wanted)

    def _graph(self) -> revisions.Graph:
        return planning.graph(self._loaded, self._record, self._stop)

    def _cut(self) -> None:
        """Shut the socket under a query that hangs: closing the connection would hang with it."""
        connection: Any = getattr(self._base, "connection", None)
        self._base = None
        if connection is None or connection.closed:
            return
        try:
            with socket.socket(fileno=socket.dup(connection.fileno())) as double:
                double.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def _slug(answer: probe.Answer) -> str:
    return "refused" if answer.state == "refused" else "timeout"

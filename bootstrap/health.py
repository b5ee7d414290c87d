"""Health over HTTP, answered from the journal alone: no request ever asks the database.

| path       | 200                                     | otherwise                              |
|------------|-----------------------------------------|----------------------------------------|
| `/livez`   | while this process answers              | never: a migration is not to be killed |
| `/readyz`  | the app may run on the database         | 503, with the reason                   |
| `/startupz`| once the bring-up has ended in ready    | 503, with the reason                   |
| `/healthz` | like `/readyz`, as health+json          | 503                                    |
| `/metrics` | always, for Prometheus (see metrics.py) |                                        |

`?verbose` on the first three lists every check. `/healthz` follows the draft
draft-inadarei-api-health-check-06 (https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06).
"""

import asyncio
import math
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bootstrap import __version__, checks, journal, listener, metrics, redact, report

Endpoint = Callable[[Request], Awaitable[Response]]


def app(record: journal.Journal) -> Starlette:
    """The health endpoints over this journal."""
    registry = metrics.registry(record)

    async def livez(request: Request) -> Response:
        return _answer(request, "livez", True, "ok", [checks.Check("process", "pass")])

    async def readyz(request: Request) -> Response:
        status = record.status
        reason = f"{status.phase}: {status.reason}"
        return _answer(request, "readyz", checks.ready(status), reason, checks.readiness(status))

    async def startupz(request: Request) -> Response:
        status = record.status
        done = checks.started(status)
        reason = "started" if done else f"{status.phase}: {status.reason}"
        return _answer(request, "startupz", done, reason, checks.startup(status))

    async def healthz(_: Request) -> Response:
        status = record.status
        state = checks.state(status)
        document = {
            "status": state,
            "version": __version__,
            "releaseId": status.release,
            "serviceId": status.app,
            "description": f"bring-up of app {status.app} on {status.target}",
            "notes": checks.notes(status),
            "checks": checks.components(status),
        }
        if state == "fail":
            document["output"] = status.reason
        return Response(
            report.dumps(document) + "\n",
            status_code=503 if state == "fail" else 200,
            media_type="application/health+json",
        )

    async def prometheus(request: Request) -> Response:
        body, form = metrics.exposition(registry, request.headers.get("accept", ""))
        return Response(body, media_type=form)

    def guarded(endpoint: Endpoint) -> Endpoint:
        # Starlette's own handler of all errors raises them once more, which cuts the connection.
        async def answer(request: Request) -> Response:
            try:
                return await endpoint(request)
            except Exception as error:
                message = f"cannot answer {request.url.path}: {error!r}"
                record.event("health_failed", message, level="error")
                return PlainTextResponse("cannot answer; the log says why\n", status_code=500)

        return answer

    endpoints = {
        "/livez": livez,
        "/readyz": readyz,
        "/startupz": startupz,
        "/healthz": healthz,
        "/metrics": prometheus,
    }
    made = Starlette(
        routes=[Route(path, guarded(endpoint)) for path, endpoint in endpoints.items()]
    )
    # A path with a slash too many is unknown, as any other.
    made.router.redirect_slashes = False
    return made


def _answer(
    request: Request, name: str, good: bool, reason: str, all_checks: Sequence[checks.Check]
) -> Response:
    lines = [checks.on_one_line(reason)]
    if "verbose" in request.query_params:
        lines = [*map(str, all_checks), f"{name} check {'passed' if good else 'failed'}"]
    return PlainTextResponse(redact.text("\n".join(lines)) + "\n", status_code=200 if good else 503)


class Server:
    """The endpoints on an address, served by a thread with an event loop of its own."""

    def __init__(self, record: journal.Journal, address: str) -> None:
        self._wanted = address
        config = uvicorn.Config(
            app(record),
            http="h11",
            ws="none",
            interface="asgi3",
            lifespan="off",
            # An answer of another moment is worth nothing.
            headers=[("Cache-Control", "no-store")],
            server_header=False,
            proxy_headers=False,
            access_log=False,
            # What goes wrong in an answer is in the journal; what strangers send is no news.
            log_config=None,
            log_level="critical",
            # Unset, uvicorn would read it from the environment.
            workers=1,
        )
        self._server = uvicorn.Server(config)
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """The address that is listened on, with the real port where 0 was asked for."""
        return self._wanted if self._listener is None else listener.address(self._listener)

    def start(self) -> None:
        """Listen. Raises SettingsError where that cannot be; returns when clients can connect."""
        self._listener = listener.listen(self._wanted, "health", "BOOTSTRAPD_HEALTH_ADDRESS")
        self._thread = threading.Thread(target=self._serve, name="health", daemon=True)
        self._thread.start()

    def stop(self, drain_s: float = 1.0) -> None:
        """Listen no more, and give answers that are under way `drain_s` seconds to end."""
        if self._thread is None:
            return
        self._server.config.timeout_graceful_shutdown = math.ceil(drain_s)
        self._server.should_exit = True
        self._thread.join(drain_s)
        self._server.force_exit = True
        self._thread.join(1.0)
        self._thread, self._listener = None, None

    def _serve(self) -> None:
        assert self._listener is not None
        asyncio.run(self._server.serve(sockets=[self._listener]))

"""godel's HTTP API: lists, rows by id, and creation, as JSON; what goes wrong is a JSON problem."""

import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bootstrap import engine
from bootstrap.apps.godel import bodies
from bootstrap.apps.godel.storage import Storage
from bootstrap.errors import IdentityError
from bootstrap.repository import Repository

PREFIXES = ("/api", "/api/v1")
DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
_MAX_OFFSET = 2**63 - 1
# undefined_table, undefined_column: the migrations have not run yet.
_NOT_MIGRATED = ("42P01", "42703")
_NOT_MIGRATED_SQLITE = re.compile(r"no such (table|column)|has no column named")

log = logging.getLogger("godel")


def application(storage: Storage) -> Starlette:
    """The API over `storage`, which is closed when the server ends."""
    collections = {
        "agents": Collection(storage.agents),
        "teams": Collection(storage.teams),
        "workflows": Collection(storage.workflows),
        "events": Collection(storage.events),
    }
    routes = [Route("/health", _Health(storage).answer)]
    for prefix in PREFIXES:
        for name, collection in collections.items():
            path = f"{prefix}/{name}"
            routes.append(Route(path, collection.answer, methods=["GET", "POST"]))
            routes.append(Route(f"{path}/{{id}}", collection.get, methods=["GET"]))
        routes.append(Route(f"{prefix}/team", collections["teams"].create, methods=["POST"]))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(storage.close)

    api = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={
            HTTPException: _http_problem,
            sa.exc.SQLAlchemyError: _database_problem,
            IdentityError: _moved,
            Exception: _unexpected,
        },
    )
    api.state.storage = storage
    return api


class Collection:
    """The resources of one table."""

    def __init__(self, repository: Repository[Any]) -> None:
        self.repository = repository
        # The document's: the table has more.
        columns = repository.table.columns
        self.fields = bodies.fields(columns[name] for name in repository.attributes)

    async def answer(self, request: Request) -> Response:
        """GET lists, POST creates."""
        if request.method == "POST":
            return await self.create(request)
        return await self.list(request)

    async def list(self, request: Request) -> Response:
        """A page of rows, newest first."""
        limit = _number(request, "limit", DEFAULT_LIMIT, MAX_LIMIT)
        offset = _number(request, "offset", 0, _MAX_OFFSET)
        rows = await run_in_threadpool(self.repository.list, limit=limit, offset=offset)
        return _answer([self._document(row) for row in rows])

    async def get(self, request: Request) -> Response:
        """One row."""
        id_ = request.path_params["id"]
        row = None
        if bodies.is_text(id_):
            row = await run_in_threadpool(self.repository.get, id_)
        if row is None:
            raise HTTPException(404, f"{self.repository.table.name} has no {id_!r:.100}")
        return _answer(self._document(row))

    async def create(self, request: Request) -> Response:
        """A new row."""
        try:
            values = bodies.read(await _body(request), self.fields)
        except bodies.InvalidBodyError as error:
            raise HTTPException(400 if error.malformed else 422, f"body: {error}") from None
        row = await run_in_threadpool(self.repository.create, values)
        prefix = request.url.path.rpartition("/")[0]
        location = f"{prefix}/{self.repository.table.name}/{row.id}"
        # Not 201: TECHSPEC-002, Success Criteria.
        return _answer(self._document(row), headers={"Location": location})

    def _document(self, row: Any) -> dict[str, Any]:
        return {name: getattr(row, key) for name, key in self.repository.attributes.items()}


class _Health:
    """Whether the API can answer: the database does, and it has the tables."""

    def __init__(self, storage: Storage) -> None:
        self.client = storage.client
        self.looks = []
        for each in (storage.agents, storage.teams, storage.workflows, storage.events):
            columns = (each.table.columns[name] for name in each.attributes)
            self.looks.append(sa.select(*columns).limit(0))

    async def answer(self, _: Request) -> Response:
        """200, or the problem."""
        await run_in_threadpool(self._look)
        return _answer({"status": "pass", "database": self.client.target.identity})

    def _look(self) -> None:
        for look in self.looks:
            self.client.query(look)


# -- what comes in ---------------------------------------------------------------------------------


def _number(request: Request, name: str, default: int, highest: int) -> int:
    text = request.query_params.get(name, str(default))
    if not re.fullmatch("[0-9]{1,19}", text) or int(text) > highest:
        raise HTTPException(
            400, f"{name}: wanted a number from 0 to {highest}, found {text!r:.100}"
        )
    return int(text)


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > bodies.MAX_BYTES:
                raise HTTPException(413, f"body: wanted at most {bodies.MAX_BYTES} bytes")
    except ClientDisconnect:
        raise HTTPException(400, "body: the client went away") from None
    return bytes(body)


# -- what goes out ---------------------------------------------------------------------------------


def _answer(
    document: object,
    status: int = 200,
    headers: dict[str, str] | None = None,
    media_type: str = "application/json",
) -> Response:
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Half a surrogate pair, which another program stored, becomes the JSON escape that it was.
    content = text.encode("utf-8", "backslashreplace")
    return Response(content, status, headers, media_type)


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return _answer(document, status, headers, "application/problem+json")


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code in (404, 405) and detail == HTTPStatus(error.status_code).phrase:
        detail = f"there is no {request.method} {request.url.path!r:.200}"
    return _problem(error.status_code, detail, dict(error.headers or {}))


async def _database_problem(request: Request, error: Exception) -> Response:
    identity = request.app.state.storage.client.target.identity
    state = engine.sqlstate(error)
    reason = " ".join(str(getattr(error, "orig", None) or error).split())
    if isinstance(error, sa.exc.DataError | sa.exc.IntegrityError):
        return _problem(422, f"the database {identity} cannot take these values: {reason}")
    if state in _NOT_MIGRATED or (state is None and _NOT_MIGRATED_SQLITE.search(reason)):
        detail = f"the database {identity} is not migrated; run: bootstrapd migrate --app godel"
    else:
        detail = f"the database {identity} is away; trying again may help"
    log.warning("%s %s: 503: %s: %s", request.method, request.url.path, detail, reason)
    return _problem(503, detail, {"Retry-After": "1"})


async def _moved(_: Request, error: Exception) -> Response:
    assert isinstance(error, IdentityError)
    log.error("%s", error.message)
    return _problem(503, error.message)


async def _unexpected(_: Request, __: Exception) -> Response:
    return _problem(500, "this is a defect of godel; its log has the traceback")

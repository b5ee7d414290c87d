"""The URL of the database as this project wants it, with a driver that is installed here."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from .project import Project

_DRIVERS = {
    "postgresql": ("psycopg", "psycopg2", "asyncpg", "pg8000"),
    "sqlite": ("pysqlite", "aiosqlite"),
}
_MODULES = {"pysqlite": "sqlite3"}
_ASYNC = ("asyncpg", "aiosqlite")
_ASYNC_ENV = re.compile(r"\b(create_async_engine|async_engine_from_config|AsyncEngine)\b")


def make(project: Project) -> sa.engine.URL:
    """The URL of the database that the parent works on."""
    request = project.request
    driver = _driver(project)
    name = f"{request['dialect']}+{driver}"
    if not project.postgres:
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


def synchronous(project: Project) -> sa.engine.URL:
    """The same with a driver that is not asynchronous."""
    driver = project.url.get_driver_name()
    if driver not in _ASYNC:
        return project.url
    dialect, query = project.request["dialect"], dict(project.url.query)
    if "ssl" in query:
        query["sslmode"] = query.pop("ssl")
    others = [each for each in _DRIVERS[dialect] if each not in _ASYNC]
    return project.url.set(drivername=f"{dialect}+{_installed(dialect, others)}", query=query)


def _driver(project: Project) -> str:
    """The driver that was asked for, else the project's own, else one that is installed."""
    if project.request["driver"]:
        return str(project.request["driver"])
    dialect = project.request["dialect"]
    candidates = list(_DRIVERS[dialect])
    own = re.match(rf"{dialect}\+(\w+)://", _own(project))
    if own:
        candidates.insert(0, own[1])
    elif _env_is_async(project):
        candidates = ["asyncpg" if project.postgres else "aiosqlite", *candidates]
    return _installed(dialect, candidates)


def _installed(dialect: str, candidates: Sequence[str]) -> str:
    for driver in candidates:
        if importlib.util.find_spec(_MODULES.get(driver, driver)):
            return driver
    raise ImportError(
        f"no {dialect} driver is installed for {sys.executable}: wanted one of "
        + ", ".join(candidates)
    )


def _own(project: Project) -> str:
    """What the project's file has for a URL; it may have placeholders that env.py fills in."""
    parser = project.config.file_config
    section = project.config.config_ini_section
    return str(parser.get(section, "sqlalchemy.url", raw=True, fallback=""))


def _env_is_async(project: Project) -> bool:
    try:
        with open(os.path.join(project.script.dir, "env.py"), encoding="utf-8") as file:
            return bool(_ASYNC_ENV.search(file.read()))
    except OSError:
        return False

"""The one database that a run works on, from a URL or from parts, with a printable identity."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, get_args
from urllib.parse import parse_qsl, quote, unquote, urlencode

from bootstrap import redact

SCHEMES = "sqlite:///path, postgresql://user@host/name (also postgres:// and postgresql+driver://)"
POOL_OPTIONS = ("pool_size", "max_overflow", "pool_timeout", "pool_recycle", "pool_pre_ping")

_URI_OPTIONS = ("uri", "mode", "cache", "immutable", "nolock", "psow", "vfs", "modeof")
_TAIL = re.compile(r"(?P<hosts>[^@/?#]*)(?:/(?P<name>[^?]*))?(?:\?(?P<query>.*))?", re.DOTALL)
_OPTION = re.compile(r"[\w.]+=")
_HOST = re.compile(r"(?P<host>\[[^\[\]@/]+\]|[^:\[\],\s]*)(?::(?P<port>[^:,]*))?")

Dialect = Literal["postgresql", "sqlite"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)


class Target(NamedTuple):
    """Where the database is and how to get in. Only `identity` may be printed."""

    dialect: Dialect
    identity: str
    driver: str = ""
    path: Path | None = None
    params: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    pool: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"<Target {self.identity}>"

    @property
    def is_postgres(self) -> bool:
        """Whether a server is behind this target rather than a file."""
        return self.dialect == "postgresql"

    @property
    def user(self) -> str:
        """The role that is logged in as; empty where libpq chooses."""
        return self.params.get("user", "")

    def conninfo(self) -> dict[str, str]:
        """libpq's keywords for this target, for `psycopg.connect(**...)`."""
        return {**self.params, **self.query}

    def url(self, driver: str = "") -> str:
        """A URL as SQLAlchemy reads it, secret included; `driver` overrides the one given."""
        driver = driver or self.driver
        scheme = self.dialect + (f"+{driver}" if driver else "")
        query = dict(self.query)
        if self.path is not None:
            path = str(self.path).replace("%", "%25").replace("?", "%3F")
            return f"{scheme}:///{path}{_encoded(query)}"
        if driver == "asyncpg" and "sslmode" in query:
            query["ssl"] = query.pop("sslmode")
        hosts = self.params.get("host", "").split(",")
        ports = self.params.get("port", "").split(",")
        authority = ""
        if self.user or "password" in self.params:
            password = self.params.get("password")
            authority = quote(self.user, safe="")
            authority += f":{quote(password, safe='')}@" if password is not None else "@"
        if len(hosts) > 1 or hosts[0].startswith("/"):
            query["host"] = ",".join(hosts)
            if any(ports):
                query["port"] = ",".join(ports)
        else:
            host = f"[{hosts[0]}]" if ":" in hosts[0] else hosts[0]
            authority += host + (f":{ports[0]}" if ports[0] else "")
        name = quote(self.params.get("dbname", ""), safe="")
        return f"{scheme}://{authority}/{name}{_encoded(query)}"


class InvalidURLError(ValueError):
    """A database URL cannot be read; the message never holds the URL."""


def parse(url: str, *, cwd: Path | None = None) -> Target:
    """The target that a URL names.

    SQLite paths are made absolute against `cwd` (default: the current folder), so that a child in
    another folder opens the same file. Raises InvalidURLError, whose message says what was wanted.
    """
    scheme, sep, rest = url.partition("://")
    if not sep:
        raise InvalidURLError(f"wanted a URL ({SCHEMES}), found a value without a scheme")
    dialect, _, driver = scheme.lower().partition("+")
    if dialect == "sqlite":
        return _sqlite(rest, driver, cwd or Path.cwd())
    if dialect in ("postgresql", "postgres"):
        return _postgres(rest, driver)
    raise InvalidURLError(f"wanted one of {SCHEMES}; found the scheme {scheme!r}")


def sqlite(path: str, *, cwd: Path | None = None) -> Target:
    """The target for a SQLite file given as a path."""
    if path == ":memory:":
        return Target("sqlite", identity=":memory:")
    # Path.expanduser raises where nobody has that name; then the folder may have it.
    home = os.path.expanduser(path)  # noqa: PTH111
    absolute = Path((cwd or Path.cwd()) / home).absolute()
    return Target("sqlite", identity=str(absolute), path=absolute)


def postgres(
    *,
    host: str,
    port: str,
    name: str,
    user: str,
    password: str | None = None,
    query: Mapping[str, str] | None = None,
) -> Target:
    """The target for a PostgreSQL server given by its parts."""
    params = {"host": host, "port": port, "dbname": name, "user": user, "password": password}
    present = {key: value for key, value in params.items() if value}
    redact.remember(password, public=(host, name, user))
    options = dict(query or {})
    pool = {key: options.pop(key) for key in POOL_OPTIONS if key in options}
    return Target(
        "postgresql", identity=_identity(present), params=present, query=options, pool=pool
    )


def _sqlite(rest: str, driver: str, cwd: Path) -> Target:
    location, _, query = rest.partition("?")
    options = dict(parse_qsl(query))
    for key in POOL_OPTIONS:
        options.pop(key, None)
    if location and not location.startswith("/"):
        raise InvalidURLError(
            "wanted three slashes before a SQLite path (sqlite:///file.db, or four for an absolute "
            "path), found two"
        )
    # A "file:" URI may carry options that only SQLite itself reads; the file is what matters here.
    path = unquote(location[1:]).removeprefix("file:")
    in_memory = not path or options.get("mode") == "memory"
    target = sqlite(":memory:" if in_memory else path, cwd=cwd)
    for key in _URI_OPTIONS:
        options.pop(key, None)
    return target._replace(driver=driver, query=options)


def _postgres(rest: str, driver: str) -> Target:
    user, password, tail = _split(rest)
    query = _query(tail["query"] or "")
    pool = {key: query.pop(key) for key in POOL_OPTIONS if key in query}
    hosts, ports = _hosts(tail["hosts"])
    params = {
        "host": query.pop("host", "") or ",".join(hosts),
        "port": query.pop("port", "") or (",".join(ports) if any(ports) else ""),
        "dbname": query.pop("dbname", "") or unquote(tail["name"] or ""),
        "user": query.pop("user", "") or unquote(user),
        "password": query.pop("password", "") or unquote(password),
    }
    params = {key: value for key, value in params.items() if value}
    if driver == "asyncpg" and "ssl" in query:
        mode = query.pop("ssl")
        query["sslmode"] = "require" if mode.lower() == "true" else mode
    public = tuple(params.get(key, "") for key in ("host", "dbname", "user"))
    redact.remember(params.get("password"), public=public)
    redact.remember(password, public=public)
    if not params.get("dbname"):
        raise InvalidURLError("wanted a database name after the host (/name), found none")
    return Target("postgresql", _identity(params), driver, params=params, query=query, pool=pool)


def _split(rest: str) -> tuple[str, str, re.Match[str]]:
    """User, password, and what follows them.

    Somebody may have pasted a password that holds "@", "/", "?" or "#" as they are. So the userinfo
    ends at the first "@" after which there is a sane rest, and there is none if the whole is sane.
    """
    plain = _TAIL.fullmatch(rest)
    if plain is not None and _sane(plain):
        return "", "", plain
    least = ("", "", plain) if plain is not None else None
    for found in re.finditer("@", rest):
        user, _, password = rest[: found.start()].partition(":")
        tail = _TAIL.fullmatch(rest, found.end())
        if tail is None or set(user) & set("/?#"):
            continue
        if _sane(tail):
            return user, password, tail
        least = user, password, tail
    if least is None:
        raise InvalidURLError(
            "wanted postgresql://user:password@host:port/name, found no such form"
        )
    return least


def _sane(tail: re.Match[str]) -> bool:
    """Whether this reads as hosts, a name and options, each as it should be."""
    query = tail["query"] or ""
    name = tail["name"] or ""
    return (
        all(_HOST.fullmatch(host) and _port(host) is not None for host in tail["hosts"].split(","))
        and "@" not in name
        and bool(name or "dbname=" in query)
        and all(_OPTION.match(option) for option in query.split("&") if option)
    )


def _port(entry: str) -> str | None:
    """The port in host:port, empty where there is none; None where it is no port."""
    match = _HOST.fullmatch(entry)
    port = match["port"] if match else None
    if not port:
        return ""
    return port if port.isascii() and port.isdecimal() and 0 < int(port) < 65536 else None


def _hosts(authority: str) -> tuple[list[str], list[str]]:
    hosts, ports = [], []
    for entry in authority.split(","):
        match = _HOST.fullmatch(entry)
        if match is None:
            raise InvalidURLError("wanted host or host:port after the password, found neither")
        port = _port(entry)
        if port is None:
            # What stands there may be a part of a password, so it is not said.
            raise InvalidURLError("wanted a port number from 1 to 65535 after the host")
        hosts.append(unquote(match["host"]).strip("[]"))
        ports.append(port)
    return hosts, ports


def _encoded(query: Mapping[str, str]) -> str:
    # libpq knows "+" for a space no more than in any other part of a URL.
    return f"?{urlencode(query, quote_via=quote)}" if query else ""


def _query(text: str) -> dict[str, str]:
    """The options of a URL. Several hosts may come as one option each, with or without port."""
    query: dict[str, str] = {}
    hosts: list[str] = []
    for key, value in parse_qsl(text, keep_blank_values=True):
        if key == "host":
            hosts.append(value)
        query[key] = value
    if len(hosts) > 1:
        names, ports = _hosts(",".join(hosts))
        query["host"] = ",".join(names)
        if any(ports):
            query["port"] = ",".join(ports)
    return query


def _identity(params: Mapping[str, str]) -> str:
    hosts = params.get("host", "localhost").split(",")
    ports = params.get("port", "5432").split(",")
    ports += ports[-1:] * (len(hosts) - len(ports))
    places = ",".join(f"{host}:{port or 5432}" for host, port in zip(hosts, ports, strict=False))
    return f"{places}/{params.get('dbname', '')}"

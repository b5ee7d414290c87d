"""The one database that a run works on, from a URL or from parts, with a printable identity."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode

from bootstrap import redact

SCHEMES = "sqlite:///path, postgresql://user@host/name (also postgres:// and postgresql+driver://)"
POOL_OPTIONS = ("pool_size", "max_overflow", "pool_timeout", "pool_recycle", "pool_pre_ping")

# The authority ends at the first "/", "?" or "#" where that leaves a sane host; otherwise somebody
# pasted a password as it is, and it ends at the last "@".
_STRICT = re.compile(
    r"(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^/?#]*))?@)?"
    r"(?P<hosts>[^@/?#]*)(?:/(?P<name>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_GREEDY = re.compile(
    r"(?P<user>[^:@]*):(?P<password>.*)@(?P<hosts>[^@/?]*)(?:/(?P<name>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_HOST = re.compile(r"(?:\[[0-9a-fA-F:.%]+\]|[^:\[\],\s]*)(?::(?P<port>[^:,]*))?")


@dataclass(frozen=True)
class Target:
    """Where the database is and how to get in. Only `identity` may be printed."""

    dialect: Literal["postgresql", "sqlite"]
    identity: str
    driver: str = ""
    path: Path | None = None
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    pool: Mapping[str, str] = field(default_factory=dict)

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
        scheme = self.dialect + (f"+{driver or self.driver}" if driver or self.driver else "")
        if self.path is not None:
            return f"{scheme}:///{self.path}" + (f"?{urlencode(self.query)}" if self.query else "")
        query = dict(self.query)
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
        return f"{scheme}://{authority}/{name}" + (f"?{urlencode(query)}" if query else "")


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
    absolute = Path((cwd or Path.cwd()) / Path(path).expanduser()).absolute()
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
    # A "file:" URI of SQLite's own may carry options like mode=ro; the file is what matters here.
    path = location[1:].removeprefix("file:")
    target = sqlite(unquote(path) if path else ":memory:", cwd=cwd)
    options.pop("uri", None)
    return replace(target, driver=driver, query=options)


def _postgres(rest: str, driver: str) -> Target:
    match = _STRICT.fullmatch(rest)
    if match is None or not _sane(match["hosts"]):
        match = _GREEDY.fullmatch(rest)
    if match is None:
        raise InvalidURLError(
            "wanted postgresql://user:password@host:port/name, found no such form"
        )
    query = dict(parse_qsl(match["query"] or "", keep_blank_values=True))
    pool = {key: query.pop(key) for key in POOL_OPTIONS if key in query}
    hosts, ports = _hosts(match["hosts"])
    params = {
        "host": query.pop("host", "") or ",".join(hosts),
        "port": query.pop("port", "") or (",".join(ports) if any(ports) else ""),
        "dbname": query.pop("dbname", "") or unquote(match["name"] or ""),
        "user": query.pop("user", "") or unquote(match["user"] or ""),
        "password": query.pop("password", "") or unquote(match["password"] or ""),
    }
    params = {key: value for key, value in params.items() if value}
    public = tuple(params.get(key, "") for key in ("host", "dbname", "user"))
    redact.remember(params.get("password"), public=public)
    redact.remember(match["password"], public=public)
    if not params.get("dbname"):
        raise InvalidURLError("wanted a database name after the host (/name), found none")
    return Target("postgresql", _identity(params), driver, params=params, query=query, pool=pool)


def _sane(hosts: str) -> bool:
    for host in hosts.split(","):
        match = _HOST.fullmatch(host)
        if match is None or not (match["port"] or "0").isdigit():
            return False
    return True


def _hosts(authority: str) -> tuple[list[str], list[str]]:
    hosts, ports = [], []
    for entry in authority.split(","):
        match = _HOST.fullmatch(entry)
        if match is None:
            raise InvalidURLError("wanted host or host:port after the password, found neither")
        port = match["port"] or ""
        if port and not (port.isdigit() and 0 < int(port) < 65536):
            raise InvalidURLError(f"wanted a port number from 1 to 65535, found {port!r}")
        hosts.append(
            unquote(entry.removesuffix(f":{port}") if port else entry.rstrip(":")).strip("[]")
        )
        ports.append(port)
    return hosts, ports


def _identity(params: Mapping[str, str]) -> str:
    hosts = params.get("host", "localhost").split(",")
    ports = params.get("port", "5432").split(",")
    ports += ports[-1:] * (len(hosts) - len(ports))
    places = ",".join(f"{host}:{port or 5432}" for host, port in zip(hosts, ports, strict=False))
    return f"{places}/{params.get('dbname', '')}"

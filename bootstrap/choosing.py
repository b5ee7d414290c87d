"""Which database: from the settings that name one, in their order, to one target."""

from bootstrap import options
from bootstrap import target as targets
from bootstrap.lookup import Lookup
from bootstrap.options import Settings


def choose(
    names: Lookup, settings: Settings
) -> tuple[targets.Target | None, targets.Target | None, targets.Target | None]:
    """The target, the SQLite fallback of storage `auto`, and the direct road past a pooler."""
    if names.app is None:
        return None, None, None
    if settings.environment == "test":
        names.app = names.app.in_test
    lite = _lasting(
        names,
        targets.sqlite(settings.sqlite_path or names.app.sqlite_path),
        "BOOTSTRAPD_SQLITE_PATH",
    )
    url = _url(names, settings.database_url, "DATABASE_URL")
    direct = _url(names, settings.direct_url, "BOOTSTRAPD_DIRECT_URL")
    scratch = _url(names, settings.scratch_url, "BOOTSTRAPD_SCRATCH_URL")
    for road, name in ((direct, "BOOTSTRAPD_DIRECT_URL"), (scratch, "BOOTSTRAPD_SCRATCH_URL")):
        if road is not None and not road.is_postgres:
            source = names.sources[name]
            names.problems.append(f"{source}: wanted a postgresql URL, found {road.dialect}")
    if lite is None or (settings.database_url and url is None):
        return None, None, None
    storage = settings.storage
    if url is not None:
        if (storage == "sqlite" and url.is_postgres) or (
            storage == "postgres" and not url.is_postgres
        ):
            _disagree(names, "DATABASE_URL", url.dialect, "BOOTSTRAPD_STORAGE", storage)
        if settings.sqlite_path and not url.is_postgres and url.path != lite.path:
            _disagree(names, "DATABASE_URL", url.identity, "BOOTSTRAPD_SQLITE_PATH", lite.identity)
        chosen = _with_tls(url, settings.postgres_ssl)
    elif storage != "sqlite" and (_has_parts(names) or storage):
        chosen = _from_parts(names, settings)
    else:
        chosen = lite
    if settings.environment == "production" and chosen.is_postgres:
        chosen = _verified(chosen)
        direct = _verified(direct) if direct else None
    return chosen, lite if storage == "auto" and chosen.is_postgres else None, direct


def _url(names: Lookup, url: str | None, name: str) -> targets.Target | None:
    if not url:
        return None
    source = names.sources.get(name, name)
    try:
        parsed = targets.parse(url)
    except targets.InvalidURLError as error:
        names.problems.append(f"{source}: {error}")
        return None
    return _lasting(names, parsed, name)


def _lasting(names: Lookup, found: targets.Target, name: str) -> targets.Target | None:
    if found.is_postgres or found.path is not None or names.memory:
        return found
    names.problems.append(
        f"{names.sources.get(name, name)}: an in-memory database ends with the process that "
        "made it; wanted a file"
    )
    return None


def _has_parts(names: Lookup) -> bool:
    return any(f"POSTGRES_{part.upper()}" in names.sources for part in options.PARTS)


def _from_parts(names: Lookup, settings: Settings) -> targets.Target:
    assert names.app is not None
    default = {"host": "localhost", "port": "5432", "db": names.app.name, "user": names.app.name}
    default |= names.app.postgres
    query = {"sslmode": settings.postgres_ssl} if settings.postgres_ssl else {}
    host = settings.postgres_host or default["host"]
    if not host:
        source = names.sources.get("BOOTSTRAPD_STORAGE", "POSTGRES_HOST")
        names.problems.append(
            f"{source}: app {names.app.name} has no PostgreSQL by default; set DATABASE_URL or "
            "POSTGRES_HOST"
        )
    return targets.postgres(
        host=host,
        port=settings.postgres_port or default["port"],
        name=settings.postgres_db or default["db"],
        user=settings.postgres_user or default["user"],
        password=settings.postgres_password or default.get("password"),
        query=query,
    )


def _disagree(names: Lookup, one: str, found: str, other: str, wanted: str) -> None:
    first, second = names.sources.get(one, one), names.sources.get(other, other)
    names.problems.append(f"{first} and {second} disagree: {found!r} and {wanted!r}; set one")


def _with_tls(url: targets.Target, mode: str | None) -> targets.Target:
    """The URL's target with the TLS that the settings demand, unless the URL says a mode itself."""
    demanded = mode not in (None, "disable", "allow", "prefer")
    if not (demanded and url.is_postgres) or "sslmode" in url.query:
        return url
    return url._replace(query={**url.query, "sslmode": str(mode)})


def _verified(chosen: targets.Target) -> targets.Target:
    """In production certificates are verified unless the URL says another mode itself."""
    host = chosen.params.get("host", "")
    if host.startswith("/") or chosen.query.get("sslmode") not in (None, "require"):
        return chosen
    return chosen._replace(query={**chosen.query, "sslmode": "verify-full"})

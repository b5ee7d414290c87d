"""Telling an app the URL of its database in the ways that it wants to be told."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bootstrap import app as apps
from bootstrap import target as targets
from bootstrap.errors import SettingsError

FORMS = "env:NAME, x:NAME or file:PATH"
CONNECTIONS = ("connection", "engine", "autocommit")


def read(ways: Sequence[str], schemes: Sequence[str], home: Path) -> apps.Giving:
    """What `url_in` and `url_driver` of a declaration say. Raises ValueError with what is wrong."""
    env: list[str] = []
    file, x = None, None
    for way in ways:
        kind, _, name = way.partition(":")
        if kind == "env" and name:
            env.append(name)
        elif kind == "x" and name:
            x = name
        elif kind == "file" and name:
            file = home / name
        else:
            raise ValueError(f"url_in: wanted {FORMS}, found {way!r}")
    for scheme in schemes:
        if scheme.partition("+")[0] not in ("postgresql", "postgres", "sqlite"):
            raise ValueError(
                "url_driver: wanted the scheme of a URL, as postgresql+asyncpg or "
                f"sqlite+aiosqlite, found {scheme!r}"
            )
    return apps.Giving(tuple(env), file, x, tuple(schemes))


def url(giving: apps.Giving, target: targets.Target) -> str:
    """The URL with the scheme that the app wants for this kind of database, secret included."""
    scheme = _scheme(giving, target)
    if scheme is None:
        return target.url()
    plain = target._replace(driver=scheme.partition("+")[2]).url()
    return scheme + plain[plain.index("://") :]


def driver(giving: apps.Giving, target: targets.Target) -> str:
    """The driver that the app wants, else the one that the URL was given with; may be empty."""
    scheme = _scheme(giving, target)
    return target.driver if scheme is None else scheme.partition("+")[2]


@contextlib.contextmanager
def written(giving: apps.Giving, target: targets.Target, app_name: str) -> Iterator[None]:
    """The file that the app reads its URL from is there for the length of the block.

    A file that is there already stays if it names this database, and is an error if it does not.
    """
    if giving.file is None:
        yield
        return
    text = url(giving, target)
    made = False
    try:
        descriptor = os.open(giving.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if giving.file.read_text(encoding="utf-8", errors="replace").strip() != text:
            raise SettingsError(
                f"app {app_name} reads its URL from {str(giving.file)!r}, which names another "
                f"database than {target.identity} or holds more than a URL; correct it, or remove "
                "it: it is written for as long as it is needed"
            ) from None
    except OSError as error:
        raise SettingsError(
            f"cannot write the URL of app {app_name} to {str(giving.file)!r}: {error.strerror}; "
            "check url_in"
        ) from error
    else:
        made = True
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
    try:
        yield
    finally:
        if made:
            giving.file.unlink(missing_ok=True)


def _scheme(giving: apps.Giving, target: targets.Target) -> str | None:
    wanted = {scheme: scheme.partition("+")[0] for scheme in giving.schemes}
    for scheme, dialect in wanted.items():
        if (dialect == "sqlite") == (target.dialect == "sqlite"):
            return scheme
    return None

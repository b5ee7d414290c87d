"""What files declare: `bootstrapd.toml` with its settings and apps, and an app's own YAML file."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bootstrap import app as apps
from bootstrap import options
from bootstrap.lookup import Lookup

_PLACEHOLDER = r"\$\{(\w+)(?::-([^}]*))?\}"
APP_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
APP_KEYS: Mapping[str, Any] = {
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
    "release": str,
    "migrate": list,
    "initialise": list,
    "initialised_at": str,
    "url_in": (str, list),
    "url_driver": (str, list),
    "x": list,
    "connection": str,
    "findings": dict,
}
_LISTS = ("migrate", "initialise", "url_in", "url_driver", "x")
# What names a database by itself.
_DATABASE = (
    "DATABASE_URL",
    "BOOTSTRAPD_SQLITE_PATH",
    *(f"POSTGRES_{part.upper()}" for part in options.PARTS),
)


def open_config(names: Lookup) -> dict[str, Any]:
    """The parsed `bootstrapd.toml`, empty where there is none."""
    found = names.find("BOOTSTRAPD_CONFIG")
    path = Path(found[0] if found else options.CONFIG_NAME)
    if not found and not path.is_file():
        return {}
    import tomllib

    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        where = found[1] if found else options.CONFIG_NAME
        names.problems.append(f"{where}: cannot read {str(path)!r}: {error.strerror}")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        names.problems.append(f"{path}: not valid TOML: {error}")
        return {}
    _config_settings(names, path, config.get("settings", {}))
    for key in config.keys() - {"settings", "apps"}:
        names.problems.append(f"{path}: unknown key {key!r}; known are 'settings' and 'apps'")
    return {**config, "path": path}


def declared_apps(names: Lookup, config: Mapping[str, Any]) -> dict[str, apps.App]:
    """The apps that the configuration declares."""
    declared = {}
    table = config.get("apps", {})
    if not isinstance(table, dict):
        names.problems.append(f"{config['path']}: wanted tables [apps.NAME], found {table!r}")
        return {}
    for name, entry in table.items():
        before = len(names.problems)
        where = f"{config['path']}: [apps.{name}]"
        if not isinstance(entry, dict):
            names.problems.append(f"{where}: wanted a table, found {entry!r}")
            names.broken.add(name)
            continue
        if not re.fullmatch(APP_NAME, name):
            names.problems.append(f"{where}: wanted a name of letters, digits and . _ -")
        for key, value in entry.items():
            if key not in APP_KEYS:
                known = ", ".join(APP_KEYS)
                names.problems.append(f"{where}: unknown key {key!r}; known are {known}")
            elif not isinstance(value, APP_KEYS[key]):
                kinds = APP_KEYS[key] if isinstance(APP_KEYS[key], tuple) else (APP_KEYS[key],)
                wanted = " or ".join(kind.__name__ for kind in kinds)
                names.problems.append(f"{where}: {key}: wanted {wanted}, found {value!r}")
            elif key in _LISTS and not all(isinstance(each, str) and each for each in value):
                names.problems.append(f"{where}: {key}: wanted a list of texts, found {value!r}")
        if "alembic" not in entry:
            names.problems.append(
                f"{where}: alembic is missing; name the alembic.ini, pyproject.toml or script "
                "directory"
            )
        if len(names.problems) == before:
            declared[name] = _declared_app(names, where, name, entry, config["path"])
        else:
            names.broken.add(name)
    return declared


def choose_app(names: Lookup, declared: Mapping[str, apps.App]) -> apps.App | None:
    """The app that is named, else the only one declared, else the first that is shipped."""
    found = names.find("BOOTSTRAPD_APP")
    if names.broken and (not found or found[0] in names.broken):
        return None
    if found:
        name = found[0]
    elif len(declared) == 1:
        name = next(iter(declared))
    elif declared:
        names.problems.append(
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
    where = found[1] if found else options.CONFIG_NAME
    names.problems.append(f"{where}: there is no app {name!r}; known are {known}")
    return None


def use(names: Lookup, app: apps.App | None) -> None:
    """From here on, the app's own names count, and its own file is read."""
    names.app = app
    if app is None:
        return
    names.aliases = app.aliases
    if app.config_file is not None and Path(app.config_file.path).is_file():
        _app_file(names, app.config_file)


def _config_settings(names: Lookup, path: Path, table: object) -> None:
    if not isinstance(table, dict):
        names.problems.append(f"{path}: wanted a table [settings], found {table!r}")
        return
    # Which file this is has been decided when it is read.
    known = {spec.name: name for name, spec in options.SPECS.items() if spec.name != "config"}
    for key, value in table.items():
        if key not in known:
            names.problems.append(f"{path}: unknown setting {key!r} in [settings]")
        elif isinstance(value, (dict, list)):
            names.problems.append(
                f"{path}: {key}: wanted one value, found a {type(value).__name__}"
            )
        else:
            plain = str(value).lower() if isinstance(value, bool) else str(value)
            names.config_values[known[key]] = (plain, f"{path}: {key}")


def _declared_app(
    names: Lookup, where: str, name: str, entry: Mapping[str, Any], path: Path
) -> apps.App:
    home = path.parent.absolute()
    alembic = home / entry["alembic"]
    if not alembic.exists():
        names.problems.append(f"{where}: alembic: there is no {str(alembic)!r}")
    for key in ("metadata", "seeds"):
        if key in entry and not re.fullmatch(r"[\w.]+:[\w.]+", entry[key]):
            names.problems.append(
                f"{where}: {key}: wanted package.module:attribute, found {entry[key]!r}"
            )
    for key in entry.get("postgres", {}):
        if key not in options.PARTS:
            names.problems.append(
                f"{where}: postgres: unknown part {key!r}; known are {', '.join(options.PARTS)}"
            )
    for key in ("migrate", "initialise"):
        if entry.get(key) == []:
            names.problems.append(f"{where}: {key}: wanted the words of a command, found none")
    if "findings" in entry:
        _check_findings(names, where, entry["findings"])
    python = entry.get("python")
    table = entry.get("version_table")
    declared = apps.App(
        name=name,
        alembic=alembic,
        title=entry.get("title", ""),
        metadata=entry.get("metadata"),
        seeds=entry.get("seeds"),
        sqlite=entry.get("sqlite", ""),
        aliases=_declared_aliases(names, where, entry.get("aliases", {})),
        postgres={key: str(value) for key, value in entry.get("postgres", {}).items()},
        redis=entry.get("redis", False),
        # An interpreter in a virtual environment is a link that must not be resolved.
        python=str(home / python) if python and "/" in python else python,
        version_table=table or "alembic_version",
        release=entry.get("release", ""),
        findings=entry.get("findings", {}),
        declared_in=str(path),
        migrate=_command(home, entry.get("migrate", ())),
        initialise=_command(home, entry.get("initialise", ())),
        initialised_at=entry.get("initialised_at", ""),
        giving=_giving(names, where, entry, home),
        x=tuple(entry.get("x", ())),
        connection=entry.get("connection", ""),
    )
    if table or not alembic.exists():
        return declared
    from bootstrap import versiontable

    return declared._replace(version_table=versiontable.named(alembic, declared.roots))


def _command(home: Path, words: Sequence[str]) -> tuple[str, ...]:
    """The words of a command; a program that is named by its path is relative to the file."""
    if words and "/" in words[0]:
        return (str(home / words[0]), *words[1:])
    return tuple(words)


def _giving(names: Lookup, where: str, entry: Mapping[str, Any], home: Path) -> apps.Giving:
    connection = entry.get("connection", "")
    if not {"url_in", "url_driver"} & entry.keys() and not connection:
        return apps.Giving()
    from bootstrap import giving

    if connection not in ("", *giving.CONNECTIONS):
        wanted = ", ".join(giving.CONNECTIONS)
        names.problems.append(f"{where}: connection: wanted {wanted}, found {connection!r}")
    ways, schemes = (
        [found] if isinstance(found, str) else found
        for found in (entry.get("url_in", []), entry.get("url_driver", []))
    )
    try:
        return giving.read(ways, schemes, home)
    except ValueError as error:
        names.problems.append(f"{where}: {error}")
        return apps.Giving()


def _check_findings(names: Lookup, where: str, table: Mapping[str, object]) -> None:
    from bootstrap import findings

    for kind, severity in table.items():
        try:
            findings.check_rule(kind, severity)
        except ValueError as error:
            names.problems.append(f"{where}: findings: {error}")


def _declared_aliases(
    names: Lookup, where: str, table: Mapping[str, object]
) -> dict[str, tuple[str, ...]]:
    aliases = {}
    for canonical, given in table.items():
        listed = [given] if isinstance(given, str) else given
        if canonical not in options.SPECS:
            names.problems.append(f"{where}: aliases: unknown setting {canonical!r}")
        elif not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            names.problems.append(
                f"{where}: aliases: {canonical}: wanted a name or a list of names, found {given!r}"
            )
        else:
            aliases[canonical] = tuple(listed)
    return aliases


def _app_file(names: Lookup, file: apps.ConfigFile) -> None:
    import yaml

    try:
        document = yaml.safe_load(Path(file.path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        # The parser's own text quotes the line, which may hold a secret.
        mark = getattr(error, "problem_mark", None)
        where = f"{file.path}, line {mark.line + 1}" if mark else file.path
        reason = getattr(error, "problem", None) or getattr(error, "strerror", None)
        names.problems.append(f"{where}: cannot be read as YAML: {reason or 'not UTF-8 text'}")
        return
    found: dict[str, tuple[str, str]] = {}
    for key, name in file.keys.items():
        value: Any = document
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            filled = re.sub(_PLACEHOLDER, lambda match: _filled(names, match), str(value))
            if filled:
                found[name] = (filled, f"{file.path}: {key}")
    # The file names both databases and chooses by its type: the other one is not configured.
    kind = found.get("BOOTSTRAPD_STORAGE", ("", ""))[0].lower()
    if kind == "sqlite":
        found.pop("DATABASE_URL", None)
    elif kind in ("postgres", "postgresql"):
        found.pop("BOOTSTRAPD_SQLITE_PATH", None)
    if names.find("BOOTSTRAPD_STORAGE") is None and any(map(names.find, _DATABASE)):
        # Whoever names a database elsewhere has chosen, whatever the file's default is.
        found.pop("BOOTSTRAPD_STORAGE", None)
        found.pop("BOOTSTRAPD_SQLITE_PATH", None)
        found.pop("DATABASE_URL", None)
    for name, pair in found.items():
        names.config_values.setdefault(name, pair)


def _filled(names: Lookup, placeholder: re.Match[str]) -> str:
    found = names.environment(placeholder[1])
    return found[0] if found else placeholder[2] or ""

"""What can be seen of somebody's project from outside: files, interpreters, names of settings."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bootstrap.errors import SettingsError

# How deep below the given folder a project is looked for, and how many files are read for names.
_DEPTH = 2
_FILES = 400
_SKIPPED = {"node_modules", "site-packages", "__pycache__", "venv", "env", "tests", "test"}
# What a variable with the URL of a database is called, wherever it stands,
_KIND = r"(?:DATABASE|DB|SQLALCHEMY|POSTGRES|POSTGRESQL|PG|SQL)"
_URL_NAME = re.compile(rf"\b((?:[A-Z][A-Z0-9]*_)*{_KIND}_(?:[A-Z0-9]+_)*(?:URL|URI|DSN))\b")
# where the environment is read,
_READ = re.compile(r"""(?:environ(?:\.get\(|\[)|getenv\()\s*["'](\w*(?:URL|URI|DSN)\w*)["']""")
# and as a field of a settings class.
_FIELD = re.compile(
    r"^\s+((?:\w+_)?(?:database|db|postgres|sql)\w*_(?:url|uri|dsn))\s*:", re.MULTILINE
)
# The parts of a URL, as FastAPI's template has them and others do.
_PART = re.compile(
    r"\b((?:[A-Z][A-Z0-9]*_)*(?:DB|DATABASE|POSTGRES|POSTGRESQL|PG|SQL)_?"
    r"(HOST|SERVER|PORT|NAME|DB|DATABASE|USER|USERNAME|PASSWORD|PASS))\b"
)
_PARTS = {
    "HOST": "HOST",
    "SERVER": "HOST",
    "PORT": "PORT",
    "NAME": "DB",
    "DB": "DB",
    "DATABASE": "DB",
    "USER": "USER",
    "USERNAME": "USER",
    "PASSWORD": "PASSWORD",
    "PASS": "PASSWORD",
}
_X_KEY = re.compile(
    r"""(?:\[|\.get\()\s*["'](\w*(?:url|uri|dsn|db|database)\w*)["']""", re.IGNORECASE
)
_X = "get_x_argument"
_ASK = "import alembic, sqlalchemy"


def alembic_of(path: Path) -> Path:
    """The `alembic.ini`, `pyproject.toml` or script folder that `path` is, or holds.

    Raises SettingsError where there is none, or more than one.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise SettingsError(f"there is no folder {str(path)!r}; name the project's folder")
    for depth in range(_DEPTH + 1):
        found = [each for folder in _folders(path, depth) if (each := _alembic_in(folder))]
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(str(each) for each in found)
            raise SettingsError(f"there are {len(found)} Alembic projects: {listed}; name one")
    raise SettingsError(
        f"there is no Alembic project in {str(path)!r}: wanted an alembic.ini, a pyproject.toml "
        "with [tool.alembic], or a folder with env.py and versions"
    )


def pyproject(folder: Path) -> Mapping[str, Any]:
    """The `pyproject.toml` of a folder; empty where there is none that can be read."""
    import tomllib

    try:
        return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}


def name_of(folder: Path) -> str:
    """What the project calls itself, in the letters that an app's name may have."""
    table = pyproject(folder)
    named = table.get("project", {}).get("name") or table.get("tool", {}).get("poetry", {}).get(
        "name"
    )
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", str(named or folder.name)).strip("-").lower()
    return plain or "app"


def interpreters(folder: Path, top: Path) -> Iterator[Path]:
    """Interpreters that may be the project's and can import Alembic, the likeliest first."""
    homes = [folder, *(each for each in folder.parents if top in (each, *each.parents))]
    places = [home / name for home in homes for name in (".venv", "venv", "env")]
    # Where Poetry keeps them unless it is told otherwise.
    cache = Path(os.path.expanduser("~/.cache/pypoetry/virtualenvs"))  # noqa: PTH111
    places += sorted(cache.glob(f"{name_of(folder)}-*-py*"))
    for place in dict.fromkeys(places):
        python = place / "bin" / "python"
        if python.is_file() and _has_alembic(python, folder):
            yield python


def part_names(alembic: Path, scripts: Path) -> dict[str, tuple[str, ...]]:
    """Variables under which the project may look for the parts of its URL, as aliases."""
    found: dict[str, dict[str, None]] = {}
    for text in _texts(alembic, scripts):
        for name, part in _PART.findall(text):
            found.setdefault(f"POSTGRES_{_PARTS[part]}", {})[name] = None
    return {part: tuple(names) for part, names in found.items()}


def url_names(alembic: Path, scripts: Path) -> list[str]:
    """Variables under which the project may look for its URL, those of env.py first."""
    found: dict[str, None] = {}
    for text in _texts(alembic, scripts):
        found.update(dict.fromkeys(_READ.findall(text) + _URL_NAME.findall(text)))
        found.update(dict.fromkeys(name.upper() for name in _FIELD.findall(text)))
    found.pop("DATABASE_URL", None)
    return list(found)


def x_names(scripts: Path) -> list[str]:
    """Names of -x arguments that may hold the URL."""
    try:
        text = (scripts / "env.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    return list(dict.fromkeys(_X_KEY.findall(text))) if _X in text else []


def takes_x(scripts: Path) -> bool:
    """Whether env.py takes -x arguments, whatever they are called."""
    try:
        return _X in (scripts / "env.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def wants_connection(scripts: Path) -> bool:
    """Whether env.py takes anything from config.attributes."""
    try:
        return ".attributes" in (scripts / "env.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _alembic_in(folder: Path) -> Path | None:
    if (folder / "alembic.ini").is_file():
        return folder / "alembic.ini"
    if "alembic" in pyproject(folder).get("tool", {}):
        return folder / "pyproject.toml"
    if (folder / "env.py").is_file() and (folder / "versions").is_dir():
        return folder
    return None


def _folders(path: Path, depth: int) -> Iterator[Path]:
    if depth == 0:
        yield path
        return
    for each in sorted(path.iterdir()):
        if each.is_dir() and each.name not in _SKIPPED and not each.name.startswith("."):
            yield from _folders(each, depth - 1)


def _texts(alembic: Path, scripts: Path) -> Iterator[str]:
    for file in (scripts / "env.py", *_sources(alembic.parent)):
        try:
            yield file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue


def _sources(folder: Path) -> Iterator[Path]:
    left = _FILES
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(
            each for each in folders if each not in _SKIPPED and not each.startswith(".")
        )
        for name in sorted(names):
            if name.endswith(".py") and left:
                left -= 1
                yield Path(parent, name)


def _has_alembic(python: Path, folder: Path) -> bool:
    try:
        asked = subprocess.run(
            [python, "-c", _ASK], cwd=folder, capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0

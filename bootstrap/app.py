"""What is brought up: an app's Alembic project, its models, its seeds, its setting names.

The engine knows an app through this declaration alone. Five apps are shipped; others are declared
in `bootstrapd.toml`.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

SHIPPED = ("godel", "agentpane", "tarsy", "business_os", "dash")


class ConfigFile(NamedTuple):
    """An app's own YAML file, whose values may read `${NAME:-default}`.

    `keys` maps a dotted key of the file to the setting name that it stands for.
    """

    path: str
    keys: Mapping[str, str]


class Giving(NamedTuple):
    """How an app is told the URL of its database, beyond `sqlalchemy.url` and its aliases.

    `env` are names of variables, `file` is a file that holds the URL alone, `x` the name of one of
    Alembic's own -x arguments. `schemes` are the schemes that the app wants, one a kind of
    database: `postgresql+asyncpg`.
    """

    env: tuple[str, ...] = ()
    file: Path | None = None
    x: str | None = None
    schemes: tuple[str, ...] = ()


class App(NamedTuple):
    """One app, as declared.

    `alembic` is an `alembic.ini`, a `pyproject.toml` with `[tool.alembic]`, or a script directory.
    `metadata` and `seeds` are `package.module:attribute`. `aliases` maps a setting name of
    bootstrapd to the app's own names for it; `FOLDER/file` is the file in the folder that FOLDER
    names. `accepts` maps a name of the app's own to the only values that the app takes under it.
    `postgres` holds the app's defaults for the parts `host`, `port`, `db` and `user`; an empty host
    is none, so that a server must be named. `test_db` is the name of the database, and of its
    SQLite file, where the environment is `test`. `python` is the interpreter that has the app's
    dependencies; None means this one. `release` is its version; empty where nobody named it.

    `initialise` and `migrate` are commands of the app's own: one makes the base on an empty
    database, which is then at `initialised_at`; the other applies revisions in place of Alembic.
    `giving` says how the URL reaches them and `env.py`, `x` are further -x arguments, `connection`
    is what env.py wants in `config.attributes["connection"]`. `findings` maps classes of what
    validation finds to `stop`, `report` or `ignore`.
    """

    name: str
    alembic: Path
    title: str = ""
    metadata: str | None = None
    seeds: str | None = None
    sqlite: str = ""
    aliases: Mapping[str, tuple[str, ...]] = {}
    accepts: Mapping[str, tuple[str, ...]] = {}
    postgres: Mapping[str, str] = {}
    test_db: str = ""
    config_file: ConfigFile | None = None
    redis: bool = False
    python: str | None = None
    version_table: str = "alembic_version"
    release: str = ""
    findings: Mapping[str, str] = {}
    declared_in: str = "shipped"
    migrate: tuple[str, ...] = ()
    initialise: tuple[str, ...] = ()
    initialised_at: str = ""
    giving: Giving = Giving()
    x: tuple[str, ...] = ()
    connection: str = ""

    @property
    def sqlite_path(self) -> str:
        """Where the app's SQLite file is when nothing says otherwise."""
        return self.sqlite or f"./{self.name}.db"

    @property
    def in_test(self) -> "App":
        """The same app with its test database, if it has one."""
        if not self.test_db:
            return self
        postgres = {**self.postgres, "db": self.test_db}
        folder, slash, _ = self.sqlite_path.rpartition("/")
        return self._replace(postgres=postgres, sqlite=f"{folder}{slash}{self.test_db}.db")

    @property
    def project(self) -> Path:
        """The folder that the app's Alembic project calls home."""
        return self.alembic.parent

    @property
    def home(self) -> Path:
        """The folder that the app was declared in, where its own commands run."""
        if self.declared_in == "shipped":
            return self.project
        return Path(self.declared_in).parent.absolute()

    @property
    def roots(self) -> tuple[Path, ...]:
        """Where the app's own modules may be: beside its Alembic project or its declaration."""
        homes = (self.project, self.home)
        return tuple(dict.fromkeys(root for home in homes for root in (home, home / "src")))


def shipped(name: str) -> App:
    """One of the apps that come with bootstrapd, by its name."""
    module = importlib.import_module(f"bootstrap.apps.{name}")
    app = module.APP
    assert isinstance(app, App)
    return app


def shipped_migrations(name: str) -> Path:
    """The Alembic project of a shipped app: in the wheel inside the package, else beside it."""
    package = Path(__file__).parent
    installed = package / "migrations"
    root = installed if installed.is_dir() else package.parent / "migrations"
    return root / name / "alembic.ini"

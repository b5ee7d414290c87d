"""Ordinary Alembic projects of other people, made by Alembic's own `init`."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent, indent
from types import EllipsisType
from typing import Literal

Kind = Literal["ini", "pyproject", "directory"]
Environment = Literal["plain", "async", "logging", "own_engine", "elsewhere"]

_PLACEHOLDER_URL = "driver://user:pass@localhost/dbname"
_FROM_CONFIG = """engine_from_config(
        config.get_section(config.config_ini_section, {}),
        prefix="sqlalchemy.",
        poolclass=pool.NullPool,
    )"""
_IMPORT_FROM_CONFIG = "from sqlalchemy import engine_from_config"
_IMPORT_CREATE = "from sqlalchemy import create_engine"


class Project:
    """A project in the folder `path`, with its `bootstrapd.toml`.

    `alembic` is what `bootstrapd.toml` names: `alembic.ini`, `pyproject.toml` or the script folder.
    """

    def __init__(self, path: Path, name: str, kind: Kind) -> None:
        self.path = path
        self.name = name
        self.alembic = path / {"ini": "alembic.ini", "pyproject": "pyproject.toml"}.get(
            kind, "alembic"
        )
        self.versions = path / "alembic" / "versions"
        self._head: str | None = None

    def revision(
        self,
        number: str,
        *,
        upgrade: str = "pass",
        downgrade: str = "pass",
        down: str | tuple[str, ...] | EllipsisType | None = ...,
    ) -> Path:
        """Write one revision file; `down` is by default the revision that was written before."""
        below = self._head if down is ... else down
        self._head = number
        path = self.versions / f"{number}_step.py"
        path.write_text(
            f'"""step {number}\n\n'
            f"Revision ID: {number}\nRevises: {below}\n"
            '"""\n'
            "from alembic import op\n"
            "import sqlalchemy as sa\n\n\n"
            f"revision = {number!r}\n"
            f"down_revision = {below!r}\n"
            "branch_labels = None\n"
            "depends_on = None\n\n\n"
            f"def upgrade():\n{_body(upgrade)}\n\n\n"
            f"def downgrade():\n{_body(downgrade)}\n",
            encoding="utf-8",
        )
        return path

    def declare(self, **keys: object) -> None:
        """Add keys to this app's table in `bootstrapd.toml`."""
        with (self.path / "bootstrapd.toml").open("a") as file:
            # A JSON string, number or list is the same in TOML.
            file.writelines(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())

    def set_url(self, url: str) -> None:
        """Write a URL where `alembic` itself looks for it, so that it runs without bootstrapd."""
        ini = self.path / "alembic.ini"
        text = ini.read_text()
        assert _PLACEHOLDER_URL in text
        ini.write_text(text.replace(_PLACEHOLDER_URL, url.replace("%", "%%")))


class Projects:
    """Makes projects in `folder`; what `alembic init` wrote is kept in `cache` to be copied."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self._folder = folder
        self._cache = cache

    def new(
        self,
        *,
        kind: Kind = "ini",
        env: Environment = "plain",
        revisions: int | Sequence[str] = 1,
        models: bool | str = True,
        name: str = "shop",
        declare: Mapping[str, object] | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> Project:
        """A project of this kind.

        `revisions` is a number of revisions 0001, 0002, ... that create a table each (item_0001,
        ...), or the bodies of their upgrade functions. `models` is the source of `NAME/models.py`;
        True are the models of the counted tables, False none. `declare` adds keys to the app's
        table in `bootstrapd.toml`, `settings` to its `[settings]`.

        The `env` of a project is Alembic's own (which calls `fileConfig` where there is an
        `alembic.ini`), its asynchronous one, one that turns all logging up and onto stdout, one
        that builds its engine from `sqlalchemy.url`, or one that migrates another database than
        it was told (elsewhere.db).
        """
        path = self._folder / name
        shutil.copytree(self._initialised(_template(kind, env)), path)
        if kind == "directory":
            (path / "alembic.ini").unlink()
        project = Project(path, name, kind)
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in (settings or {}).items()]
        (path / "bootstrapd.toml").write_text(
            ("[settings]\n" + "".join(lines) + "\n" if lines else "") + f"[apps.{name}]\n"
        )
        project.declare(alembic=project.alembic.name)
        counted = range(1, revisions + 1) if isinstance(revisions, int) else ()
        if models is True and counted:
            models = _counted_models(counted)
        if isinstance(models, str):
            (path / name).mkdir()
            (path / name / "__init__.py").touch()
            (path / name / "models.py").write_text(models)
            project.declare(metadata=f"{name}.models:Base.metadata")
        project.declare(**(declare or {}))
        _rewrite(path / "alembic" / "env.py", env, name if isinstance(models, str) else None)
        for number in counted:
            project.revision(
                f"{number:04}",
                upgrade=f"""\
                op.create_table(
                    "item_{number:04}",
                    sa.Column("id", sa.Integer, primary_key=True),
                    sa.Column("name", sa.String(50), nullable=False),
                )""",
                downgrade=f'op.drop_table("item_{number:04}")',
            )
        if not isinstance(revisions, int):
            for number, upgrade in enumerate(revisions, start=1):
                project.revision(f"{number:04}", upgrade=upgrade)
        return project

    def _initialised(self, template: str) -> Path:
        """What `alembic init` writes with this template, at its first use."""
        made = self._cache / template
        if not made.exists():
            made.mkdir()
            init = [sys.executable, "-m", "alembic", "init", "--template", template, "alembic"]
            subprocess.run(init, cwd=made, check=True, capture_output=True)
        return made


def _template(kind: Kind, env: Environment) -> str:
    if kind == "pyproject":
        return "pyproject_async" if env == "async" else "pyproject"
    return "async" if env == "async" else "generic"


def _rewrite(path: Path, env: Environment, package: str | None) -> None:
    """Edit `env.py` as its owner would."""
    source = path.read_text()
    if package:
        source = _replaced(
            source,
            "target_metadata = None",
            f"from {package}.models import Base\n\ntarget_metadata = Base.metadata",
        )
    if env == "logging":
        source = (
            "import logging\nimport sys\n\n"
            "logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, force=True)\n"
            'print("env.py says hello")\n'
        ) + source
    if env in ("own_engine", "elsewhere"):
        url = 'config.get_main_option("sqlalchemy.url")'
        if env == "elsewhere":
            url = '"sqlite:///elsewhere.db"'
        source = _replaced(source, _FROM_CONFIG, f"create_engine({url}, poolclass=pool.NullPool)")
        source = _replaced(source, _IMPORT_FROM_CONFIG, _IMPORT_CREATE)
    path.write_text(source)


def _replaced(source: str, old: str, new: str) -> str:
    assert source.count(old) == 1, f"alembic's template has changed: {old!r}"
    return source.replace(old, new)


def _body(statements: str) -> str:
    return indent(dedent(statements).strip(), "    ")


def _counted_models(numbers: Sequence[int]) -> str:
    head = """\
from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass
"""
    table = """

class Item{number:04}(Base):
    __tablename__ = "item_{number:04}"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
"""
    return head + "".join(table.format(number=number) for number in numbers)

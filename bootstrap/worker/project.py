"""One Alembic project, opened on one database."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from . import connections, environment, observe, url
from .step import Step

if TYPE_CHECKING:
    import threading

    from .channel import Channel


class Project:
    """What requests work on: Alembic's configuration and scripts, the URL, the step under way."""

    def __init__(
        self, request: Mapping[str, Any], channel: Channel, stopping: threading.Event
    ) -> None:
        self.request = request
        self.channel = channel
        self.stopping = stopping
        self.step = Step(channel, None)
        self.postgres = request["dialect"] == "postgresql"
        # A SQLite file and the copy that stands for it.
        self.moved: tuple[str, str] | None = None
        # The first statement that defined something before any revision was under way.
        self.early: str | None = None
        self.began = False
        self.observed = bool(request["observed"])
        self.config = _config(request["alembic"])
        self._go_home()
        self.script = ScriptDirectory.from_config(self.config)
        self.url = url.make(self)
        self.set_url()
        self.config.cmd_opts = argparse.Namespace(x=self._x(), cmd=None, raiseerr=False)
        # After all else: what the project's own settings put on the path comes first.
        sys.path += [root for root in request["roots"] if root not in sys.path]
        connections.prepare(self)
        if self.observed:
            observe.prepare(self)
        environment.prepare(self)

    def set_url(self) -> None:
        """Write the URL where env.py looks for it first."""
        text = self.url.render_as_string(hide_password=False)
        self.config.set_main_option("sqlalchemy.url", text.replace("%", "%%"))

    def move_to(self, copy: str) -> None:
        """From here on work on a copy of the SQLite file, whatever name env.py was told."""
        self.moved = (str(self.request["path"]), copy)
        self.request = {**self.request, "path": copy}
        self.url = self.url.set(database=copy)
        self.set_url()

    def run_env(self, fn: Callable[[Any, Any], Any], **options: Any) -> None:
        """Run env.py, which calls `fn` with the applied revisions and the migration context."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._connection_given())
            stack.enter_context(EnvironmentContext(self.config, self.script, fn=fn, **options))
            self.script.run_env()

    def engine(self) -> sa.engine.Engine:
        """An engine on the database, by a driver that is not asynchronous."""
        return sa.create_engine(url.synchronous(self), poolclass=sa.pool.NullPool)

    def _x(self) -> list[str] | None:
        """Alembic's -x arguments, the URL among them where it is wanted there."""
        given = list(self.request["x"])
        if self.request["url_in_x"]:
            url = self.url.render_as_string(hide_password=False)
            given.append(f"{self.request['url_in_x']}={url}")
        return given or None

    @contextlib.contextmanager
    def _connection_given(self) -> Iterator[None]:
        """What env.py wants to find in config.attributes["connection"]."""
        wanted = self.request["connection"]
        if not wanted:
            yield
            return
        engine = self.engine()
        if wanted == "engine":
            self.config.attributes["connection"] = engine
            yield
            return
        with engine.connect() as connection:
            if wanted == "autocommit":
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            self.config.attributes["connection"] = connection
            yield

    def _go_home(self) -> None:
        """Alembic's relative paths start from the folder that its owner calls it in."""
        option = getattr(self.config, "get_alembic_option", self.config.get_main_option)
        location = str(option("script_location"))
        homes = [root for root in self.request["roots"] if os.path.isdir(f"{root}/{location}")]
        if homes and not os.path.isdir(location):
            os.chdir(homes[0])


def attribute(name: str) -> Any:
    """What `package.module:attribute` names."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def metadata_sets(declared: Any) -> list[Any]:
    """A project may have one set of models or several."""
    return list(declared) if isinstance(declared, (list, tuple)) else [declared]


def _config(alembic: str) -> Config:
    if os.path.isdir(alembic):
        config = Config()
        config.set_main_option("script_location", alembic.replace("%", "%%"))
        return config
    if alembic.endswith(".toml"):
        config = Config(toml_file=alembic)
        if config.get_alembic_option("script_location") is None:
            raise ValueError(f"{alembic}: [tool.alembic] has no script_location")
        return config
    return Config(alembic)

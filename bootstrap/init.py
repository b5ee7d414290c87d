"""The section of `bootstrapd.toml` for somebody's project, found out by trying."""

import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bootstrap import app as apps
from bootstrap import child, declared, giving, journal, revisions, scratch, settings, surroundings
from bootstrap import plan as planning
from bootstrap import target as targets
from bootstrap.errors import BootstrapdError, RefusedError, SettingsError

_DIALECTS: tuple[targets.Dialect, ...] = ("sqlite", "postgresql")
# Of the many reasons why one way did not work, the first ones say enough.
_REASONS = 4
_SCHEMES = ("postgresql+asyncpg", "sqlite+aiosqlite")


@dataclass(frozen=True)
class Made:
    """What was written, and what came out on the way. `unknown` are sentences."""

    app: str
    file: str
    section: str
    heads: tuple[str, ...]
    tables: int | None
    from_empty: tuple[str, ...]
    unknown: tuple[str, ...]

    def document(self) -> Mapping[str, Any]:
        """As JSON shows it."""
        return asdict(self)


def init(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    path: Path,
    config: Path,
    name: str | None,
) -> Made:
    """Find out what there is to say of the project in `path` and add it to the file `config`.

    Without a `name` the app is called as the project calls itself.

    Raises SettingsError where there is no project, or one that is declared already.
    """
    alembic = surroundings.alembic_of(path.absolute())
    folder = alembic if alembic.is_dir() else alembic.parent
    name = name or surroundings.name_of(folder.parent if alembic.is_dir() else folder)
    if not re.fullmatch(declared.APP_NAME, name):
        raise SettingsError(f"--app: wanted a name of letters, digits and . _ -, found {name!r}")
    before = config.read_text(encoding="utf-8") if config.exists() else ""
    _refuse_declared(before, config, name, alembic)
    app = apps.App(name=name, alembic=alembic, declared_in=str(config.absolute()))
    trial = _Trial(loaded, record, stop, app)
    trial.go()
    section = _section(trial, config.absolute().parent)
    _write(config, before, section)
    up = " and ".join(trial.comes_up)
    record.event(
        "initialised",
        f"[apps.{name}] is in {config}; its heads are {planning.listed(trial.heads)}, "
        + (f"an empty {up} database comes up by its revisions" if up else "see below"),
    )
    for sentence in trial.unknown:
        record.event("not_found_out", sentence, level="warning")
    return Made(
        name,
        str(config),
        section,
        trial.heads,
        trial.tables,
        tuple(trial.comes_up),
        tuple(trial.unknown),
    )


class _Trial:
    """Opens the project in one way after the other until env.py works on a scratch database."""

    def __init__(
        self,
        loaded: settings.Loaded,
        record: journal.Journal,
        stop: threading.Event,
        app: apps.App,
    ) -> None:
        self._loaded = loaded
        self._record = record
        self._stop = stop
        self.app = app
        self.heads: tuple[str, ...] = ()
        self.tables: int | None = None
        self.comes_up: list[str] = []
        self.unknown: list[str] = []
        self._refused: list[str] = []

    def go(self) -> None:
        """Find out all that can be; what cannot goes into `unknown`."""
        self._find_interpreter()
        known = self._graph()
        # The kind of the configured database first.
        for dialect in dict.fromkeys((self._loaded.target.dialect, *_DIALECTS)):
            if self._on(dialect, known):
                return
        self.unknown += list(dict.fromkeys(self._refused))[:_REASONS]
        if surroundings.takes_x(revisions.script_folder(self.app.alembic, self.app.roots)):
            self.unknown.append(
                'env.py takes -x arguments; say those that it cannot do without: x = ["NAME=VALUE"]'
                ', and with url_in = "x:NAME" the one for the URL'
            )

    def _find_interpreter(self) -> None:
        if self._loaded.app.python is not None:
            self.app = self.app._replace(python=self._loaded.app.python)
            return
        top = Path(self.app.declared_in).parent
        python = next(surroundings.interpreters(self.app.project, top), None)
        if python is not None:
            self.app = self.app._replace(python=str(python))
        else:
            self.unknown.append(
                "no environment of the project that has Alembic was found, so it runs under "
                'bootstrapd\'s own; if it has one, say python = "PATH/bin/python"'
            )

    def _graph(self) -> revisions.Graph:
        try:
            known = planning.graph(self._here(self._loaded.target), self._record, self._stop)
        except BootstrapdError as error:
            raise SettingsError(
                f"the project {self.app.alembic} cannot be read: {error.message}"
            ) from error
        self.heads = known.heads
        return known

    def _on(self, dialect: targets.Dialect, known: revisions.Graph) -> bool:
        """Whether the project works on this kind of database, from empty."""
        self._record.event("trying", f"trying {self.app.alembic} on an empty {dialect} database")
        try:
            with scratch.database(self._loaded, self._record, dialect) as place:
                opens = any(self._opens(app, place) for app in self._ways(dialect))
                if opens and self._goes_up(place, known):
                    self.comes_up.append(dialect)
                    return True
        except RefusedError as error:
            self._refused.append(f"it was not tried on {dialect}: {error.message}")
        return False

    def _ways(self, dialect: targets.Dialect) -> Iterator[apps.App]:
        """The app as known so far, then told its URL in each way that its files hint at."""
        yield self.app
        scripts = revisions.script_folder(self.app.alembic, self.app.roots)
        names = surroundings.url_names(self.app.alembic, scripts)
        tried = [self.app._replace(aliases={"DATABASE_URL": (name,)}) for name in names]
        parts = surroundings.part_names(self.app.alembic, scripts)
        if parts and dialect == "postgresql":
            tried.append(self.app._replace(aliases=parts))
        tried += [
            self.app._replace(giving=apps.Giving(x=name)) for name in surroundings.x_names(scripts)
        ]
        if surroundings.wants_connection(scripts):
            tried += [self.app._replace(connection=kind) for kind in giving.CONNECTIONS]
        # With all of the names at once, where it wants several; and by an asynchronous driver.
        if len(names) > 1:
            tried.append(self.app._replace(aliases={"DATABASE_URL": tuple(names)}))
        yield from tried
        for app in (self.app, *tried):
            schemes = [each for each in _SCHEMES if each.startswith(dialect)]
            yield app._replace(giving=app.giving._replace(schemes=tuple(schemes)))

    def _opens(self, app: apps.App, place: targets.Target) -> bool:
        """Whether env.py works on this database; then `app` is the one that is gone on with."""
        try:
            with self._worker(app, place) as worker:
                found = worker.call("survey")
        except child.WorkerError as error:
            failure = error.failure
            if failure["kind"] == "OtherVersionTableError" and app.version_table == (
                self.app.version_table
            ):
                return self._opens(app._replace(version_table=failure["message"]), place)
            self._refuse(place, failure["message"])
            return False
        except BootstrapdError as error:
            self._refuse(place, error.message)
            return False
        self.app, self.tables = app, found["tables"]
        self._name_models(found, place)
        return True

    def _name_models(self, found: Mapping[str, Any], place: targets.Target) -> None:
        for name in found["named"]:
            try:
                with self._worker(self.app, place) as worker:
                    alone = worker.call("count", metadata=name)["tables"]
            except (child.WorkerError, BootstrapdError):
                continue
            # Imported alone it may hold fewer tables than where env.py has imported more.
            if alone == self.tables:
                self.app = self.app._replace(metadata=name)
                return

    def _goes_up(self, place: targets.Target, known: revisions.Graph) -> bool:
        try:
            with self._worker(self.app, place) as worker:
                worker.call("upgrade", revision="heads", total=len(known.revisions))
        except child.WorkerError as error:
            at = error.failure["revision"]
            what = f"revision {known.title(at)} fails" if at else "it fails"
            self._refuse(place, f"{what}: {error.failure['message']}")
            return False
        except BootstrapdError as error:
            self._refuse(place, error.message)
            return False
        return True

    def _refuse(self, place: targets.Target, reason: str) -> None:
        self._refused.append(
            f"an empty {place.dialect} database did not come up by its revisions: {reason}"
        )

    def _worker(self, app: apps.App, place: targets.Target) -> child.Worker:
        here = self._here(place)._replace(app=app)
        return child.Worker(here, self._record, run="init", stop=self._stop)

    def _here(self, place: targets.Target) -> settings.Loaded:
        return self._loaded._replace(app=self.app, target=place, direct=None, fallback=None)


def _refuse_declared(text: str, config: Path, name: str, alembic: Path) -> None:
    import tomllib

    try:
        there = tomllib.loads(text).get("apps", {})
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{config}: not valid TOML: {error}; nothing was written") from error
    for other, entry in there.items():
        place = config.absolute().parent / str(entry.get("alembic", ""))
        if other == name or place.resolve() == alembic.resolve():
            raise SettingsError(
                f"{config} declares [apps.{other}] already; nothing was written. Edit it there, or "
                "remove it and run: bootstrapd init"
            )


def _section(trial: _Trial, home: Path) -> str:
    app = trial.app
    keys: dict[str, object] = {"alembic": _relative(app.alembic, home)}
    if app.python is not None:
        keys["python"] = _relative(Path(app.python), home) if "/" in app.python else app.python
    if app.metadata is not None:
        keys["metadata"] = app.metadata
    if app.version_table != "alembic_version":
        keys["version_table"] = app.version_table
    if app.giving.x:
        keys["url_in"] = f"x:{app.giving.x}"
    if app.giving.schemes:
        keys["url_driver"] = list(app.giving.schemes)
    if app.connection:
        keys["connection"] = app.connection
    lines = [f"[apps.{app.name}]"]
    lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()]
    if not trial.comes_up:
        lines.append("# An empty database did not come up by the revisions: see initialise.")
    if app.aliases:
        lines += ["", f"[apps.{app.name}.aliases]"]
        lines += [
            f"{key} = {json.dumps(list(names))}" for key, names in sorted(app.aliases.items())
        ]
    return "\n".join(lines) + "\n"


def _relative(path: Path, home: Path) -> str:
    text = os.path.relpath(path, home)
    # A name without a slash would be looked for in PATH.
    return text if "/" in text or path.suffix else f"./{text}"


def _write(config: Path, before: str, section: str) -> None:
    import tomllib

    gap = "" if not before or before.endswith("\n\n") else "\n" if before.endswith("\n") else "\n\n"
    text = before + gap + section
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"{config} cannot be added to ({error}); nothing was written. This is the section:\n"
            f"{section}"
        ) from error
    whole = config.with_name(f".{config.name}.new")
    try:
        whole.write_text(text, encoding="utf-8")
        if config.exists():
            whole.chmod(config.stat().st_mode & 0o777)
        whole.replace(config)
    except OSError as error:
        raise SettingsError(f"cannot write {config}: {error.strerror}") from error

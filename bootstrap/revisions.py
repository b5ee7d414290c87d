"""The revisions of an app's Alembic project, read without importing Alembic or the revisions.

A start with nothing to do pays only for reading small files. Whatever is out of the ordinary (a
computed revision id, a package as script location) raises NotPlainError, and Alembic itself is
asked, in a child process.
"""

import functools
import itertools
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bootstrap import digests

_RELEASES = ("compatible_with", "required_stop")
_NAMES = ("revision", "down_revision", "depends_on", "branch_labels", *_RELEASES)
_ASSIGNED = re.compile(
    rf"^([ \t]*)({'|'.join(_NAMES)})[ \t]*(?::[^=\n]+)?=[ \t]*(.*?)[ \t]*$",
    re.MULTILINE,
)
_PLAIN = re.compile(r"(['\"])([^'\"\\]*)\1|None")
_TITLE = re.compile(r"\s*[rRuU]?(?:\"\"\"|''')\s*([^\n]*?)\s*(?:\n|\"\"\"|''')")
# Which files Alembic takes for revisions: alembic.script.base._only_source_rev_file.
_REVISION_FILE = re.compile(r"(?!\.\#|__init__).*\.py")


class NotPlainError(Exception):
    """This project needs Alembic itself to be read."""


class MisdeclaredError(Exception):
    """A revision says something of itself that cannot be."""


class Revision(NamedTuple):
    """One revision file. `down` holds the revisions right below it, `needs` those it depends on.

    `compatible_with` is the oldest release that can still run on a database which has the revision;
    `required_stop` the release that must have come to its end before anything above is applied.
    `sql` are the paths of the SQL files that it loads.
    """

    id: str
    title: str
    path: str
    down: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    compatible_with: str | None = None
    required_stop: str | None = None
    sql: tuple[str, ...] = ()

    def file_names(self, home: Path) -> str:
        """Its files as messages name them, from the folder `home`."""
        return ", ".join(os.path.relpath(path, home) for path in (self.path, *self.sql))


class Graph(NamedTuple):
    """All revisions of a project, with a digest of their files."""

    revisions: Mapping[str, Revision]
    digest: str

    @property
    def heads(self) -> tuple[str, ...]:
        """The revisions that nothing builds upon, sorted."""
        below = {down for revision in self.revisions.values() for down in revision.down}
        return tuple(sorted(self.revisions.keys() - below))

    def snapshot(self, dialect: str) -> Path | None:
        """Where the schema that these revisions make is written down; None without revisions."""
        # At every start, of thousands of revisions maybe: a Path of each would cost milliseconds.
        folders = {revision.path.rpartition("/")[0] for revision in self.revisions.values()}
        return min(map(Path, folders)).parent / "snapshots" / f"{dialect}.txt" if folders else None

    def title(self, id_: str) -> str:
        """A revision as messages name it: its id, and its title if it is known."""
        known = self.revisions.get(id_)
        return f"{id_} ({known.title})" if known and known.title else id_

    def ancestors(self, ids: Iterable[str]) -> set[str]:
        """These revisions and all below them, dependencies included; unknown ids are left out."""
        found: set[str] = set()
        queue = list(ids)
        while queue:
            id_ = queue.pop()
            if id_ in self.revisions and id_ not in found:
                found.add(id_)
                queue += [*self.revisions[id_].down, *self.revisions[id_].needs]
        return found

    def pending(self, current: Iterable[str]) -> tuple[Revision, ...]:
        """What is not yet applied, in an order in which it can be."""
        done = self.ancestors(current)
        under_way: set[str] = set()
        order: list[Revision] = []
        # An explicit stack: a long history would exhaust Python's own.
        for head in self.heads:
            stack = [(head, False)]
            while stack:
                id_, expanded = stack.pop()
                if id_ in done:
                    continue
                revision = self.revisions[id_]
                if expanded:
                    done.add(id_)
                    order.append(revision)
                elif id_ in under_way:
                    raise NotPlainError(f"revision {id_} builds on itself")
                else:
                    under_way.add(id_)
                    stack.append((id_, True))
                    stack += [(low, False) for low in (*revision.needs, *revision.down)]
        return tuple(order)

    def above(self, destination: str) -> set[str]:
        """What lies above a revision, dependents included; all of it for `base`."""
        if destination == "base":
            return set(self.revisions)
        found: set[str] = set()
        builders: dict[str, list[str]] = {}
        for revision in self.revisions.values():
            for low in (*revision.down, *revision.needs):
                builders.setdefault(low, []).append(revision.id)
        queue = [destination]
        while queue:
            for id_ in builders.get(queue.pop(), ()):
                if id_ not in found:
                    found.add(id_)
                    queue.append(id_)
        return found

    def unknown(self, current: Iterable[str]) -> tuple[str, ...]:
        """Applied revisions that this release does not have, sorted."""
        return tuple(sorted(set(current) - self.revisions.keys()))

    def forks(self) -> tuple[str, ...]:
        """Heads that come from one revision by accident: no branch label tells them apart.

        Two developers who each add a revision to the same parent leave this behind. Independent
        bases, labelled branches and heads that another one depends on are meant to be.
        """
        needed = {low for revision in self.revisions.values() for low in revision.needs}
        lines = {head: self._line(head) for head in self.heads if head not in needed}
        forked: set[str] = set()
        for (head, ours), (other, theirs) in itertools.combinations(lines.items(), 2):
            labelled = any(self.revisions[id_].labels for id_ in ours ^ theirs)
            if ours & theirs and not labelled:
                forked |= {head, other}
        return tuple(sorted(forked))

    def _line(self, head: str) -> set[str]:
        """A head with what it was built upon, without what it only depends on."""
        found: set[str] = set()
        queue = [head]
        while queue:
            id_ = queue.pop()
            if id_ not in found:
                found.add(id_)
                queue += self.revisions[id_].down
        return found


def read(alembic: Path) -> Graph:
    """The graph of an Alembic project: an `alembic.ini`, `pyproject.toml` or script directory.

    Raises NotPlainError where only Alembic can tell, MisdeclaredError for a release that is none,
    and OSError where files cannot be read.
    """
    files: dict[str, str] = {}
    for folder in _version_folders(alembic):
        with os.scandir(folder) as entries:
            for entry in entries:
                if _REVISION_FILE.fullmatch(entry.name):
                    with open(entry.path, "rb", buffering=0) as file:  # noqa: PTH123 - thousands
                        files[entry.path] = _text(entry.path, file.read())
    digest = digests.new()
    found: dict[str, Revision] = {}
    loading: list[str] = []
    for path in sorted(files):
        digest.update(f"{path.rpartition('/')[2]}\0{files[path]}\0".encode())
        revision = _revision(path, files[path])
        if ".sql" in files[path]:
            loading.append(path)
        if revision.id in found:
            raise NotPlainError(f"two files have the revision {revision.id}")
        found[revision.id] = revision
    for revision in found.values():
        if not found.keys() >= {*revision.down, *revision.needs}:
            raise NotPlainError(f"{revision.path}: builds on what is no revision's whole id")
    if loading:
        _add_sql(found, {path: files[path] for path in loading}, digest)
    graph = Graph(found, digest.hexdigest())
    if len(graph.pending(())) != len(found):
        raise NotPlainError(f"{alembic}: revisions build on each other in a circle")
    return graph


def described(description: Mapping[str, Any]) -> Graph:
    """The graph as Alembic itself described it, in a child process."""
    found = {
        entry["id"]: Revision(
            id=entry["id"],
            title=entry["title"],
            path=entry["path"],
            down=tuple(entry["down"]),
            needs=tuple(entry["needs"]),
            labels=tuple(entry["labels"]),
            compatible_with=_release(entry["path"], "compatible_with", entry["compatible_with"]),
            required_stop=_release(entry["path"], "required_stop", entry["required_stop"]),
        )
        for entry in description["revisions"]
    }
    loading = {}
    for path in (each.path for each in found.values() if each.path.endswith(".py")):
        source = Path(path).read_text(encoding="utf-8", errors="replace")
        if ".sql" in source:
            loading[path] = source
    if not loading:
        return Graph(found, description["digest"])
    digest = digests.new(description["digest"].encode())
    _add_sql(found, loading, digest)
    return Graph(found, digest.hexdigest())


def _add_sql(
    found: dict[str, Revision], sources: Mapping[str, str], digest: digests.Hasher
) -> None:
    """Note in `found` which SQL files are loaded, and what they say in `digest`."""
    from bootstrap import sqlfiles

    finder = sqlfiles.Finder()
    ids = {revision.path: id_ for id_, revision in found.items()}
    for path in sorted(sources):
        paths = finder.find(path, sources[path])
        found[ids[path]] = found[ids[path]]._replace(sql=paths)
        for each in paths:
            digest.update(each.rpartition("/")[2].encode() + Path(each).read_bytes())


def _text(path: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise NotPlainError(f"{path}: {error}") from error


def _revision(path: str, source: str) -> Revision:
    values: dict[str, Any] = {}
    first_def = source.find("\ndef ")
    try:
        for indentation, name, value in _ASSIGNED.findall(source, 0, first_def + 1 or len(source)):
            if indentation:
                raise NotPlainError(f"{path}: {name} is set on a condition")
            if name in values:
                raise ValueError
            values[name] = _literal(value)
        # Further down it is text within a string, most likely, but not for sure.
        if first_def != -1 and _ASSIGNED.search(source, first_def):
            raise ValueError
    except (ValueError, SyntaxError):
        values = _parsed(path, source)
    if not isinstance(values.get("revision"), str):
        raise NotPlainError(f"{path}: its revision id is not a plain string")
    if "down_revision" not in values:
        raise NotPlainError(f"{path}: its down_revision is not a plain assignment")
    title = _TITLE.match(source)
    return Revision(
        id=values["revision"],
        title=title[1].rstrip(".") if title else "",
        path=path,
        down=_ids(path, values.get("down_revision")),
        needs=_ids(path, values.get("depends_on")),
        labels=_ids(path, values.get("branch_labels")),
        compatible_with=_release(path, "compatible_with", values.get("compatible_with")),
        required_stop=_release(path, "required_stop", values.get("required_stop")),
    )


def _literal(text: str) -> object:
    """ast.literal_eval, with a short cut for what nearly every revision file has."""
    plain = _PLAIN.fullmatch(text)
    if plain:
        return plain[2] if plain[1] else None
    import ast

    return ast.literal_eval(text)


def _parsed(path: str, source: str) -> dict[str, Any]:
    """The same assignments by the syntax tree, for values that run over several lines."""
    import ast

    values: dict[str, Any] = {}
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise NotPlainError(f"{path}: {error}") from error
    for node in body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        for name in targets:
            if isinstance(name, ast.Name) and name.id in _NAMES:
                try:
                    values[name.id] = ast.literal_eval(value)
                except ValueError as error:
                    raise NotPlainError(f"{path}: {name.id} is computed") from error
    return values


def _ids(path: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (tuple, list, set)) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise NotPlainError(f"{path}: wanted revision ids, found {value!r}")


def script_folder(alembic: Path, roots: tuple[Path, ...]) -> Path:
    """The folder of env.py; `roots` is where the packages of a `package:path` may be."""
    if alembic.is_dir():
        return alembic
    location = str(_options(alembic).get("script_location", ""))
    package, colon, path = location.partition(":")
    if not colon:
        return _folder(alembic, location)
    parts = (*package.split("."), path)
    places = [root.joinpath(*parts) for root in roots]
    return next((place for place in places if place.is_dir()), places[0])


def _release(path: str, name: str, value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise MisdeclaredError(f"{path}: {name}: wanted a release such as '1.4.0', found {value!r}")


def _version_folders(alembic: Path) -> list[Path]:
    if alembic.is_dir():
        return _existing([alembic / "versions"])
    options = _options(alembic)
    if any(str(options.get(key, "")).lower() in ("true", "1", "yes", "on") for key in _UNUSUAL):
        raise NotPlainError(f"{alembic}: {' or '.join(_UNUSUAL)} is set")
    if "script_location" not in options:
        raise NotPlainError(f"{alembic}: no script_location")
    locations = options.get("version_locations")
    if not locations:
        return _existing([_folder(alembic, options["script_location"]) / "versions"])
    if isinstance(locations, str):
        raise NotPlainError(f"{alembic}: version_locations is set")
    return _existing([_folder(alembic, location) for location in locations])


@functools.cache
def _options(alembic: Path) -> Mapping[str, Any]:
    """What `alembic.ini` or `pyproject.toml` sets, as it stands there."""
    if alembic.suffix != ".toml":
        return dict(_ini_section(alembic))
    import tomllib

    table = tomllib.loads(alembic.read_text(encoding="utf-8")).get("tool", {}).get("alembic", {})
    return {key: value for key, value in table.items() if isinstance(value, (str, list, bool))}


def _folder(alembic: Path, value: object) -> Path:
    text = str(value).replace("%(here)s", str(alembic.parent.absolute()))
    if ":" in text or "%" in text:
        raise NotPlainError(f"{alembic}: {text!r} is not a plain path")
    return alembic.parent / text


_UNUSUAL = ("sourceless", "recursive_version_locations")


def _existing(folders: list[Path]) -> list[Path]:
    for folder in folders:
        if not folder.is_dir():
            raise NotPlainError(f"there is no folder {str(folder)!r}")
    return folders


def _ini_section(path: Path) -> dict[str, str]:
    """The options of `[alembic]`, without configparser's interpolation and its import cost."""
    options: dict[str, dict[str, str]] = {"DEFAULT": {}, "alembic": {}}
    section = key = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if not text or text[0] in "#;":
            continue
        if text.startswith("[") and text.endswith("]"):
            section, key = text[1:-1], ""
        elif section in options and line[0].isspace() and key:
            options[section][key] += f"\n{text}"
        elif section in options:
            key, *value = (part.strip() for part in re.split(r"[=:]", text, maxsplit=1))
            key = key.lower()
            options[section][key] = value[0] if value else ""
    return {**options["DEFAULT"], **options["alembic"]}

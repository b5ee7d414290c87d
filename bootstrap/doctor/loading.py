"""Files read into one project: variables put in, `extends`, `include` and overlays done.

What compose itself refuses is collected as problems.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bootstrap.doctor import interpolate, merge, nodes
from bootstrap.doctor.interpolate import Variables
from bootstrap.doctor.nodes import Node, UnreadableError
from bootstrap.doctor.project import Project, read, shown

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_TOP = ("services", "volumes", "networks", "secrets", "configs", "models")
_KINDS: Mapping[str, tuple[str, ...]] = {
    "image": ("text",),
    "command": ("text", "list"),
    "entrypoint": ("text", "list"),
    "environment": ("mapping", "list"),
    "env_file": ("text", "list"),
    "ports": ("list",),
    "volumes": ("list",),
    "depends_on": ("mapping", "list"),
    "healthcheck": ("mapping",),
    "profiles": ("list",),
    "secrets": ("list",),
    "restart": ("text",),
    "extends": ("text", "mapping"),
}


def find(folder: Path, environ: Mapping[str, str]) -> list[Path]:
    """The files that compose takes in this folder, none where it has none."""
    values = _with_dotenv(folder, environ, [])
    if given := values.get("COMPOSE_FILE"):
        return [folder / each for each in given.split(values.get("COMPOSE_PATH_SEPARATOR", ":"))]
    for name in NAMES:
        base = folder / name
        if base.is_file():
            stem, suffix = base.stem, base.suffix
            overs = [folder / f"{stem}.override{end}" for end in (suffix, ".yml", ".yaml")]
            return [base, *[each for each in overs if each.is_file()][:1]]
    return []


def load(files: Sequence[Path], environ: Mapping[str, str], name: str | None = None) -> Project:
    """Read files as one project, later ones over earlier ones.

    Raises SettingsError with all problems.
    """
    problems: list[str] = []
    folder = files[0].parent
    values = _with_dotenv(folder, environ, problems)
    project = Project("", folder)
    loader = _Loader(project, Variables(values, project.missing), problems)
    loader.add(files, folder)
    if not problems and not project.services:
        problems.append(f"{shown(files[0])}: is no compose file, it has no services")
    if problems:
        raise nodes.settings_error(problems)
    top = project.top.get("name")
    given = name or values.get("COMPOSE_PROJECT_NAME") or (top.text if top else None)
    project.name = given or re.sub(r"[^a-z0-9_-]", "", folder.resolve().name.lower()).lstrip("_-")
    return project


def _with_dotenv(
    folder: Path, environ: Mapping[str, str], problems: list[str]
) -> Mapping[str, str]:
    path = folder / ".env"
    if not path.is_file():
        return environ
    try:
        found = interpolate.entries(read(path), environ)
    except interpolate.MalformedError as error:
        problems.append(f"{shown(path)}: {error}")
        return environ
    except UnreadableError as error:
        problems.append(str(error))
        return environ
    return {**{each.name: each.value for each in found if each.value is not None}, **environ}


class _Loader:
    def __init__(self, project: Project, variables: Variables, problems: list[str]) -> None:
        self._project = project
        self._variables = variables
        self._problems = problems
        self._documents: dict[Path, Node | None] = {}
        self._including: set[Path] = set()

    def add(self, files: Sequence[Path], folder: Path) -> None:
        """Lay these files over each other, and what they include beneath."""
        declared: dict[str, Node] = {}
        for file in files:
            document = self._document(file, folder)
            if document is None:
                continue
            self._include(document, folder)
            for name, node in self._services(document, file, folder).items():
                if node.tag == "!reset":
                    declared.pop(name, None)
                else:
                    declared[name] = merge.merge(declared[name], node) if name in declared else node
            for key, node in document.entries.items():
                if key != "services":
                    held = self._project.top.get(key)
                    merged = merge.merge(held, node, (key,)) if held is not None else node
                    self._project.top[key] = merged
        for name, node in declared.items():
            self._project.services[name] = node
            self._project.environments[name] = self._environment(name, node)

    def _document(self, file: Path, folder: Path) -> Node | None:
        path = file.absolute()
        if path in self._documents:
            return self._documents[path]
        self._documents[path] = None
        name = shown(file)
        try:
            text = read(file)
            found = nodes.documents(text, name, lambda text, line: self._put_in(text, name, line))
        except UnreadableError as error:
            self._problems.append(str(error))
            return None
        self._project.texts[name] = text
        self._project.folders[name] = folder
        if not found:
            self._problems.append(f"{name}: is empty")
            return None
        document = found[0]
        for other in found[1:]:
            document = merge.merge(document, other)
        if not isinstance(document.value, dict):
            self._problems.append(f"{name}: is no compose file, it is no mapping")
            return None
        self._check(document)
        self._project.files.append(name)
        self._project.documents[name] = document
        self._documents[path] = document
        return document

    def _put_in(self, text: str, file: str, line: int) -> str:
        try:
            return self._variables.put_in(text, file, line)
        except interpolate.MalformedError as error:
            self._problems.append(f"{file}:{line}: {error}")
            return text

    def _check(self, document: Node) -> None:
        """Problems for what has not the form that compose demands."""
        for key in _TOP:
            node = document.get(key)
            if node is not None and not isinstance(node.value, dict | None):
                self._wrong(node, key, "a mapping")
        services = document.get("services")
        for name, service in (services.entries if services else {}).items():
            if service.tag == "!reset":
                continue
            if not isinstance(service.value, dict):
                self._wrong(service, f"services.{name}", "a mapping")
            for key, kinds in _KINDS.items():
                node = service.get(key)
                if node is not None and node.value is not None and _kind(node) not in kinds:
                    wanted = " or ".join(f"a {each}" for each in kinds)
                    self._wrong(node, f"services.{name}.{key}", wanted)

    def _wrong(self, node: Node, path: str, wanted: str) -> None:
        found = "nothing" if node.value is None else f"a {_kind(node)}"
        self._problems.append(f"{node.file}:{node.line}: {path}: wanted {wanted}, found {found}")

    def _services(self, document: Node, file: Path, folder: Path) -> dict[str, Node]:
        services = document.get("services")
        found = {}
        for name, node in (services.entries if services else {}).items():
            if node.tag == "!reset":
                found[name] = node
            elif isinstance(node.value, dict):
                found[name] = self._extended(merge.service(node), file, folder, (name,))
        return found

    def _extended(self, node: Node, file: Path, folder: Path, path: tuple[str, ...]) -> Node:
        """A service over the one that it extends."""
        extends = node.get("extends")
        if extends is None:
            return node
        wanted = extends.text or extends.said("service") or ""
        given = extends.said("file")
        source = folder / given if given else file
        document = self._document(source, source.parent if given else folder)
        where = f"{extends.file}:{extends.line}"
        if document is None:
            return node
        base = document.get("services", wanted)
        if base is None or not isinstance(base.value, dict):
            self._problems.append(f"{where}: extends {wanted!r}, which {shown(source)} has not")
            return node
        key = f"{source}:{wanted}"
        if key in path or (not given and wanted == path[0]):
            self._problems.append(f"{where}: {wanted!r} extends itself")
            return node
        base = self._extended(merge.service(base), source, source.parent, (*path, key))
        own = {name: each for name, each in node.entries.items() if name != "extends"}
        return merge.merge(base, replace(node, value=own))

    def _include(self, document: Node, folder: Path) -> None:
        include = document.get("include")
        for each in include.items if include else ():
            paths = each.get("path")
            listed = [each, *([paths, *paths.items] if paths else ())]
            files = [folder / node.text for node in listed if node.text]
            if not files or files[0].absolute() in self._including:
                continue
            self._including.add(files[0].absolute())
            place = each.said("project_directory")
            where = folder / place if place else files[0].parent
            values = {**_with_dotenv(where, {}, self._problems), **self._variables.values}
            inner = _Loader(self._project, Variables(values, self._project.missing), self._problems)
            inner._including = self._including
            inner.add(files, where)

    def _environment(self, name: str, node: Node) -> dict[str, Node]:
        """The variables of a service: those of its env_files under those of its environment."""
        found: dict[str, Node] = {}
        files = node.get("env_file")
        for each in files.items if files else ():
            given = each.text or each.said("path")
            if not given:
                continue
            path = self._project.path(each, given)
            if not path.is_file():
                if each.said("required") != "false":
                    self._project.absent.append((each, f"services.{name}.env_file: {given}"))
                continue
            found.update(self._entries(path))
        environment = node.get("environment")
        for key, value in (environment.entries if environment else {}).items():
            text = self._variables.values.get(key) if value.value is None else value.text
            found[key] = replace(value, value=text)
        return found

    def _entries(self, path: Path) -> dict[str, Node]:
        file = shown(path)
        try:
            text = read(path)
            found = interpolate.entries(text, self._variables.values)
        except interpolate.MalformedError as error:
            self._problems.append(f"{file}: {error}")
            return {}
        except UnreadableError as error:
            self._problems.append(str(error))
            return {}
        self._project.texts[file] = text
        return {
            each.name: Node(file, each.line, each.line, 0, True, value)
            for each in found
            if (
                value := self._variables.values.get(each.name) if each.value is None else each.value
            )
            is not None
        }


def _kind(node: Node) -> str:
    if node.value is None:
        return "null"
    if isinstance(node.value, str):
        return "text"
    return "mapping" if isinstance(node.value, dict) else "list"

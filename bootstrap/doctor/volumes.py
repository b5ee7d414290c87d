"""Data directories of PostgreSQL in volumes and folders, at any depth.

A server of another version does not read them, and one that looks elsewhere makes a new, empty
database: both are to be known before anything starts.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bootstrap.doctor import data, finding
from bootstrap.doctor.finding import Finding
from bootstrap.doctor.service import Service

if TYPE_CHECKING:
    from docker import DockerClient

_MARK = "PG_VERSION"
_DEEPEST = 8
# Each file of this name with its content; what is below a data directory belongs to that.
_FIND = (
    f"find /volume -maxdepth {_DEEPEST + 1} -name {_MARK} "
    '| while read -r file; do echo "${file#/volume/} $(cat "$file")"; done'
)


class UnseenError(Exception):
    """A volume that cannot be looked into, and why."""


@dataclass(frozen=True)
class Held:
    """One data directory: its place within the volume, empty for its root, and its version."""

    path: str
    version: str


@dataclass(frozen=True)
class Place:
    """A volume of the engine, or a folder of the host, and where a server has it."""

    name: str
    is_folder: bool
    target: str

    def __str__(self) -> str:
        return f"{'folder' if self.is_folder else 'volume'} {self.name}"


@dataclass(frozen=True)
class Server:
    """A PostgreSQL that is to be started: its image, its major version, and what it mounts."""

    service: Service
    image: str
    major: int
    places: tuple[Place, ...]


def held(engine: "DockerClient | None", place: Place, image: str) -> list[Held]:
    """The data directories in a volume or folder, none where it is not there or holds other things.

    `image` is for a container that looks where this process may not. Raises UnseenError.
    """
    home = data.covers(data.HOME, place.target) or data.covers(place.target, data.HOME)
    if not home:
        return []
    folder = Path(place.name)
    if not place.is_folder:
        if engine is None:
            return []
        import docker

        try:
            volume = engine.volumes.get(place.name)
        except docker.errors.NotFound:
            return []
        folder = Path(volume.attrs["Mountpoint"])
        # A volume with options is mounted only while a container uses it.
        plain = _is_local(engine) and not volume.attrs.get("Options")
        if not (plain and os.access(folder, os.R_OK | os.X_OK)):
            return _by_container(engine, place, image)
    elif not folder.is_dir():
        return []
    try:
        return list(_walk(folder))
    except OSError as error:
        if engine is None or place.is_folder:
            raise UnseenError(f"{error.strerror or error}: {error.filename}") from error
        return _by_container(engine, place, image)


def _is_local(engine: "DockerClient") -> bool:
    return engine.api.base_url.startswith(
        ("http+docker://localunixsocket", "http+docker://localhost")
    )


def _walk(root: Path) -> Iterator[Held]:
    def fail(error: OSError) -> None:
        raise error

    for folder, below, files in os.walk(root, onerror=fail):
        path = Path(folder).relative_to(root)
        if _MARK in files:
            version = (Path(folder) / _MARK).read_text(encoding="ascii", errors="replace").strip()
            yield Held("" if path == Path() else str(path), version)
            below.clear()
        elif len(path.parts) >= _DEEPEST:
            below.clear()


def _by_container(engine: "DockerClient", place: Place, image: str) -> list[Held]:
    """Let a container of the same image look, which can only read."""
    import docker

    try:
        engine.images.get(image)
        said = engine.containers.run(
            image,
            entrypoint=["sh", "-c", _FIND],
            command=[],
            user="0",
            network_disabled=True,
            remove=True,
            volumes={place.name: {"bind": "/volume", "mode": "ro"}},
        )
    except docker.errors.ImageNotFound as error:
        raise UnseenError(f"this user cannot read it, and image {image} is not here yet") from error
    except docker.errors.DockerException as error:
        raise UnseenError(f"a container that looks into it fails: {error}") from error
    found = []
    for line in sorted(said.decode(errors="replace").splitlines()):
        file, _, version = line.rpartition(" ")
        parent = str(PurePosixPath(file).parent)
        found.append(Held("" if parent == "." else parent, version))
    return [
        each
        for each in found
        if not any(other is not each and _is_below(each.path, other.path) for other in found)
    ]


def _is_below(path: str, parent: str) -> bool:
    return parent == "" or path.startswith(f"{parent}/")


def check(server: Server, place: Place, found: list[Held]) -> Iterator[Finding]:
    """What this server would not find, or not be able to read."""
    each = server.service
    wanted = data.directory(each, server.major)
    at = {_joined(place.target, one.path): one for one in found}
    there = at.get(wanted)
    if there is not None and there.version == str(server.major):
        # What an upgrade has left behind is nobody's concern.
        return
    for path, one in at.items():
        where = one.path or "its root"
        if one.version != str(server.major):
            yield finding.outside(
                "data-version",
                str(place),
                each.name,
                f"it holds data of PostgreSQL {one.version} at {where}, and the image is "
                f"{server.image}",
                instead=f"keep PostgreSQL {one.version} for now. To move the data, dump it with "
                "its own version, and read the dump into the new version with another volume",
                commands=_dump(each, place, one),
            )
        else:
            yield finding.outside(
                "old-data",
                str(place),
                each.name,
                f"it holds data at {path}, and the server looks at {wanted}",
                instead=f"say where it is: under environment, PGDATA: {path}",
            )


def _major(version: str) -> int:
    """The major version of what PG_VERSION says: 15, or 9 of 9.6."""
    digits = version.partition(".")[0]
    return int(digits) if digits.isdigit() else 0


def _joined(target: str, path: str) -> str:
    return f"{target}/{path}" if path else target


def _dump(each: Service, place: Place, one: Held) -> tuple[str, ...]:
    user = each.value("POSTGRES_USER") or "postgres"
    name = f"{each.name if place.is_folder else place.name}-{one.version}"
    home = data.home(_major(one.version))
    return (
        f"docker run --detach --name {name} --volume {place.name}:{home} "
        f"--env PGDATA={_joined(home, one.path)} postgres:{one.version}",
        f"timeout 120 sh -c 'until docker exec {name} pg_isready --quiet; do sleep 1; done'",
        f"docker exec {name} pg_dumpall --username {user} >all.sql",
        f"docker rm --force --volumes {name}",
        f"# give {each.name} another volume, then:",
        f"docker compose up --wait {each.name}",
        f"docker compose exec --no-TTY {each.name} psql --username {user} --dbname postgres "
        "<all.sql",
    )

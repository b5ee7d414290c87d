"""Where the data is kept, and what a server needs to keep it whole."""

from collections.abc import Iterator

from bootstrap.doctor import finding, parts
from bootstrap.doctor.finding import Finding
from bootstrap.doctor.parts import Mount
from bootstrap.doctor.service import Service
from bootstrap.doctor.stack import Stack
from bootstrap.options import SPECS

# The parent of all data directories, and what images before 18 declare as their volume.
HOME = "/var/lib/postgresql"
OLD = f"{HOME}/data"
_NEW_LAYOUT = 18
_GRACE_S = 10.0
_POSTGRES_GRACE_S = 30.0


def check(stack: Stack) -> Iterator[Finding]:
    """Every fault that costs data."""
    for each in stack.services.values():
        if each.kind == "postgres" and each.image is not None and each.image.official:
            yield from _postgres_data(each)
        if each.kind == "postgres":
            yield from _shared_memory(each)
        yield from _grace(each)


def home(major: int) -> str:
    """Where the image of this version wants its volume."""
    return HOME if major >= _NEW_LAYOUT else OLD


def directory(each: Service, major: int) -> str:
    """Where a server of this version keeps its data."""
    return each.value("PGDATA") or (f"{HOME}/{major}/docker" if major >= _NEW_LAYOUT else OLD)


def covers(target: str, path: str) -> bool:
    """Whether a path is within a mount."""
    return path == target or path.startswith(f"{target.rstrip('/')}/")


def holding(each: Service, path: str) -> Mount | None:
    """The mount that a path is in."""
    found = [mount for mount in each.mounts if covers(mount.target, path)]
    return max(found, key=lambda mount: len(mount.target), default=None)


def _postgres_data(each: Service) -> Iterator[Finding]:
    major = each.image.major if each.image else None
    # Of a version that is not known, either place may be right.
    majors = [major] if major is not None else [_NEW_LAYOUT, _NEW_LAYOUT - 1]
    wrong: Mount | None = None
    for one in majors:
        path = directory(each, one)
        mount = holding(each, path)
        shadowed = one < _NEW_LAYOUT and covers(OLD, path) and mount and mount.target == HOME
        old = one >= _NEW_LAYOUT and not mount and holding(each, OLD)
        if shadowed or old:
            wrong = mount or old or None
        elif mount is None:
            wrong = wrong or next((m for m in each.mounts if covers(HOME, m.target)), None)
        elif mount.type == "volume" and not mount.source:
            yield unnamed(each, mount, home(one))
            return
        else:
            return
    one = majors[0]
    if wrong is None:
        yield unnamed(each, None, home(one))
        return
    if wrong.type == "tmpfs":
        # What is in memory is meant to be lost.
        return
    place = home(one)
    why = (
        f"from PostgreSQL 18 on the image keeps its data in {HOME}/18/docker, and refuses a "
        f"mount at {OLD}"
        if one >= _NEW_LAYOUT
        else f"before PostgreSQL 18 the image has an anonymous volume at {OLD}, which hides what "
        f"is mounted at {HOME}: the data is gone with the container"
    )
    yield finding.at(
        "data-path",
        wrong.node,
        each.name,
        f"PostgreSQL {one} with a mount at {wrong.target}",
        finding.put(wrong.node, *_mounted(wrong, place)),
        why=why,
        instead="mount the volume where this version keeps its data; data that is there already "
        "has to be moved first",
    )


def _mounted(mount: Mount, target: str) -> tuple[str, ...]:
    if mount.node.entries:
        return (f"- type: {mount.type}", f"  source: {mount.source}", f"  target: {target}")
    options = f":{mount.options}" if mount.options else ""
    return (f"- {mount.source}:{target}{options}",)


def unnamed(each: Service, mount: Mount | None, place: str) -> Finding:
    """The data of a service is in a volume without a name, or in none."""
    name = f"{each.name}_data"
    line = f"- {name}:{place}"
    listed = each.node.get("volumes")
    if mount is not None:
        edit = finding.put(mount.node, line)
    elif listed is not None and listed.items:
        edit = finding.add(listed, line)
    else:
        edit = finding.put_in(each.node, "volumes", "volumes:", f"  {line}")
    return finding.at(
        "data-volume",
        mount.node if mount else each.node,
        each.name,
        f"{mount.target} has no name" if mount else f"nothing is mounted at {place}",
        edit,
        instead=f"name a volume for it, and declare it: volumes: {name}:",
    )


def _shared_memory(each: Service) -> Iterator[Finding]:
    host = each.node.said("ipc") == "host"
    own = any(mount.target == "/dev/shm" for mount in each.mounts)  # noqa: S108
    if each.node.get("shm_size") is None and not host and not own:
        edit = finding.add(each.node, "shm_size: 256mb")
        yield finding.at("shm-size", each.node, each.name, "no shm_size", edit)


def _grace(each: Service) -> Iterator[Finding]:
    node = each.node.get("stop_grace_period")
    given_s = parts.seconds(node.text if node else None, _GRACE_S)
    if each.kind == "postgres":
        wanted_s, why = (
            _POSTGRES_GRACE_S,
            (
                "a server that is killed before it has written its last checkpoint has to "
                "recover at the next start"
            ),
        )
    elif each.daemon is not None and not (each.daemon.verb is None and each.daemon.command):
        spec = SPECS["BOOTSTRAPD_GRACE_S"]
        grace_s = parts.seconds(each.value("BOOTSTRAPD_GRACE_S"), float(str(spec.default)))
        wanted_s, why = (
            grace_s + 3,
            (
                f"bootstrapd may take BOOTSTRAPD_GRACE_S = {grace_s:g} s to finish a revision or "
                "to take it back"
            ),
        )
    else:
        return
    if given_s < wanted_s:
        shown = f"stop_grace_period: {node.text}" if node and node.text else "no stop_grace_period"
        edit = finding.put_in(each.node, "stop_grace_period", f"stop_grace_period: {wanted_s:g}s")
        yield finding.at(
            "stop-grace", node or each.node, each.name, f"{shown} ({given_s:g} s)", edit, why=why
        )

"""The stack that runs, and the volumes that it would start on."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from bootstrap.doctor import data, finding, images, passwords, volumes
from bootstrap.doctor.finding import Finding
from bootstrap.doctor.nodes import Node
from bootstrap.doctor.project import Project
from bootstrap.doctor.report import Report, count
from bootstrap.doctor.service import Service
from bootstrap.doctor.stack import Stack
from bootstrap.doctor.volumes import Place, Server, UnseenError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

_TIMEOUT_S = 30
_LOG_LENGTH = 200
# By itself, or because somebody asked it to.
_STOPPED = (0, 130, 143)
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")


def look(stack: Stack | None, name: str, report: Report) -> list[Finding]:
    """What is wrong with the containers and volumes of a project; notes tell what was not seen."""
    import docker

    try:
        engine = docker.from_env(timeout=_TIMEOUT_S)
        engine.ping()
    except docker.errors.DockerException as error:
        report.notes.append(f"no container engine answers, so only files were looked at: {error}")
        return []
    with contextlib.closing(engine):
        containers = engine.containers.list(
            all=True,
            filters={"label": f"com.docker.compose.project={name}"},
            ignore_removed=True,
        )
        report.looked.append(f"project {name} ({count(containers, 'container')})")
        found = [each for one in containers for each in _container(one)]
        servers = {each.service.name: each for one in containers for each in _started(one)}
        # What is to be started next is what counts.
        servers |= {each.service.name: each for each in _declared(engine, stack)}
        for server in servers.values():
            for place in server.places:
                try:
                    found += volumes.check(server, place, volumes.held(engine, place, server.image))
                except UnseenError as error:
                    report.notes.append(
                        f"{place} of {server.service.name} was not looked into: {error}"
                    )
        return found


# -- containers -----------------------------------------------------------------------------------


def _container(one: "Container") -> Iterator[Finding]:
    attributes = one.attrs
    place = f"container {one.name}"
    subject = one.labels.get("com.docker.compose.service", "")
    trouble = _trouble(attributes)
    if trouble:
        found, why = trouble
        yield finding.outside(
            "not-running",
            place,
            subject,
            found,
            why=why,
            instead="see its log",
            commands=(f"docker logs --tail 50 {one.name}",),
        )
    # Docker tells 0.0.0.0 and :: one by one.
    open_ports = {
        f"{binding['HostPort']}:{port}"
        for port, bindings in (attributes["NetworkSettings"].get("Ports") or {}).items()
        for binding in bindings or ()
        if images.is_open(binding["HostIp"])
    }
    for port in sorted(open_ports):
        yield finding.outside(
            "published-port", place, subject, f"port {port} is bound on all addresses"
        )
    for name, value in _variables(attributes).items():
        secret = passwords.secret(name, value)
        if secret is not None:
            yield finding.outside("password-in-environment", place, subject, secret.shown)
    check = (attributes["Config"].get("Healthcheck") or {}).get("Test") or ()
    for words in ((attributes["Path"], *attributes["Args"]), check):
        shown = passwords.in_command(" ".join(words))
        if shown is not None:
            yield finding.outside("password-in-command", place, subject, shown)
    for mount in attributes["Mounts"]:
        if _is_anonymous_data(attributes, mount):
            yield finding.outside(
                "data-volume",
                place,
                subject,
                f"its data at {mount['Destination']} is in a volume without a name",
                why="the next container that compose makes may start empty",
            )


def _trouble(attributes: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong with a container's state, and why that matters."""
    state = attributes["State"]
    status, code = state["Status"], state["ExitCode"]
    memory = ", out of memory" if state.get("OOMKilled") else ""
    if status == "restarting" or (status == "running" and state.get("Restarting")):
        times = attributes.get("RestartCount", 0)
        return f"it ends and is started again, {times} times so far (exit code {code}{memory})", (
            "whatever it is to do, it never gets there"
        )
    if status in ("exited", "dead") and code not in _STOPPED:
        return f"it ended with exit code {code}{memory}", "what waits for it does not start"
    health = state.get("Health") or {}
    if status == "running" and health.get("Status") == "unhealthy":
        last = (health.get("Log") or [{}])[-1]
        said = " ".join((last.get("Output") or "").split())[:_LOG_LENGTH]
        return f"it is unhealthy: {said or 'its check says nothing'}", "what waits for it fails"
    if status == "paused":
        return "it is paused", "whoever asks it waits for ever"
    return None


def _variables(attributes: Mapping[str, Any]) -> dict[str, str]:
    pairs = (each.partition("=") for each in attributes["Config"].get("Env") or ())
    return {name: value for name, _, value in pairs}


def _is_anonymous_data(attributes: Mapping[str, Any], mount: Mapping[str, Any]) -> bool:
    if mount["Type"] != "volume" or not _ANONYMOUS.fullmatch(mount["Name"]):
        return False
    pgdata = _variables(attributes).get("PGDATA", data.OLD)
    return _version(attributes) is not None and data.covers(mount["Destination"], pgdata)


def _version(attributes: Mapping[str, Any]) -> int | None:
    """The version of the PostgreSQL server in a container; None where none runs in it."""
    major = _variables(attributes).get("PG_MAJOR", "")
    words = [attributes.get("Path", ""), *(attributes.get("Args") or ())]
    serves = any(PurePosixPath(word).name == "postgres" for word in words)
    return int(major) if serves and major.isdigit() else None


# -- volumes --------------------------------------------------------------------------------------


def _declared(engine: "DockerClient", stack: Stack | None) -> Iterator[Server]:
    """The servers that the files declare, with what they would have mounted."""
    for each in stack.services.values() if stack else ():
        if each.kind == "postgres" and each.image is not None and stack is not None:
            major = each.image.major or _major(engine, each.image.text)
            if major is not None:
                places = tuple(_mounted(stack.project, each))
                yield Server(each, each.image.text, major, places)


def _mounted(project: Project, each: Service) -> Iterator[Place]:
    for mount in each.mounts:
        if mount.type == "volume" and mount.source:
            yield Place(project.volume(mount.source), False, mount.target)
        elif mount.type == "bind":
            yield Place(str(project.path(mount.node, mount.source).resolve()), True, mount.target)


def _major(engine: "DockerClient", image: str) -> int | None:
    """PostgreSQL's version in an image that is here."""
    import docker

    try:
        attributes = engine.images.get(image).attrs
    except docker.errors.DockerException:
        return None
    major = _variables(attributes).get("PG_MAJOR", "")
    return int(major) if major.isdigit() else None


def _started(one: "Container") -> Iterator[Server]:
    """The server in a container, with what it has mounted, by its service where that is known."""
    major = _version(one.attrs)
    if major is None:
        return
    variables = _variables(one.attrs)
    name = one.labels.get("com.docker.compose.service", one.name or "")
    environment = {key: Node("", 0, 0, 0, False, value) for key, value in variables.items()}
    places = tuple(
        Place(
            mount["Source"] if mount["Type"] == "bind" else mount["Name"],
            mount["Type"] == "bind",
            mount["Destination"],
        )
        for mount in one.attrs["Mounts"]
        if mount["Type"] in ("bind", "volume")
    )
    each = Service(name, Node("", 0, 0, 0, False, {}), environment)
    yield Server(each, one.attrs["Config"]["Image"], major, places)

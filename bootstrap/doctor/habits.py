"""Rights that are too wide, and what a compose file does better without."""

from collections.abc import Iterator

from bootstrap.doctor import finding
from bootstrap.doctor.finding import Finding
from bootstrap.doctor.nodes import Node
from bootstrap.doctor.stack import Stack

_SOCKETS = ("docker.sock", "podman.sock", "containerd.sock")


def check(stack: Stack) -> Iterator[Finding]:
    """Rights, names, variables and files."""
    version = stack.project.top.get("version")
    if version is not None:
        yield finding.at(
            "version-key", version, "", f"version: {version.text}", finding.remove(version)
        )
    for each in stack.services.values():
        name = each.node.get("container_name")
        if name is not None:
            found = f"container_name: {name.text}"
            yield finding.at("container-name", name, each.name, found, finding.remove(name))
        privileged = each.node.get("privileged")
        if privileged is not None and privileged.text == "true":
            edit = finding.remove(privileged)
            yield finding.at("privileged", privileged, each.name, "privileged: true", edit)
        for mount in each.mounts:
            if mount.source.endswith(_SOCKETS):
                found = f"{mount.source} is mounted"
                edit = finding.remove(mount.node)
                yield finding.at("engine-socket", mount.node, each.name, found, edit)
    yield from _variables(stack)
    for node, found in stack.project.absent:
        yield finding.at("missing-file", node, "", found)


def _variables(stack: Stack) -> Iterator[Finding]:
    told: set[str] = set()
    for each in stack.project.missing:
        if each.name in told:
            continue
        told.add(each.name)
        node = Node(each.file, each.line, each.line, 0, False, None)
        if each.wanted is None:
            yield finding.at("unset-variable", node, "", f"${each.name}")
        else:
            why = f"it is not set here, and compose demands it: {each.wanted or each.name}"
            yield finding.at("unset-variable", node, "", f"${each.name}", why=why)

"""Overlays laid over a base, and short forms made long, as the compose specification says."""

import re
from collections.abc import Mapping
from dataclasses import replace

from bootstrap.doctor.nodes import Node

# What an overlay replaces as a whole.
_REPLACED = {("command",), ("entrypoint",), ("healthcheck", "test")}
# Lists of `NAME=value` that are mappings too.
_PAIRS = ("environment", "labels", "annotations", "sysctls", "extra_hosts", "ulimits")
_PORT = re.compile(
    r"(?:(?P<ip>\[[^\]]*\]|[^:]*):)??(?:(?P<published>[0-9-]*):)?(?P<target>[0-9-]+)"
    r"(?:/(?P<protocol>\w+))?"
)


def service(node: Node) -> Node:
    """A service with the short forms of its mappings made long."""
    found = dict(node.entries)
    for key in _PAIRS:
        if key in found and found[key].items:
            found[key] = _pairs(found[key])
    for key in ("depends_on", "networks"):
        if key in found and found[key].items:
            named = {each.text: replace(each, value={}) for each in found[key].items if each.text}
            found[key] = replace(found[key], value=named)
    for key in ("env_file", "tmpfs"):
        if key in found and found[key].text is not None:
            found[key] = replace(found[key], value=[replace(found[key], whole=False)])
    if "build" in found and found["build"].text is not None:
        context = replace(found["build"], whole=False)
        found["build"] = replace(found["build"], value={"context": context})
    args = found["build"].get("args") if "build" in found else None
    if args is not None and args.items:
        build = {**found["build"].entries, "args": _pairs(args)}
        found["build"] = replace(found["build"], value=build)
    return replace(node, value=found)


def _pairs(node: Node) -> Node:
    found = {}
    for each in node.items:
        name, equals, value = (each.text or "").partition("=")
        found[name] = replace(each, value=value if equals else None)
    return replace(node, value=found)


def merge(base: Node, over: Node, path: tuple[str, ...] = ()) -> Node:
    """A part of a service, or a whole one, with an overlay's laid over it."""
    if over.tag == "!override" or path in _REPLACED:
        return over
    if base.entries and over.entries:
        return replace(over, value=_mapping(base.entries, over.entries, path))
    if base.items and over.items:
        return replace(over, value=_list(base, over, path))
    if over.value is None or over.value in ({}, []):
        return base if path else over
    return over


def _mapping(
    base: Mapping[str, Node], over: Mapping[str, Node], path: tuple[str, ...]
) -> dict[str, Node]:
    found = dict(base)
    for name, node in over.items():
        if node.tag == "!reset":
            found.pop(name, None)
        elif name in found:
            found[name] = merge(found[name], node, (*path, name))
        else:
            found[name] = node
    return found


def _list(base: Node, over: Node, path: tuple[str, ...]) -> list[Node]:
    if path and path[-1] in ("volumes", "secrets", "configs", "tmpfs", "ports", "devices"):
        found = {_identity(each, path[-1]): each for each in base.items}
        found.update({_identity(each, path[-1]): each for each in over.items})
        return list(found.values())
    texts = {each.text for each in base.items if each.text is not None}
    return [*base.items, *(each for each in over.items if each.text not in texts)]


def _identity(node: Node, kind: str) -> tuple[str, ...]:
    """By what an entry of a list is known, so that the overlay's takes the base's place."""
    text = node.text
    if kind == "ports":
        match = _PORT.fullmatch(text or "")
        long = {key: node.said(key) for key in ("host_ip", "published", "target", "protocol")}
        found = (
            (match["ip"], match["published"], match["target"], match["protocol"])
            if match
            else tuple(long.values())
        )
        return (
            (*(part or "" for part in found[:3]), found[3] or "tcp")
            if any(found)
            else (str(id(node)),)
        )
    if text is None:
        return (node.said("target") or node.said("source") or str(id(node)),)
    if kind == "volumes":
        parts = text.split(":")
        return (parts[1] if len(parts) > 1 else parts[0],)
    return (text.partition(":")[0],)

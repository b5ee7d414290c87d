"""Redis: what it keeps through a crash, and how much memory it takes."""

import json
from collections.abc import Iterator
from pathlib import Path

from bootstrap.doctor import data, finding, nodes, project, shell
from bootstrap.doctor.finding import Finding
from bootstrap.doctor.service import Service
from bootstrap.doctor.stack import Stack

_HOME = "/data"
_MEMORY = ("--maxmemory", "256mb", "--maxmemory-policy", "noeviction")


def check(stack: Stack) -> Iterator[Finding]:
    """Every Redis that loses what it holds, or takes all memory."""
    for each in stack.services.values():
        if each.kind == "redis":
            yield from _redis(stack, each)


def _redis(stack: Stack, each: Service) -> Iterator[Finding]:
    options = _options(stack, each)
    if options is None:
        return
    if "appendonly" not in options:
        yield _option(each, "redis-durability", "no appendonly", "--appendonly", "yes")
    if "maxmemory" not in options:
        yield _option(each, "redis-memory", "no maxmemory", *_MEMORY)
    if options.get("appendonly") == "yes":
        mount = data.holding(each, options.get("dir", _HOME))
        if mount is None or (mount.type == "volume" and not mount.source):
            yield data.unnamed(each, mount, _HOME)


def _option(each: Service, rule: str, found: str, *more: str) -> Finding:
    node = each.node.get("command")
    command = shell.words(node) or ("redis-server",)
    edit = None
    # Neither a script nor a password can be written out again.
    if not {"-c", "-ec", "--requirepass", "--masterauth"} & set(command):
        lines = [f"  - {_scalar(word)}" for word in (*command, *more)]
        edit = finding.put_in(each.node, "command", "command:", *lines)
    how = "" if edit else f"redis-server ... {' '.join(more)}"
    return finding.at(rule, node or each.node, each.name, found, edit, instead=how)


def _scalar(word: str) -> str:
    return json.dumps(word.replace("$", "$$"), ensure_ascii=False)


def _options(stack: Stack, each: Service) -> dict[str, str] | None:
    """The options of a Redis by name; None where a file that cannot be read here has them."""
    found: dict[str, str] = {}
    words = each.flat
    for place, word in enumerate(words):
        if word.endswith(".conf"):
            text = _config(stack, each, word)
            if text is None:
                return None
            for line in text.splitlines():
                name, _, value = line.strip().partition(" ")
                if name and not name.startswith("#"):
                    found[name.lower()] = value.strip().strip('"')
        elif word.startswith("--"):
            # redis-server takes "--appendonly yes" as one word too.
            name, _, value = word.removeprefix("--").partition(" ")
            after = words[place + 1] if place + 1 < len(words) else ""
            found[name.lower()] = (value or after).strip()
    return found


def _config(stack: Stack, each: Service, target: str) -> str | None:
    mount = data.holding(each, target)
    path: Path | None = None
    if mount is not None and mount.type == "bind":
        path = stack.project.path(mount.node, mount.source)
        path /= target[len(mount.target) :].lstrip("/")
    listed = each.node.get("configs")
    for entry in listed.items if listed is not None else ():
        name = entry.text or entry.said("source") or ""
        top = stack.project.top.get("configs")
        declared = top.get(name) if top is not None else None
        if declared is None or (entry.said("target") or f"/{name}") != target:
            continue
        content = declared.said("content")
        if content is not None:
            return content
        file = declared.said("file")
        path = stack.project.path(declared, file) if file else None
    if path is None or not path.is_file():
        return None
    try:
        return project.read(path)
    except nodes.UnreadableError:
        return None

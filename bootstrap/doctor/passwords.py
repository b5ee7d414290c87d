"""Passwords where others can read them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bootstrap.doctor import finding
from bootstrap.doctor.finding import Edit, Finding
from bootstrap.doctor.nodes import Node
from bootstrap.doctor.service import Service
from bootstrap.doctor.stack import Stack

_NAME = re.compile(
    r"(?:^|_)(?:PASSWORD|PASSWD|PASSPHRASE|PASS|SECRET|SECRET_KEY(?:_BASE)?|TOKEN|API_?KEY"
    r"|PRIVATE_KEY|ACCESS_KEY|CREDENTIALS?)$|^REDISCLI_AUTH$",
    re.IGNORECASE,
)
_SWITCH = re.compile(r"^(?:ALLOW|ENABLE|DISABLE|REQUIRE|NO|SKIP|USE)_", re.IGNORECASE)
_PAIR = re.compile(r"(?:^|[\s?&;])(?:password|passwd|pwd)=([^\s&;]+)", re.IGNORECASE)
_ASSIGNED = re.compile(r"\b\w*PASSWORD=([^\s$'\"][^\s'\"]*)")
_SAYS = re.compile(r"^trust$")
_TRUST = re.compile(r"(?:--auth(?:-host)?[= ]|-A ?)trust")
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s:/@]*:([^\s/]*)@", re.IGNORECASE)
_OPTION = re.compile(
    r"(?P<option>--requirepass|--masterauth|--pass(?:word)?|--db-password|(?<=-cli )-a)(?:[= ]+)"
    r"(?P<value>\S+|$)"
)


@dataclass(frozen=True)
class Secret:
    """A variable that holds a password, with its value hidden."""

    name: str
    shown: str


def secret(name: str, value: str, *, hidden: bool = False) -> Secret | None:
    """What a variable gives away; `hidden` tells that its value is not known here."""
    if name.endswith("_FILE"):
        return None
    if _NAME.search(name) and not _SWITCH.search(name):
        plain = value.lower() in ("", "true", "false", "yes", "no", "required", "0", "1")
        if (hidden or not plain) and not value.startswith("/"):
            return Secret(name, f"{name}: ***")
    for pattern in (_URL, _PAIR):
        match = pattern.search(value)
        if match and (match[1] or hidden):
            begin, end = match.span(1)
            return Secret(name, f"{name}: {value[:begin]}***{value[end:]}")
    return None


def in_command(text: str) -> str | None:
    """A command with its password hidden; None where it holds none."""
    for pattern, group in ((_OPTION, "value"), (_URL, 1), (_ASSIGNED, 1)):
        match = pattern.search(text)
        if match and (match[group] or pattern is _OPTION):
            begin, end = match.span(group)
            return f"{text[:begin]}***{text[end:]}"
    return None


def check(stack: Stack) -> Iterator[Finding]:
    """Every password in an environment or a command, and servers that want none."""
    for each in stack.services.values():
        for name, node in each.environment.items():
            hidden = "$" in stack.source(node)
            found = secret(name, node.text or "", hidden=hidden)
            if found is not None:
                yield finding.at(
                    "password-in-environment",
                    node,
                    each.name,
                    found.shown,
                    *as_file(stack, each, node, name),
                )
        yield from _commands(each)
        yield from _build(each)
        yield from _trust(each)


def _trust(each: Service) -> Iterator[Finding]:
    for name, says in (("POSTGRES_HOST_AUTH_METHOD", _SAYS), ("POSTGRES_INITDB_ARGS", _TRUST)):
        node = each.environment.get(name)
        text = node.text or "" if node is not None else ""
        match = says.search(text)
        if node is not None and match:
            safe = text.replace(match[0], f"{match[0].removesuffix('trust')}scram-sha-256")
            edit = finding.put(node, f"- {name}={safe}" if node.dash else f"{name}: {safe}")
            yield finding.at("trust", node, each.name, f"{name}: {text}", edit)


def _build(each: Service) -> Iterator[Finding]:
    args = each.node.get("build", "args")
    for name, node in (args.entries if args is not None else {}).items():
        found = secret(name, node.text or "")
        if found is not None:
            yield finding.at(
                "password-in-environment",
                node,
                each.name,
                f"build.args: {found.shown}",
                why="the history of the image shows it to everybody who has the image",
                instead="give it as a build secret: RUN --mount=type=secret",
            )


def _commands(each: Service) -> Iterator[Finding]:
    places = [(key, each.node.get(key)) for key in ("entrypoint", "command")]
    if each.health is not None:
        places.append(("test", each.health.test))
    for key, node in places:
        if node is None:
            continue
        text = node.text or " ".join(item.text or "" for item in node.items)
        shown = in_command(text)
        if shown is not None:
            yield finding.at("password-in-command", node, each.name, f"{key}: {shown}")


def as_file(stack: Stack, each: Service, node: Node, name: str) -> list[Edit]:
    """The lines that give a variable as a secret file in its place."""
    file = name.lower()
    if node.file not in stack.project.files:
        return [finding.put(node, f"{name}_FILE=/run/secrets/{file}")]
    form = f"- {name}_FILE=" if node.dash else f"{name}_FILE: "
    edits = [finding.put(node, f"{form}/run/secrets/{file}")]
    listed = each.node.get("secrets")
    if listed is not None and listed.items:
        if not any(file in (item.text, item.said("source")) for item in listed.items):
            edits.append(finding.add(listed, f"- {file}"))
    else:
        edits.append(finding.put_in(each.node, "secrets", "secrets:", f"  - {file}"))
    declared = stack.project.top.get("secrets")
    entry = (f"{file}:", f"  file: ./secrets/{file}")
    if declared is None or not declared.entries:
        last = len(stack.project.texts[node.file].splitlines())
        lines = ("secrets:", *(f"  {line}" for line in entry))
        edits.append(Edit(node.file, last + 1, last, lines))
    elif file not in declared.entries:
        edits.append(finding.add(declared, *entry))
    return edits

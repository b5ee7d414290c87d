"""Parts of a service in their short and long forms: ports, mounts, health checks, durations."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bootstrap.doctor import shell
from bootstrap.doctor.nodes import Node

MountType = Literal["volume", "bind", "tmpfs", "other"]

_TYPES: Mapping[str, MountType] = {"volume": "volume", "bind": "bind", "tmpfs": "tmpfs"}
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Port:
    """A published port. `ip` is empty where all addresses are meant."""

    node: Node
    ip: str
    published: str
    target: str
    protocol: str


@dataclass(frozen=True)
class Mount:
    """What is mounted where. `source` is empty for a volume without a name."""

    node: Node
    type: MountType
    source: str
    target: str
    options: str


@dataclass(frozen=True)
class Health:
    """A health check: its command, as a `line` of shell where it is one, and its times."""

    node: Node
    test: Node
    argv: tuple[str, ...]
    line: str | None
    start_period_s: float
    interval_s: float
    retries: int

    @property
    def words(self) -> str:
        """The command on one line."""
        return self.line if self.line is not None else shlex.join(self.argv)

    @property
    def budget_s(self) -> float:
        """How long the service may take to become healthy."""
        return self.start_period_s + self.interval_s * self.retries


def port(node: Node) -> Port | None:
    """An entry of `ports`, in its short or its long form; None where it is neither."""
    if node.entries:
        target = node.said("target") or ""
        ip, published = node.said("host_ip") or "", node.said("published") or ""
        return Port(node, ip, published, target, node.said("protocol") or "tcp")
    text, _, protocol = (node.text or "").partition("/")
    match = re.fullmatch(r"(?:(\[[^\]]*\]|[^:]*):)??(?:([0-9-]*):)?([0-9-]+)", text)
    if match is None:
        return None
    return Port(node, (match[1] or "").strip("[]"), match[2] or "", match[3], protocol or "tcp")


def mount(node: Node) -> Mount:
    """An entry of `volumes`, in its short or its long form."""
    if node.entries:
        kind = node.said("type") or "volume"
        source, target = node.said("source") or "", node.said("target") or ""
        read_only = "ro" if node.said("read_only") == "true" else ""
        return Mount(node, _TYPES.get(kind, "other"), source, _tidy(target), read_only)
    parts = (node.text or "").split(":")
    if len(parts) == 1:
        return Mount(node, "volume", "", _tidy(parts[0]), "")
    bind = parts[0].startswith((".", "/", "~"))
    return Mount(node, "bind" if bind else "volume", parts[0], _tidy(parts[1]), ":".join(parts[2:]))


def _tidy(path: str) -> str:
    return path.rstrip("/") or "/"


def health(node: Node | None) -> Health | None:
    """A health check; None where there is none here, or where it is switched off."""
    test = node.get("test") if node is not None else None
    if node is None or test is None or node.said("disable") == "true":
        return None
    argv: tuple[str, ...]
    line: str | None = None
    if test.text is not None:
        line = test.text
        argv = ("sh", "-c", test.text)
    else:
        argv = shell.words(test)
        if not argv or argv[0] == "NONE":
            return None
        if argv[0] == "CMD-SHELL":
            line = " ".join(argv[1:])
            argv = ("sh", "-c", line)
        elif argv[0] == "CMD":
            argv = argv[1:]
    retries = node.said("retries") or "3"
    return Health(
        node,
        test,
        argv,
        line,
        seconds(node.said("start_period"), 0.0),
        seconds(node.said("interval"), 30.0),
        int(retries) if retries.isdigit() and int(retries) else 3,
    )


def seconds(text: str | None, default: float) -> float:
    """A duration as compose and systemd write it (1m30s, 500ms, 90)."""
    if not text:
        return default
    found = re.findall(r"([0-9.]+)\s*(us|ms|s|m|h)?[a-z]*\s*", text)
    try:
        return (
            sum(float(number) * _UNITS[unit or "s"] for number, unit in found) if found else default
        )
    except ValueError:
        return default

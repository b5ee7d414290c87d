"""Images whose next pull brings something else, and ports that everybody reaches."""

import json
import re
from collections.abc import Iterator

from bootstrap.doctor import finding, rules
from bootstrap.doctor.finding import Finding
from bootstrap.doctor.image import Image
from bootstrap.doctor.parts import Port
from bootstrap.doctor.service import Service
from bootstrap.doctor.stack import Stack

_ALL = ("", "0.0.0.0", "::")  # noqa: S104
_MAJOR_ONLY = re.compile(r"(?:v|pg)?\d{1,3}(?:-[a-z].*)?")
_MOVING = re.compile(
    r"(?:latest|stable|edge|main|master|nightly|dev|lts|alpine|slim|bookworm|trixie)(?:-[a-z]+)*"
)
_DISTRIBUTION = re.compile(r"-(?:alpine|bullseye|bookworm|trixie|forky|noble|jammy)")
# Minor versions that are there; what is newer is found in the registry.
_PINNED = {
    ("postgres", "18"): "18.6-trixie",
    ("postgres", "17"): "17.12-trixie",
    ("postgres", "16"): "16.10-trixie",
    ("postgres", "15"): "15.20-bookworm",
    ("redis", "8"): "8.0.2-bookworm",
    ("redis", "7"): "7.4.5-bookworm",
}


def check(stack: Stack) -> Iterator[Finding]:
    """Every image that floats and every port that is open."""
    for each in stack.services.values():
        node = each.node.get("image")
        if each.image is not None and node is not None and each.node.get("build") is None:
            trouble = floats(each.image)
            if trouble is not None:
                severity, why = trouble
                yield finding.at(
                    "floating-tag",
                    node,
                    each.name,
                    f"image: {each.image.text}",
                    finding.put(node, f"image: {_pinned(each.image)}"),
                    severity=severity,
                    why=why,
                )
        for port in each.ports:
            if is_open(port.ip):
                yield _open(each, port)
        mode = each.node.get("network_mode")
        if mode is not None and mode.text == "host" and each.kind != "other":
            why = "every port that it listens on is open on all addresses of the host"
            edit = finding.remove(mode)
            found = "network_mode: host"
            yield finding.at("published-port", mode, each.name, found, edit, why=why)


def is_open(ip: str) -> bool:
    """Whether a port that is bound to this address is reached from everywhere."""
    return ip in _ALL


def floats(image: Image) -> tuple[rules.Severity, str] | None:
    """How bad a tag is, and why; None where it stays what it is."""
    if image.digest:
        return None
    usual = rules.BY_NAME["floating-tag"].why
    if not image.tag or _MOVING.fullmatch(image.tag):
        return "error", usual
    if image.kind == "postgres" and image.official:
        if not re.search(r"\d+\.\d+", image.tag):
            return (
                "error",
                f"{usual}; another distribution's glibc sorts otherwise, and breaks indexes",
            )
        if image.base == "postgres" and not _DISTRIBUTION.search(image.tag):
            return (
                "warning",
                "it names no distribution: with the next one comes another glibc, which sorts "
                "otherwise and breaks indexes",
            )
    if _MAJOR_ONLY.fullmatch(image.tag):
        return "warning", usual
    return None


def _pinned(image: Image) -> str:
    match = re.match(r"\d+", image.tag)
    known = _PINNED.get((image.base, match[0])) if match else None
    if known and "alpine" in image.tag:
        known = f"{known.partition('-')[0]}-alpine"
    if known is None and image.base in ("postgres", "redis") and not match:
        known = _PINNED[(image.base, {"postgres": "18", "redis": "8"}[image.base])]
    exact = image.tag if re.match(r"\d+\.\d+", image.tag) else "VERSION"
    if image.base == "postgres" and exact != "VERSION":
        known = f"{exact}-trixie"
    return f"{image.repository}:{known or 'VERSION-DISTRIBUTION'}"


def _open(each: Service, port: Port) -> Finding:
    if port.node.entries:
        edit = finding.put_in(port.node, "host_ip", "host_ip: 127.0.0.1")
        host = f"{port.ip or '*'}:{port.published or '(any)'}"
    else:
        suffix = "" if port.protocol == "tcp" else f"/{port.protocol}"
        text = f"127.0.0.1:{port.published}:{port.target}{suffix}"
        edit = finding.put(port.node, f"- {json.dumps(text)}")
        host = port.node.text or ""
    return finding.at("published-port", port.node, each.name, f"ports: {host}", edit)

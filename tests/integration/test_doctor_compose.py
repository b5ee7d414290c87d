"""`doctor` reads compose files as compose does: what it makes of them is what compose prints."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bootstrap.doctor import loading, project, shell, stack
from bootstrap.doctor.nodes import Node
from bootstrap.doctor.parts import Mount
from bootstrap.doctor.service import Service
from tests.support import need

pytestmark = pytest.mark.container

CASES = Path(__file__).parents[1] / "data" / "compose"
FILES = {
    "overlays": ["compose.yaml", "over.yaml"],
    "extends": ["compose.yaml"],
    "include": ["compose.yaml"],
    "anchors": ["compose.yaml"],
    "forms": ["compose.yaml"],
    "dotenv": ["compose.yaml"],
    "reset": ["compose.yaml", "over.yaml"],
    "variables": ["compose.yaml"],
    "profiles": ["compose.yaml"],
    "odd": ["compose.yaml", "block.yaml"],
}


def test_each_case_is_compared() -> None:
    assert set(FILES) == {path.name for path in CASES.iterdir()}


@pytest.mark.parametrize("case", FILES)
def test_it_reads_what_compose_reads(case: str) -> None:
    folder = CASES / case
    files = [folder / name for name in FILES[case]]
    wanted = compose(files)
    environ = {"HOME": os.environ.get("HOME", "/"), "PATH": os.environ["PATH"]}
    found = stack.of(loading.load(files, environ))
    assert found.project.name == wanted["name"]
    assert set(found.services) == set(wanted["services"])
    for name, each in found.services.items():
        assert ours(each, found.project) == theirs(wanted["services"][name]), name


def compose(files: list[Path]) -> Any:
    """The model that compose makes, with its escapes of `$` taken back."""
    docker = need("docker")
    named = [word for file in files for word in ("--file", str(file))]
    environ = {"HOME": os.environ.get("HOME", "/"), "PATH": os.environ["PATH"]}
    said = subprocess.run(
        [docker, "compose", "--profile", "*", *named, "config", "--format", "json"],
        capture_output=True,
        text=True,
        env=environ,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout.replace("$$", "$"))


def ours(each: Service, read: project.Project) -> Mapping[str, Any]:
    return {
        "image": each.image.text if each.image else None,
        "environment": {name: node.text for name, node in each.environment.items()},
        "command": list(shell.words(each.node.get("command"))),
        "entrypoint": list(shell.words(each.node.get("entrypoint"))),
        "ports": sorted(
            (port.ip, published, target, port.protocol)
            for port in each.ports
            for published, target in zip(_each(port.published), _each(port.target), strict=True)
        ),
        "mounts": sorted((mount.type, _source(mount, read), mount.target) for mount in each.mounts),
        "depends_on": dict(each.conditions),
        "test": _test(each.node.get("healthcheck")),
        "restart": each.node.said("restart"),
        "profiles": sorted(each.profiles),
        "labels": {
            name: node.text or ""
            for name, node in (each.node.get("labels") or _nothing()).entries.items()
        },
    }


def _nothing() -> Node:
    return Node("", 0, 0, 0, False, {})


def _source(mount: Mount, read: project.Project) -> str:
    path = os.path.normpath(read.path(mount.node, mount.source))
    return path if mount.type == "bind" else mount.source


def _each(text: str) -> list[str]:
    """The ports of a range."""
    first, _, last = text.partition("-")
    return [str(port) for port in range(int(first), int(last or first) + 1)] if first else [""]


def _test(node: Node | None) -> list[str] | None:
    test = node.get("test") if node is not None else None
    if test is None:
        return None
    return ["CMD-SHELL", test.text] if test.text is not None else list(shell.words(test))


def theirs(each: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "image": each.get("image"),
        "environment": each.get("environment") or {},
        "command": each.get("command") or [],
        "entrypoint": each.get("entrypoint") or [],
        "ports": sorted(
            (
                port.get("host_ip", ""),
                str(port.get("published", "")),
                str(port["target"]),
                port.get("protocol", "tcp"),
            )
            for port in each.get("ports") or ()
        ),
        "mounts": sorted(
            [
                (mount["type"], mount.get("source", ""), mount["target"])
                for mount in each.get("volumes") or ()
            ]
            + [("tmpfs", "", text.partition(":")[0]) for text in each.get("tmpfs") or ()]
        ),
        "depends_on": {
            name: value["condition"] for name, value in (each.get("depends_on") or {}).items()
        },
        "test": (each.get("healthcheck") or {}).get("test"),
        "restart": each.get("restart"),
        "profiles": sorted(each.get("profiles") or ()),
        "labels": each.get("labels") or {},
    }

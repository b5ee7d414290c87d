"""The base file with podman and podman-compose, as Debian has them."""

import os
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.support import need
from tests.support.stack import Stack, run

pytestmark = [pytest.mark.container, pytest.mark.timeout(600)]

SERVICES = ("postgres", "redis", "bootstrap", "app")
DEADLINE_S = 120.0


@pytest.fixture
def podman(tmp_path: Path) -> dict[str, str]:
    """The environment for a podman with a storage of its own, inside a sandbox too."""
    for program in ("podman", "podman-compose", "runc"):
        need(program)
    storage, containers = tmp_path / "storage.conf", tmp_path / "containers.conf"
    storage.write_text(
        f'[storage]\ndriver = "overlay"\n'
        f'runroot = "{tmp_path}/run"\ngraphroot = "{tmp_path}/root"\n'
    )
    containers.write_text(
        '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
        '[engine]\ncgroup_manager = "cgroupfs"\nruntime = "runc"\n'
        '[network]\nnetwork_backend = "netavark"\n'
    )
    return {"CONTAINERS_STORAGE_CONF": str(storage), "CONTAINERS_CONF": str(containers)}


def test_the_base_file_comes_up_with_podman_compose(
    daemon_image: str, podman: dict[str, str], tmp_path: Path
) -> None:
    ours = Stack(tmp_path / "stack", COMPOSE="podman-compose")
    env = {**os.environ, **ours.variables, **podman}
    document = yaml.safe_load((ours.folder / "compose.yml").read_text())
    images = {
        document["services"][name]["image"].partition(":-")[2].rstrip("}") for name in SERVICES
    }
    for image in sorted(images):
        saved = tmp_path / "image.tar"
        run("docker", "save", "--output", str(saved), image)
        run("podman", "load", "--quiet", "--input", str(saved), env=env)
        saved.unlink()
    ours.script("secrets")
    compose = ("podman-compose", "--project-name", ours.name)

    def up() -> None:
        done = subprocess.run(
            [*compose, "up", "--detach", *SERVICES],
            cwd=ours.folder,
            env=env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        deadline = time.monotonic() + DEADLINE_S
        while ours.ask("/health").status != 200:
            assert time.monotonic() < deadline, run("podman", "ps", "--all", env=env).stdout
            time.sleep(0.5)

    try:
        up()
        assert ours.ask("/api/agents", {"task": "stays"}).status == 200
        run(*compose, "down", cwd=ours.folder, env=env)
        up()
        assert [agent["task"] for agent in ours.ask("/api/agents").body] == ["stays"]
    finally:
        subprocess.run(
            [*compose, "down", "--volumes", "--timeout", "0"],
            cwd=ours.folder,
            env=env,
            capture_output=True,
        )
        subprocess.run(["podman", "system", "reset", "--force"], env=env, capture_output=True)

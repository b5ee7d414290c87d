"""How long the stack takes from `docker compose up` to a ready app, and what its image costs."""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import measure
from tests.benchmarks.measure import Call
from tests.support import need
from tests.support import stack as stacks
from tests.support.stack import Stack, run

pytestmark = [pytest.mark.benchmark, pytest.mark.container]

TURNS = 3
SANDBOX = ("--network=none", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL")


@pytest.fixture(scope="module")
def image() -> str:
    """The daemon's image."""
    return stacks.daemon()


# -- the whole stack -------------------------------------------------------------------------------


def _moment(text: str) -> float:
    """Seconds since the epoch of a time as the engine writes it, in nanoseconds."""
    return datetime.fromisoformat(text).timestamp()


def _moments(stack: Stack, began_s: float, ended_s: float) -> dict[str, float]:
    """When what happened on the way up, as seconds after its begin, in order."""

    def healthy(state: dict[str, Any]) -> float:
        return min(_moment(look["End"]) for look in state["Health"]["Log"] if look["ExitCode"] == 0)

    postgres, bootstrap, app = (
        stack.container(name)["State"] for name in ("postgres", "bootstrap", "app")
    )
    found = {
        "PostgreSQL's container runs": _moment(postgres["StartedAt"]),
        "PostgreSQL is healthy": healthy(postgres),
        "bootstrap's container runs": _moment(bootstrap["StartedAt"]),
        "bootstrap has ended": _moment(bootstrap["FinishedAt"]),
        "the app's container runs": _moment(app["StartedAt"]),
        "the app is healthy": healthy(app),
        "compose returns": ended_s,
    }
    return {what: moment - began_s for what, moment in found.items()}


def _stages(stack: Stack) -> dict[str, float]:
    """How long bootstrap's stages took, by its own report."""
    lines = stack.compose("logs", "--no-log-prefix", "bootstrap").stdout.splitlines()
    status = json.loads(next(line for line in lines if line.startswith("{")))["status"]
    took = {f"stage {name}": float(seconds) for name, seconds in status["durations_s"].items()}
    inside = datetime.fromisoformat(status["changed_at"]) - datetime.fromisoformat(
        status["started_at"]
    )
    return {**took, "from its first instructions to ready": inside.total_seconds()}


@pytest.mark.parametrize("again", [False, True], ids=["fresh", "again"])
def test_from_up_to_a_ready_app(image: str, tmp_path: Path, *, again: bool) -> None:
    moments: list[dict[str, float]] = []
    stages: list[dict[str, float]] = []
    for turn in range(TURNS):
        stack = Stack(tmp_path / str(turn))
        stack.overlay(services={"bootstrap": {"command": ["run", "--json"]}})
        stack.script("secrets")
        try:
            if again:
                stack.compose("up", "--wait")
                stack.compose("down")
            began_s = time.time()
            stack.compose("up", "--wait")
            moments.append(_moments(stack, began_s, time.time()))
            stages.append(_stages(stack))
        finally:
            stack.close()
    medians = {what: statistics.median(each[what] for each in moments) for what in moments[0]}
    way = [("", 0.0), *medians.items()]
    steps = "; ".join(
        f"{what} at {there_s:.2f} s (+{there_s - before_s:.2f})"
        for (_, before_s), (what, there_s) in pairwise(way)
    )
    took = ", ".join(
        f"{what} {statistics.median(each[what] for each in stages):.2f} s" for what in stages[0]
    )
    title = "the second time" if again else "on a new volume"
    measure.say(f"docker compose up --wait, {title}: {steps}. bootstrap itself: {took}")


# -- the image -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def outside(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the image holds, as a folder to chroot into."""
    if os.geteuid() != 0:
        pytest.skip("only root may chroot")
    need("chroot")
    folder = tmp_path_factory.mktemp("outside")
    folder.chmod(0o755)
    container = run("docker", "create", image).stdout.strip()
    try:
        with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export:
            subprocess.run(["tar", "-xC", str(folder)], stdin=export.stdout, check=True)
    finally:
        run("docker", "rm", container)
    run("mount", "--bind", "/dev", f"{folder}/dev")
    try:
        yield folder
    finally:
        run("umount", f"{folder}/dev")


NOTHING_TO_DO = ("run", "-q", "--database-url", "sqlite:////tmp/bench.db", "--", "true")


@pytest.mark.parametrize("words", [NOTHING_TO_DO, ("healthcheck", "-q"), ("apps",)], ids=" ".join)
def test_a_command_starts_in_a_container_as_fast_as_outside(
    image: str, outside: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    container = run("docker", "run", "--detach", *SANDBOX, "--entrypoint=sleep", image, "inf")
    name = container.stdout.strip()
    pid = run("docker", "inspect", "--format", "{{.State.Pid}}", name).stdout.strip()
    try:
        # The same process in a container's namespaces and on its file system, and without these.
        enter = ["nsenter", f"--target={pid}", "--all", "--setuid=10001", "--setgid=10001"]
        leave = ["chroot", "--userspec=10001:10001", str(outside)]
        command = ["/opt/bootstrapd/bin/bootstrapd", *words]
        env = {"PATH": f"/opt/bootstrapd/bin:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
        # Not ready, and nothing to ask: that is an answer too.
        allowed = ["sh", "-c", '"$@" || [ $? = 1 ]', "sh"]
        found = measure.ratio(
            f"bootstrapd {' '.join(words)} in a container to outside of it",
            Call([*allowed, *enter, *command], tmp_path, env),
            Call([*allowed, *leave, *command], tmp_path, env),
            runs=20,
            wanted=1.5,
        )
        assert found > 0
    finally:
        run("docker", "rm", "--force", name)

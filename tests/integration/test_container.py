"""The watch of the database's container, on a real engine."""

import contextlib
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from bootstrap import probe, redact, target, wait
from bootstrap.container import ContainerWatch, Died, Healthy, News
from bootstrap.errors import RefusedError
from bootstrap.journal import Event, Journal, Status
from bootstrap.settings import Settings
from tests.support import need

pytestmark = pytest.mark.container

IMAGE = "postgres:18"
DEADLINE_S = 60.0

Start = Callable[..., Container]


@pytest.fixture
def start() -> Iterator[Start]:
    """`start("echo hello; exit 3", ...)`: a container that runs this; gone when the test ends."""
    need("docker")
    engine = docker.from_env()
    started: list[Container] = []

    def run(script: str | None = None, **options: Any) -> Container:
        if script is not None:
            options |= {"entrypoint": ["sh", "-c", script]}
        name = f"bootstrapd-test-{secrets.token_hex(4)}"
        container = engine.containers.run(IMAGE, name=name, detach=True, **options)
        started.append(container)
        return container

    yield run
    for container in started:
        with contextlib.suppress(docker.errors.APIError):
            container.remove(force=True, v=True)
    engine.close()


class Watching:
    """A watch that runs, and all that it tells."""

    def __init__(self, name: str | None) -> None:
        assert name
        self.news: list[News] = []
        self.lines: list[str] = []
        self._told = threading.Condition()
        self._watch = ContainerWatch(name, Journal(self._log))

    def __enter__(self) -> "Watching":
        self._watch.start(self._tell)
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.close()

    def _tell(self, news: News) -> None:
        with self._told:
            self.news.append(news)
            self._told.notify_all()

    def _log(self, event: Event, _: Status) -> None:
        with self._told:
            self.lines.append(event.message)
            self._told.notify_all()

    def wait_for(self, kind: type) -> Any:
        """The first news of this kind, or the first line where that is `str`."""
        with self._told:
            found = self._told.wait_for(lambda: self._first(kind), DEADLINE_S)
        assert found is not None, f"told {self.news}, said {self.lines}"
        return found

    def _first(self, kind: type) -> Any:
        return next((item for item in (*self.news, *self.lines) if isinstance(item, kind)), None)


# What a container runs until it is let go.
HELD = "while [ ! -e /tmp/go ]; do sleep 0.1; done"


def let_go(container: Container) -> None:
    assert container.exec_run(["touch", "/tmp/go"]).exit_code == 0


def test_a_container_that_dies_tells_its_exit_code_and_last_words(start: Start) -> None:
    container = start(f"for n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $n; done; {HELD}; exit 3")
    with Watching(container.name) as watching:
        time.sleep(0.5)
        assert watching.news == []
        let_go(container)
        died = watching.wait_for(Died)
        assert (died.container, died.exit_code, died.out_of_memory) == (container.name, 3, False)
        assert died.log == tuple(f"line {n}" for n in range(3, 13))
    assert watching.lines == []


def test_a_container_that_was_dead_before(start: Start) -> None:
    container = start("echo farewell; exit 4")
    container.wait()
    with Watching(container.name) as watching:
        died = watching.wait_for(Died)
    assert (died.exit_code, died.log) == (4, ("farewell",))


def test_the_last_words_hold_no_password(start: Start) -> None:
    redact.remember("correct-horse-battery")
    container = start("echo password is correct-horse-battery; exit 1")
    container.wait()
    with Watching(container.name) as watching:
        assert watching.wait_for(Died).log == ("password is ***",)


def test_a_container_named_as_compose_does(start: Start) -> None:
    project = f"project{secrets.token_hex(4)}"
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": "db"}
    container = start(f"{HELD}; exit 5", labels=labels)
    start(HELD, labels={**labels, "com.docker.compose.service": "other"})
    with Watching(f"{project}/db") as watching:
        time.sleep(0.5)
        let_go(container)
        assert watching.wait_for(Died).exit_code == 5


def test_a_service_with_another_container_that_runs_is_not_over(start: Start) -> None:
    project = f"project{secrets.token_hex(4)}"
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": "db"}
    container = start(f"{HELD}; exit 5", labels=labels)
    start(HELD, labels=labels)
    with Watching(f"{project}/db") as watching:
        time.sleep(0.5)
        let_go(container)
        assert watching.wait_for(str) == (
            f"container {project}/db exited with code 5; another of its kind runs, or will"
        )
    assert watching.news == []


def test_a_container_that_its_engine_restarts_is_not_over(start: Start) -> None:
    container = start("sleep 0.2; exit 6", restart_policy={"Name": "always"})
    with Watching(container.name) as watching:
        assert watching.wait_for(str) == (
            f"container {container.name} exited with code 6; another of its kind runs, or will"
        )
    assert watching.news == []


def test_a_container_that_was_restarted_too_often_is_over(start: Start) -> None:
    container = start(
        "sleep 0.2; exit 7", restart_policy={"Name": "on-failure", "MaximumRetryCount": 1}
    )
    with Watching(container.name) as watching:
        assert watching.wait_for(Died).exit_code == 7


def test_a_container_that_somebody_stops_is_over_whatever_its_policy(start: Start) -> None:
    container = start(f"trap 'exit 8' INT; {HELD}", restart_policy={"Name": "unless-stopped"})
    with Watching(container.name) as watching:
        time.sleep(0.5)
        container.stop()
        assert watching.wait_for(Died).exit_code == 8


def test_a_container_that_removes_itself(start: Start) -> None:
    container = start(f"{HELD}; exit 9", auto_remove=True)
    with Watching(container.name) as watching:
        time.sleep(0.5)
        let_go(container)
        assert watching.wait_for(Died).exit_code == 9


def test_a_container_that_becomes_healthy_is_told(start: Start) -> None:
    check = {"test": ["CMD", "test", "-e", "/tmp/go"], "interval": 200_000_000}
    container = start("while true; do sleep 1; done", healthcheck=check)
    with Watching(container.name) as watching:
        time.sleep(0.5)
        assert watching.news == []
        let_go(container)
        assert watching.wait_for(Healthy).container == container.name


def test_a_container_that_nobody_knows_is_warned_of_once() -> None:
    need("docker")
    with Watching("no-such-container") as watching:
        assert watching.wait_for(str) == (
            "container no-such-container cannot be watched, waiting goes on without: there is "
            "none of this name"
        )
    with Watching("no-such/service") as watching:
        assert watching.wait_for(str) == (
            "container no-such/service cannot be watched, waiting goes on without: there is none "
            "of this name"
        )


def test_an_engine_that_does_not_answer_is_warned_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with Watching("pg") as watching:
        line = watching.wait_for(str)
    assert line.startswith(
        "container pg cannot be watched, waiting goes on without: Error while fetching server API "
        "version: "
    )
    assert "Connection refused" in line


# -- with a wait ----------------------------------------------------------------------------------


def await_postgres(container: Container, port: int, **changes: Any) -> wait.Waited:
    journal = Journal()
    prober = probe.Postgres(target.parse(f"postgresql://postgres:secret-pw@127.0.0.1:{port}/app"))
    try:
        return wait.wait(
            [prober],
            Settings(**changes),
            journal,
            stop=threading.Event(),
            timeout_s=DEADLINE_S,
            container=ContainerWatch(str(container.name), journal),
        )
    finally:
        prober.close()


def published(container: Container) -> int:
    container.reload()
    places = container.ports["5432/tcp"]
    assert places
    return int(places[0]["HostPort"])


POSTGRES: dict[str, Any] = {
    "environment": {"POSTGRES_PASSWORD": "secret-pw", "POSTGRES_DB": "app"},
    "ports": {"5432/tcp": ("127.0.0.1", None)},
}


def test_a_server_that_cannot_start_ends_the_wait_with_its_own_reason(start: Start) -> None:
    container = start(command=["postgres", "-c", "no_such_setting=1"], **POSTGRES)
    with pytest.raises(RefusedError) as caught:
        await_postgres(container, published(container))
    message = caught.value.message
    assert message.startswith("postgres at 127.0.0.1:")
    assert f"/app will not come up: container {container.name} exited with code 1; " in message
    assert 'unrecognized configuration parameter "no_such_setting"' in message
    assert "secret-pw" not in message


def test_a_first_start_that_becomes_healthy_ends_a_long_sleep(start: Start) -> None:
    check = {
        "test": ["CMD", "pg_isready", "-h", "127.0.0.1", "-U", "postgres", "-d", "app"],
        "interval": 500_000_000,
    }
    container = start(healthcheck=check, **POSTGRES)
    # Without the news of its health the second try would come after the deadline.
    waited = await_postgres(
        container, published(container), backoff_first_s=2 * DEADLINE_S, backoff_cap_s=600
    )
    assert waited.attempts == 2
    assert waited.wait_s < DEADLINE_S


def test_the_watch_does_not_hold_up_the_end_of_the_process(start: Start) -> None:
    container = start(HELD)
    program = f"""
import time
from bootstrap import container, journal
watch = container.ContainerWatch({container.name!r}, journal.Journal())
watch.start(print)
time.sleep(1)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=DEADLINE_S)

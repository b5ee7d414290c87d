"""Watches the local container of the database: when it dies, waiting is in vain."""

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bootstrap import redact
from bootstrap.journal import Journal

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.types import CancellableStream

_ENGINE_TIMEOUT_S = 5
# An engine takes this long at the most to say that it restarts a container that has just died.
_RESTART_S = 1.0
_LOG_LINES = 10
_LOG_LINE_LENGTH = 300
_DEAD = ("exited", "dead", "removing")


@dataclass(frozen=True)
class Died:
    """The container has ended and will not be restarted; `log` holds its last lines."""

    container: str
    exit_code: int
    out_of_memory: bool
    log: tuple[str, ...]


@dataclass(frozen=True)
class Healthy:
    """The container's own health check has just succeeded."""

    container: str


News = Died | Healthy


class ContainerWatch:
    """Tells of one container, named by its name or as compose's `project/service`.

    It is a help and no condition: where no engine answers, or none knows the container, it warns
    once and is silent from then on. It never holds up the end of the process.
    """

    def __init__(self, name: str, journal: Journal) -> None:
        self.name = name
        self._journal = journal
        self._closed = threading.Event()
        self._events: CancellableStream[Any] | None = None

    def start(self, tell: Callable[[News], None]) -> None:
        """Watch in a thread of its own, which calls `tell`."""
        threading.Thread(
            target=self._run, args=(tell,), name=f"container {self.name}", daemon=True
        ).start()

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        if self._events is not None:
            with contextlib.suppress(Exception):
                self._events.close()

    def _run(self, tell: Callable[[News], None]) -> None:
        try:
            import docker

            with contextlib.closing(docker.from_env(timeout=_ENGINE_TIMEOUT_S)) as engine:
                self._watch(engine, tell)
        except Exception as error:
            self._give_up(str(error))

    def _give_up(self, reason: str) -> None:
        if not self._closed.is_set():
            self._journal.event(
                "container_unwatched",
                f"container {self.name} cannot be watched, waiting goes on without: {reason}",
                level="warning",
                container=self.name,
            )

    def _watch(self, engine: "DockerClient", tell: Callable[[News], None]) -> None:
        # Listening comes before looking, so that nothing happens in between.
        self._events = events = engine.events(decode=True, filters=self._filters())
        try:
            self._follow(engine, events, tell)
        finally:
            # Its own close leaves the response open.
            response = getattr(events, "_response", None)
            if response is not None:
                response.close()

    def _follow(
        self, engine: "DockerClient", events: "CancellableStream[Any]", tell: Callable[[News], None]
    ) -> None:
        containers = self._find(engine)
        if not containers:
            self._give_up("there is none of this name")
            return
        if self._is_over(engine, containers):
            tell(self._death(containers[0], {}))
        for event in events:
            if self._closed.is_set():
                return
            action, attributes = event["Action"], event["Actor"]["Attributes"]
            if action == "health_status: healthy":
                tell(Healthy(self.name))
            elif action == "die":
                containers = self._find(engine)
                if self._is_over(engine, containers):
                    tell(self._death(containers[0] if containers else None, attributes))
                else:
                    self._journal.event(
                        "container_died",
                        f"container {self.name} exited with code {attributes.get('exitCode')}; "
                        "another of its kind runs, or will",
                        container=self.name,
                    )

    def _labels(self) -> list[str]:
        project, _, service = self.name.partition("/")
        return [
            f"com.docker.compose.project={project}",
            f"com.docker.compose.service={service}",
        ]

    def _filters(self) -> dict[str, Any]:
        place = {"label": self._labels()} if "/" in self.name else {"container": self.name}
        return {"type": "container", "event": ["die", "health_status"], **place}

    def _find(self, engine: "DockerClient") -> "list[Container]":
        import docker

        if "/" in self.name:
            return engine.containers.list(
                all=True, filters={"label": self._labels()}, ignore_removed=True
            )
        try:
            return [engine.containers.get(self.name)]
        except docker.errors.NotFound:
            return []

    def _is_over(self, engine: "DockerClient", containers: "list[Container]") -> bool:
        if any(container.status not in _DEAD for container in containers):
            return False
        if not any(_is_restarted(container.attrs) for container in containers):
            return True
        # For a moment the engine shows as exited what it is about to restart.
        if self._closed.wait(_RESTART_S):
            return False
        return all(container.status in _DEAD for container in self._find(engine))

    def _death(self, container: "Container | None", attributes: Mapping[str, str]) -> Died:
        state: Mapping[str, Any] = {}
        log: tuple[str, ...] = ()
        if container is not None:
            state = container.attrs["State"]
            # It may have been removed meanwhile, as with `docker run --rm`.
            with contextlib.suppress(Exception):
                text = container.logs(tail=_LOG_LINES).decode(errors="replace")
                log = tuple(line[:_LOG_LINE_LENGTH] for line in redact.text(text).splitlines())
        exit_code = state.get("ExitCode", attributes.get("exitCode", -1))
        return Died(self.name, int(exit_code), bool(state.get("OOMKilled")), log)


def _is_restarted(attrs: Mapping[str, Any]) -> bool:
    return attrs["HostConfig"]["RestartPolicy"]["Name"] not in ("", "no")

"""Stacks of compose/ on a real engine, each under a name, with ports and secrets of its own."""

import contextlib
import fcntl
import http.client
import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import docs, need, processes
from tests.support.meanwhile import Meanwhile

FOLDER = docs.COMPOSE.parent
DAEMON = "bootstrapd:0.1.0"
# Without the bytecode of Python's own modules, as upstream's image is and a stand-in may not be.
BARE_PYTHON = "bootstrapd-test-python:bare"
_PORTS = ("APP", "HEALTH", "POSTGRES", "REDIS")
_DEADLINE_S = 300
# So long what must come by itself may take.
EVENTUALLY_S = 120.0
_released: list[str] = []


def run(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command that must succeed; its output is in the failure."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_DEADLINE_S, **options)
    assert done.returncode == 0, f"{argv} exited {done.returncode}:\n{done.stdout}{done.stderr}"
    return done


def is_there(image: str) -> bool:
    """Whether the engine has an image."""
    return (
        subprocess.run(["docker", "image", "inspect", image], capture_output=True).returncode == 0
    )


def provide(image: str) -> None:
    """Have an image under its pinned name: that, or what the engine has for its major version."""
    if is_there(image):
        return
    name, _, tag = image.partition(":")
    flavour = "-slim" if "-slim" in tag else ""
    for stand_in in (
        f"{name}:{tag.split('.')[0]}{flavour}",
        f"{name}:{'.'.join(tag.split('.')[:2])}{flavour}",
    ):
        if is_there(stand_in):
            run("docker", "tag", stand_in, image)
            return
    pytest.skip(f"there is no image {image}, nor one of its major version")


def daemon() -> str:
    """The daemon's image, built from this tree."""
    need("docker")
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(.*)$", text, re.MULTILINE)
    # Test processes side by side build it once.
    with (Path(tempfile.gettempdir()) / f"bootstrapd-image-{os.getuid()}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        provide(base)
        bare = f"FROM {base}\nRUN find /usr -name '*.pyc' -delete\n"
        run("docker", "build", "--quiet", "--tag", BARE_PYTHON, "-", input=bare)
        run(
            *("docker", "build", "--quiet", "--build-arg", f"PYTHON_IMAGE={BARE_PYTHON}"),
            *("--file", str(FOLDER / "Dockerfile"), "--tag", DAEMON, str(docs.ROOT)),
        )
    return DAEMON


@dataclass(frozen=True)
class Answer:
    """What the app answered: a status, 0 where nobody did, and the document."""

    status: int
    body: Any


def _of_a_deployment(folder: str, _: list[str]) -> set[str]:
    """What a developer's own deployment may have left beside the files."""
    return {"secrets", "tls", ".env"} if Path(folder) == FOLDER else set()


class Stack:
    """One deployment of compose/, in a copy of that folder."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.name = f"bootstrapd-test-{secrets.token_hex(4)}"
        self.folder = home / "compose"
        shutil.copytree(FOLDER, self.folder, ignore=_of_a_deployment)
        self.ports = {name: processes.free_port() for name in _PORTS}
        self.variables = {
            "DEPLOYMENT": self.name,
            "COMPOSE_ANSI": "never",
            "COMPOSE_PROGRESS": "plain",
            **{f"PORT_{name}": str(port) for name, port in self.ports.items()},
            **variables,
        }
        for path in self.folder.glob("compose*.yml"):
            for image in re.findall(
                r"image: \$\{\w+:-((?:postgres|redis):[^}]+)\}", path.read_text()
            ):
                if path.name in self.variables.get("COMPOSE_FILE", "compose.yml"):
                    provide(image)

    @property
    def secrets(self) -> Path:
        """The folder of its secrets."""
        return self.folder / "secrets"

    def overlay(self, **document: Any) -> None:
        """Add an overlay of the test's own."""
        path = self.folder / f"compose.test-{secrets.token_hex(2)}.yml"
        path.write_text(yaml.safe_dump(document))
        files = self.variables.get("COMPOSE_FILE", "compose.yml")
        self.variables["COMPOSE_FILE"] = f"{files}:{path.name}"

    def run(
        self,
        *argv: str,
        expect: int | None = 0,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """A command in its folder and environment."""
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(
                ("COMPOSE_", "DEPLOYMENT", "POSTGRES_", "BOOTSTRAPD_", "APP_", "PORT_")
            )
        }
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env={**clean, **self.variables, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
        )
        if expect is not None and done.returncode != expect:
            raise AssertionError(
                f"{argv} exited {done.returncode}, not {expect}:\n{done.stdout}{done.stderr}\n"
                + self.logs()
            )
        return done

    def compose(self, *argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """`docker compose ...`."""
        return self.run("docker", "compose", *argv, **options)

    def script(self, name: str, *argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """One of compose/scripts."""
        return self.run(f"scripts/{name}", *argv, **options)

    def up(self, *services: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Make what secrets are missing, and wait until all is healthy."""
        self.script("secrets")
        return self.compose("up", "--wait", *services, **options)

    def logs(self, *services: str) -> str:
        """What its containers said."""
        done = subprocess.run(
            ["docker", "compose", "logs", "--no-color", *services],
            cwd=self.folder,
            env={**os.environ, **self.variables},
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
        )
        return done.stdout

    def containers(self) -> list[dict[str, Any]]:
        """What the engine knows of all its containers, ended ones too."""
        ids = run(
            "docker",
            "ps",
            "--all",
            "--quiet",
            "--filter",
            f"label=com.docker.compose.project={self.name}",
        ).stdout.split()
        found: list[dict[str, Any]] = (
            json.loads(run("docker", "inspect", *ids).stdout) if ids else []
        )
        return found

    def container(self, service: str) -> dict[str, Any]:
        """What the engine knows of the one container of a service."""
        (found,) = (
            each
            for each in self.containers()
            if each["Config"]["Labels"]["com.docker.compose.service"] == service
            and each["Config"]["Labels"]["com.docker.compose.oneoff"] == "False"
        )
        return found

    def states(self) -> dict[str, tuple[str, str | int]]:
        """Of each service: what its container is, and its health, or its exit code without one."""
        return {
            each["Config"]["Labels"]["com.docker.compose.service"]: (
                each["State"]["Status"],
                each["State"].get("Health", {}).get("Status", each["State"]["ExitCode"]),
            )
            for each in self.containers()
        }

    def seen(self) -> dict[str, str]:
        """What can be seen of it without opening its files, by the place where it is seen."""
        found = {
            "inspect": json.dumps(self.containers()),
            "logs": self.logs(),
            "configuration": self.compose("config").stdout,
        }
        for container in self.containers():
            if not container["State"]["Running"]:
                continue
            for pid in run("docker", "top", container["Id"], "-eo", "pid").stdout.split()[1:]:
                for kind in ("cmdline", "environ"):
                    # A health check may have ended meanwhile.
                    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                        place = f"{container['Name']} {pid} {kind}"
                        found[place] = Path(f"/proc/{pid}/{kind}").read_text(errors="replace")
        return found

    def passwords(self) -> dict[str, str]:
        """Its passwords, by the names of their files."""
        return {
            path.name: re.sub(r'.*: "|"}$', "", path.read_text())
            for path in self.secrets.iterdir()
            if not path.name.startswith(".")
        }

    def sql(self, query: str) -> str:
        """A query by the superuser in the app's database."""
        return self.compose(
            *("exec", "-T", "postgres", "sh", "-c"),
            'exec psql -U postgres -d "$POSTGRES_DB" -qAtX -v ON_ERROR_STOP=1',
            stdin=query,
        ).stdout.strip()

    def ask(
        self, path: str, body: Any = None, *, port: str = "APP", timeout_s: float = 5
    ) -> Answer:
        """One request to the app; POST where there is a body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=timeout_s)
        try:
            text = None if body is None else json.dumps(body)
            headers = {"Content-Type": "application/json"} if text else {}
            connection.request("GET" if text is None else "POST", path, text, headers)
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException):
            return Answer(0, None)
        finally:
            connection.close()
        try:
            return Answer(answer.status, json.loads(data))
        except ValueError:
            return Answer(answer.status, data.decode())

    def close(self) -> None:
        """Delete it with all its data."""
        subprocess.run(
            ["docker", "compose", "--profile", "*", "down", "--volumes", "--timeout", "0"],
            cwd=self.folder,
            env={**os.environ, **self.variables},
            capture_output=True,
            timeout=_DEADLINE_S,
        )


def release(home: Path, files: Mapping[str, str], *lines: str) -> str:
    """An image made from the daemon's, with these files and further lines of a Dockerfile."""
    home.mkdir(parents=True)
    for name, text in files.items():
        path = home / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (home / "Dockerfile").write_text(f"FROM {DAEMON}\nCOPY files /\n" + "\n".join(lines) + "\n")
    image = f"bootstrapd-test:{secrets.token_hex(4)}"
    run("docker", "build", "--quiet", "--tag", image, str(home))
    _released.append(image)
    return image


def forget_releases() -> None:
    """Delete the images that `release` has made."""
    while _released:
        subprocess.run(["docker", "rmi", "--force", _released.pop()], capture_output=True)


def eventually(ask: Callable[[], Any], what: str) -> Any:
    """What `ask` returns, as soon as that is something."""
    deadline = time.monotonic() + EVENTUALLY_S
    while not (found := ask()):
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.1)
    return found


def leaks(passwords: Mapping[str, str], seen: Mapping[str, str]) -> dict[str, str]:
    """The names of the passwords that are seen, and where."""
    return {
        name: where for where, text in seen.items() for name in passwords if passwords[name] in text
    }


class Writer(Meanwhile):
    """A client that writes without pause, and keeps what it was answered."""

    pause_s = 0.02

    def __init__(self, stack: Stack) -> None:
        self.answers: list[tuple[str, int]] = []
        self._stack = stack

    @property
    def statuses(self) -> set[int]:
        """The statuses that there were; 0 is nobody who listened."""
        return {status for _, status in self.answers}

    def lost(self) -> set[str]:
        """What was accepted and is not in the database."""
        accepted = {task for task, status in self.answers if status == 200}
        return accepted - set(self._stack.sql("SELECT task FROM agents").splitlines())

    def once(self) -> None:
        """One row."""
        task = f"task {secrets.token_hex(8)}"
        self.answers.append((task, self._stack.ask("/api/agents", {"task": task}).status))


class Watch(Meanwhile):
    """What can be read of the processes of this machine, containers' among them, while it lasts."""

    pause_s = 0.01

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def once(self) -> None:
        """One look at all of them."""
        for place in Path("/proc").glob("[0-9]*"):
            for kind in ("cmdline", "environ"):
                with contextlib.suppress(OSError):
                    self.seen.add((place / kind).read_text(errors="replace"))


def stand_in(name: str) -> str:
    """An image of `tests/compose/standins`, made from packages where there is none yet."""
    need("docker")
    image = f"bootstrapd-test-standin:{name}"
    folder = docs.ROOT / "tests" / "compose" / "standins"
    with (Path(tempfile.gettempdir()) / f"bootstrapd-{name}-{os.getuid()}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = ["docker", "build", "--quiet", "--target", name, "--tag", image, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return image

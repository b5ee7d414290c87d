"""`doctor` looks at containers and volumes of a real engine."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker import DockerClient

from bootstrap.doctor import volumes
from tests.support import need
from tests.support.cli import Result

pytestmark = [pytest.mark.container, pytest.mark.timeout(600)]

Run = Callable[..., Result]
IMAGE = "postgres:18"
DEADLINE_S = 90.0


class Engine:
    """The engine with what one test has made in it; the project's name is new each time."""

    def __init__(self, client: DockerClient) -> None:
        self.client = client
        self.project = f"doctor{secrets.token_hex(4)}"

    def run(self, service: str, image: str = IMAGE, **options: Any) -> Any:
        labels = {
            "com.docker.compose.project": self.project,
            "com.docker.compose.service": service,
        }
        name = f"{self.project}-{service}-1"
        return self.client.containers.run(image, name=name, labels=labels, detach=True, **options)

    def sh(self, service: str, script: str, **options: Any) -> Any:
        return self.run(service, entrypoint=["sh", "-c", script], **options)

    def volume(self, name: str, script: str = "true", image: str = IMAGE) -> str:
        """A volume of the project, filled by a script that runs in it."""
        full = f"{self.project}_{name}"
        self.client.volumes.create(full, labels={"com.docker.compose.project": self.project})
        self.client.containers.run(
            image,
            entrypoint=["sh", "-ec", script],
            working_dir="/volume",
            remove=True,
            volumes={full: {"bind": "/volume", "mode": "rw"}},
        )
        return full

    def close(self) -> None:
        """Remove what is left."""
        for each in self.client.containers.list(all=True, ignore_removed=True):
            if (each.name or "").startswith(self.project):
                with contextlib.suppress(docker.errors.APIError):
                    each.remove(force=True, v=True)
        for volume in self.client.volumes.list():
            if volume.name.startswith(self.project):
                with contextlib.suppress(docker.errors.APIError):
                    volume.remove(force=True)
        # An engine has addresses for some thirty networks.
        for network in self.client.networks.list(names=[f"{self.project}_default"]):
            network.remove()
        self.client.close()


@pytest.fixture
def engine() -> Iterator[Engine]:
    """The engine; what the test makes with it is gone at the end."""
    need("docker")
    made = Engine(docker.from_env())
    yield made
    made.close()


def findings(result: Result) -> list[tuple[str, str, str]]:
    """Rule, place and what was found."""
    answer = result.json()
    answer = answer if answer["ok"] else answer["error"]
    assert answer["notes"] == []
    return [(each["rule"], each["place"], each["found"]) for each in answer["findings"]]


def eventually(look: Callable[[], list[Any]], wanted: Callable[[list[Any]], bool]) -> list[Any]:
    deadline = time.monotonic() + DEADLINE_S
    while not wanted(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


def test_containers_that_fail_are_named_with_their_reason(engine: Engine, run: Run) -> None:
    project = engine.project
    engine.sh("migrate", "echo no; exit 3").wait()
    engine.sh("seed", "exit 0").wait()
    engine.sh("stopped", "exit 143").wait()
    engine.sh("loop", "exit 4", restart_policy={"Name": "always"})
    engine.sh(
        "sick",
        "sleep 600",
        healthcheck={
            "test": ["CMD-SHELL", "echo away; exit 1"],
            "interval": 100_000_000,
            "retries": 1,
        },
    )
    engine.sh(
        "open", "sleep 600", ports={"80/tcp": None}, environment={"API_TOKEN": "correct-horse"}
    )
    engine.sh("local", "sleep 600", ports={"80/tcp": ("127.0.0.1", None)})
    places = engine.client.containers.get(f"{project}-open-1").ports["80/tcp"]
    assert places
    port = places[0]["HostPort"]

    def look() -> list[Any]:
        found = findings(run(f"doctor --json --project {project}").expect(5))
        # How often it was started again is a matter of the moment.
        return sorted((rule, place, text.split(", ")[0]) for rule, place, text in found)

    found = eventually(look, lambda found: len(found) == 5)
    assert found == [
        ("not-running", f"container {project}-loop-1", "it ends and is started again"),
        ("not-running", f"container {project}-migrate-1", "it ended with exit code 3"),
        ("not-running", f"container {project}-sick-1", "it is unhealthy: away"),
        ("password-in-environment", f"container {project}-open-1", "API_TOKEN: ***"),
        (
            "published-port",
            f"container {project}-open-1",
            f"port {port}:80/tcp is bound on all addresses",
        ),
    ]


def test_nothing_is_found_in_a_project_without_containers(engine: Engine, run: Run) -> None:
    result = run(f"doctor --project {engine.project}").expect(0)
    assert result.stdout == (
        f"project {engine.project} (0 containers): 0 errors, 0 warnings, 0 allowed\n"
    )


COMPOSE = """\
name: {project}
services:
  db:
    image: {image}
    environment: {{POSTGRES_PASSWORD_FILE: /run/secrets/password, POSTGRES_USER: shop}}
    volumes:
      - {mount}
    shm_size: 128mb
    stop_grace_period: 60s
    secrets: [password]
secrets:
  password: {{file: ./password}}
volumes:
  data:
"""
PINNED = "# bootstrapd: allow floating-tag, because the tests have no other image\n"


def write(engine: Engine, folder: Path, image: str, mount: str) -> None:
    text = COMPOSE.format(project=engine.project, image=image, mount=mount)
    (folder / "compose.yaml").write_text(PINNED + text)
    (folder / "password").write_text("correct-horse\n")


AN_OLD_ONE = (
    "mkdir -p {path} && cd {path} && echo {version} >PG_VERSION && mkdir -p base/1 && "
    "echo {version} >base/1/PG_VERSION"
)


@pytest.mark.parametrize("path", [".", "data", "a/b/c", "15/docker"])
def test_an_old_data_directory_is_found_at_any_depth(
    path: str, engine: Engine, run: Run, tmp_path: Path
) -> None:
    volume = engine.volume("data", AN_OLD_ONE.format(path=path, version=15))
    write(engine, tmp_path, IMAGE, "data:/var/lib/postgresql")
    where = "its root" if path == "." else path
    assert findings(run("doctor --json", cwd=tmp_path).expect(5)) == [
        (
            "data-version",
            f"volume {volume}",
            f"it holds data of PostgreSQL 15 at {where}, and the image is postgres:18",
        )
    ]


def test_the_same_in_a_folder_of_the_host(engine: Engine, run: Run, tmp_path: Path) -> None:
    (tmp_path / "pg" / "data").mkdir(parents=True)
    (tmp_path / "pg" / "data" / "PG_VERSION").write_text("16\n")
    write(engine, tmp_path, IMAGE, "./pg:/var/lib/postgresql")
    assert findings(run("doctor --json", cwd=tmp_path).expect(5)) == [
        (
            "data-version",
            f"folder {tmp_path}/pg",
            "it holds data of PostgreSQL 16 at data, and the image is postgres:18",
        )
    ]


def test_data_that_the_server_would_not_look_at(engine: Engine, run: Run, tmp_path: Path) -> None:
    volume = engine.volume("data", AN_OLD_ONE.format(path="data", version=18))
    write(engine, tmp_path, IMAGE, "data:/var/lib/postgresql")
    assert findings(run("doctor --json", cwd=tmp_path).expect(5)) == [
        (
            "old-data",
            f"volume {volume}",
            "it holds data at /var/lib/postgresql/data, and the server looks at "
            "/var/lib/postgresql/18/docker",
        )
    ]


def test_data_of_the_right_version_is_sound_whatever_lies_beside_it(
    engine: Engine, run: Run, tmp_path: Path
) -> None:
    old = AN_OLD_ONE.format(path="15/docker", version=15)
    new = AN_OLD_ONE.format(path="18/docker", version=18)
    engine.volume("data", f"({old}); ({new})")
    write(engine, tmp_path, IMAGE, "data:/var/lib/postgresql")
    assert findings(run("doctor --json", cwd=tmp_path).expect(0)) == []


def test_a_volume_that_is_elsewhere_until_it_is_used(
    engine: Engine, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "disk" / "data").mkdir(parents=True)
    (tmp_path / "disk" / "data" / "PG_VERSION").write_text("14\n")
    name = f"{engine.project}_data"
    device = {"type": "none", "o": "bind", "device": str(tmp_path / "disk")}
    engine.client.volumes.create(name, driver="local", driver_opts=device)
    write(engine, tmp_path, IMAGE, "data:/var/lib/postgresql")
    text = (tmp_path / "compose.yaml").read_text()
    external = f"  data: {{external: {{name: {name}}}}}\n"
    (tmp_path / "compose.yaml").write_text(text.replace("  data:\n", external))
    assert [found[:2] for found in findings(run("doctor --json", cwd=tmp_path).expect(5))] == [
        ("data-version", f"volume {name}")
    ]


def test_a_volume_that_is_not_there_yet_is_sound(engine: Engine, run: Run, tmp_path: Path) -> None:
    write(engine, tmp_path, IMAGE, "data:/var/lib/postgresql")
    assert findings(run("doctor --json", cwd=tmp_path).expect(0)) == []


def test_who_may_not_read_the_volume_lets_a_container_look(
    engine: Engine, run: Run, tmp_path: Path
) -> None:
    need("setpriv")
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    volume = engine.volume("data", AN_OLD_ONE.format(path="a/b", version=15))
    socket_group = Path("/var/run/docker.sock").stat().st_gid
    write(engine, tmp_path, IMAGE, "data:/var/lib/postgresql")
    tmp_path.chmod(0o755)
    program = (
        "from pathlib import Path; import docker; from bootstrap.doctor import volumes; "
        f"place = volumes.Place({volume!r}, False, '/var/lib/postgresql'); "
        f"print(volumes.held(docker.from_env(), place, {IMAGE!r}))"
    )
    held = subprocess.run(
        [
            "setpriv",
            "--reuid=65534",
            f"--regid={socket_group}",
            "--clear-groups",
            _python(),
            "-c",
            program,
        ],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert held.stdout == "[Held(path='a/b', version='15')]\n"


SERVER = """\
# bootstrapd: allow floating-tag, because the tests have no other image
name: {project}
services:
  db:
    image: postgres:{major}
    environment: {{POSTGRES_USER: shop, POSTGRES_PASSWORD_FILE: /run/secrets/password}}
    secrets: [password]
    volumes: ["{mount}"]
    shm_size: 128mb
    stop_grace_period: 60s
    healthcheck:
      test: [CMD, pg_isready, -h, 127.0.0.1]
      interval: 200ms
      retries: 300
secrets:
  password: {{file: ./password}}
volumes:
  data:
  data18:
"""
ROWS = "select count(*), sum(n) from item"


def test_a_volume_of_15_is_found_before_18_starts_and_moved_by_the_commands_that_are_given(
    engine: Engine, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("correct-horse\n")

    def write(major: int, mount: str) -> None:
        text = SERVER.format(project=engine.project, major=major, mount=mount)
        (tmp_path / "compose.yaml").write_text(text)

    def sh(script: str) -> str:
        done = subprocess.run(
            ["sh", "-ec", script], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def query(sql: str) -> str:
        return sh(f"docker compose exec -T db psql -U shop -AtXq -v ON_ERROR_STOP=1 -c '{sql}'")

    write(15, "data:/var/lib/postgresql/data")
    run("doctor", cwd=tmp_path).expect(0)
    sh("docker compose up --wait --quiet-pull")
    query("create table item (n int); insert into item select generate_series(1, 1000)")
    assert query(ROWS) == "1000|500500\n"
    run("doctor", cwd=tmp_path).expect(0)
    sh("docker compose down")

    write(18, "data:/var/lib/postgresql")
    answer = run("doctor --json", cwd=tmp_path).expect(5).json()
    (found,) = answer["error"]["findings"]
    assert (found["rule"], found["place"], found["found"]) == (
        "data-version",
        f"volume {engine.project}_data",
        "it holds data of PostgreSQL 15 at its root, and the image is postgres:18",
    )

    by_hand = found["commands"].index("# give db another volume, then:")
    sh("\n".join(found["commands"][:by_hand]))
    write(18, "data18:/var/lib/postgresql")
    sh("\n".join(found["commands"][by_hand:]))
    assert query(ROWS) == "1000|500500\n"
    assert query("show server_version").startswith("18")
    run("doctor", cwd=tmp_path).expect(0)
    sh("docker compose down")
    # What is left of the old volume still starts with its own version.
    write(15, "data:/var/lib/postgresql/data")
    run("doctor", cwd=tmp_path).expect(0)


def _python() -> str:
    return sys.executable


# -- what the rules say is so ---------------------------------------------------------------------

STAYS = {"image": IMAGE, "entrypoint": ["sh", "-c", "exec sleep 600"], "stop_grace_period": "0s"}
ENDS = {"image": IMAGE, "entrypoint": ["sh", "-c", "exit 0"]}
WAITS = {"depends_on": {"init": {"condition": "service_completed_successfully"}}}
SHAPES: dict[str, tuple[dict[str, Any], bool]] = {
    "waited for": ({"init": ENDS, "app": {**STAYS, **WAITS}}, True),
    "alone": ({"init": ENDS, "app": STAYS}, False),
    "waited for in another profile": (
        {"init": ENDS, "app": STAYS, "tool": {**STAYS, **WAITS, "profiles": ["tools"]}},
        False,
    ),
    "waited for by another one that is": (
        {
            "init": ENDS,
            "seed": {**ENDS, **WAITS},
            "app": {
                **STAYS,
                "depends_on": {"seed": {"condition": "service_completed_successfully"}},
            },
        },
        True,
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_one_shot_alone_is_what_up_with_wait_fails_on(
    shape: str, engine: Engine, run: Run, tmp_path: Path
) -> None:
    services, comes_up = SHAPES[shape]
    document = {"name": engine.project, "services": services}
    (tmp_path / "compose.yaml").write_text(json.dumps(document))
    up = subprocess.run(
        ["docker", "compose", "up", "--wait", "--wait-timeout", "60"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (up.returncode == 0) == comes_up, up.stderr
    result = run("doctor --json compose.yaml", cwd=tmp_path).json()
    found = (result if result["ok"] else result["error"])["findings"]
    assert ("one-shot-alone" not in {each["rule"] for each in found}) == comes_up


@pytest.mark.parametrize(
    ("image", "target", "keeps"),
    [
        ("postgres:18", "/var/lib/postgresql", True),
        ("postgres:18", "/var/lib/postgresql/data", False),
        ("postgres:17", "/var/lib/postgresql/data", True),
        ("postgres:17", "/var/lib/postgresql", False),
    ],
)
def test_a_wrong_path_is_where_a_volume_keeps_nothing(
    image: str, target: str, keeps: bool, engine: Engine, run: Run, tmp_path: Path
) -> None:
    service = {
        "image": image,
        "environment": {"POSTGRES_PASSWORD": "correct-horse"},
        "volumes": [f"data:{target}"],
    }
    document = {"name": engine.project, "services": {"db": service}, "volumes": {"data": {}}}
    (tmp_path / "compose.yaml").write_text(json.dumps(document))
    up = ["docker", "compose", "up", "--detach"]
    subprocess.run(up, cwd=tmp_path, capture_output=True, check=True)

    def made() -> list[Any]:
        container = engine.client.containers.get(f"{engine.project}-db-1")
        if container.status == "exited":
            return ["refused"]
        with contextlib.suppress(docker.errors.APIError):
            look = ["sh", "-c", 'test -s "$PGDATA/PG_VERSION"']
            return ["made"] if container.exec_run(look).exit_code == 0 else []
        return []

    eventually(made, bool)
    volume = engine.client.volumes.get(f"{engine.project}_data")
    place = volumes.Place(str(volume.name), False, target)
    assert bool(volumes.held(engine.client, place, image)) == keeps
    result = run("doctor --json compose.yaml", cwd=tmp_path).json()["error"]
    assert ("data-path" not in {each["rule"] for each in result["findings"]}) == keeps


# -- the host -------------------------------------------------------------------------------------


def test_this_host_is_asked(run: Run) -> None:
    need("docker")
    result = run("doctor --host --json", timeout=120)
    answer = result.json()
    answer = answer if answer["ok"] else answer["error"]
    (looked,) = answer["looked_at"]
    version = docker.from_env().info()["ServerVersion"]
    assert looked.startswith(f"host (engine {version}, compose ")
    # The machine that tests run on may be small, but the engine is there.
    rules = {each["rule"] for each in answer["findings"]}
    assert not rules & {"host-engine", "host-compose"}


def test_a_host_without_programs(run: Run, tmp_path: Path) -> None:
    env = {"DOCKER_HOST": "tcp://127.0.0.1:1", "PATH": str(tmp_path)}
    result = run("doctor --host --json", env=env).expect(5)
    found = {each["rule"]: each["found"] for each in result.json()["error"]["findings"]}
    assert found["host-engine"].startswith("no container engine answers: ")
    assert found["host-compose"] == "no docker compose, wanted 2.24.4 or newer"

"""Hosts with systemd, as containers, and the playbooks run on them as an operator would."""

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import docs, need

ENVIRONMENT = docs.ROOT / ".venv-ansible" / "bin"
# What systemd in a container needs, and no more.
_OPTIONS = (
    *("--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN"),
    *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
)
_RECAP = re.compile(r"^(?P<host>\S+) +: ok=\d+ +changed=(?P<changed>\d+) .*failed=(?P<failed>\d+)")


def ansible(program: str = "ansible-playbook") -> Path:
    """A program of Ansible: that of `make ansible`, else of the PATH; the test skips without."""
    found = shutil.which(program, path=f"{ENVIRONMENT}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{program} is not installed: make ansible")
    return Path(found)


@dataclass(frozen=True)
class Host:
    """One container. `name` is what the inventory and the network call it."""

    name: str
    container: str
    address: str

    def run(self, command: str, *, check: bool = True) -> str:
        """The standard output of a shell command on the host, as root."""
        done = subprocess.run(
            ["docker", "exec", self.container, "bash", "-c", command],
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def kill(self) -> None:
        """Take the host away."""
        subprocess.run(["docker", "rm", "--force", "--volumes", self.container], check=True)

    def commit(self, image: str) -> None:
        """Keep the host's files as an image to start others from."""
        subprocess.run(["docker", "commit", self.container, image], check=True, capture_output=True)


def changes(output: str) -> dict[str, int]:
    """How many tasks of a play changed something, by host."""
    found = [_RECAP.match(line) for line in output.splitlines()]
    return {each["host"]: int(each["changed"]) for each in found if each}


def wheelhouse(folder: Path, python: str) -> Path:
    """A folder with wheels of all that bootstrapd needs under this version of Python."""
    made = folder / f"wheels-{python}"
    if not made.exists():
        platforms = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64")
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"),
                *("--requirement", docs.ROOT / "requirements" / "base.txt", "--dest", made),
                *("--only-binary", ":all:", "--implementation", "cp", "--python-version", python),
                *(word for name in platforms for word in ("--platform", name)),
            ],
            check=True,
        )
    return made


@dataclass(frozen=True)
class Play:
    """A run of a playbook: its exit code and all that it printed."""

    exit_code: int
    output: str
    duration_s: float

    def expect(self, exit_code: int = 0) -> "Play":
        """This run, which must have ended so."""
        assert self.exit_code == exit_code, self.output
        return self

    @property
    def changed(self) -> dict[str, int]:
        """How many tasks changed something, by host."""
        return changes(self.output)


class Controller:
    """A folder with an inventory, `hosts.yml`, and what Ansible keeps beside it."""

    def __init__(self, folder: Path) -> None:
        ansible()
        self.folder = folder
        # The path of a Unix socket has room for 107 characters, and pytest's folders are long.
        self._sockets = tempfile.mkdtemp(prefix="ssh-")

    def play(self, playbook: str, *arguments: str, timeout_s: float = 1500) -> Play:
        """Run a playbook of the project on this inventory."""
        begun_s = time.monotonic()
        done = subprocess.run(
            self.command(playbook, *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd=docs.ROOT,
            env=self.environment(),
            timeout=timeout_s,
        )
        return Play(done.returncode, done.stdout, time.monotonic() - begun_s)

    def command(self, playbook: str, *arguments: str) -> list[str]:
        """How `play` runs it."""
        book = docs.ROOT / "playbooks" / f"{playbook}.yml"
        return [str(ansible()), "-i", str(self.folder / "hosts.yml"), str(book), *arguments]

    def environment(self) -> dict[str, str]:
        """The environment of `play`: nothing of the machine's own Ansible."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return kept | {
            "HOME": str(home),
            # Hosts are elsewhere.
            "TZ": "Asia/Kolkata",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": self._sockets,
            "LC_ALL": "C.UTF-8",
        }

    def secret(self, name: str) -> str:
        """A secret that was generated, as `postgresql/godel_app`."""
        return (self.folder / "secrets" / name).read_text().strip()

    def secrets(self) -> list[str]:
        """Every password and key that is kept on the controller."""
        kept = self.folder / "secrets"
        files = [path for path in kept.rglob("*") if path.is_file() and path.suffix != ".crt"]
        return [line for path in files for line in path.read_text().split("\n") if len(line) > 20]

    def passwords(self) -> set[str]:
        """The passwords of users that were generated."""
        folders = [self.folder / "secrets" / name for name in ("postgresql", "redis")]
        return {path.read_text() for folder in folders for path in folder.iterdir()}

    @property
    def authority(self) -> str:
        """The certificate by which clients verify servers."""
        return str(self.folder / "secrets" / "ca" / "ca.crt")

    def close(self) -> None:
        """Take away what is outside the folder."""
        shutil.rmtree(self._sockets, ignore_errors=True)


class Site(Controller):
    """Hosts on a network of their own, and an inventory of them in a folder."""

    def __init__(self, folder: Path) -> None:
        need("docker")
        super().__init__(folder)
        self.name = f"bootstrapd-{secrets.token_hex(4)}"
        self.hosts: dict[str, Host] = {}
        subprocess.run(["docker", "network", "create", self.name], check=True, capture_output=True)

    def start(self, name: str, image: str, *options: str) -> Host:
        """A host of this image, up and reachable under its name."""
        container = f"{self.name}-{name}"
        subprocess.run(
            [
                *("docker", "run", "--detach", "--name", container, "--hostname", name),
                *("--network", self.name, "--network-alias", name, *_OPTIONS, *options, image),
            ],
            check=True,
            capture_output=True,
        )
        self.hosts[name] = host = Host(name, container, _address(container))
        deadline_s = time.monotonic() + 240
        while "running" not in (state := host.run("systemctl is-system-running", check=False)):
            assert time.monotonic() < deadline_s, f"{name} is {state!r}"
            if "degraded" in state:
                break
            time.sleep(0.2)
        # Without it no credential reaches a unit.
        host.run("mount --make-rshared /")
        return host

    def write(self, groups: Mapping[str, Sequence[str]], **variables: Any) -> None:
        """The inventory: which hosts are in which group, and the variables of all."""
        connection = {
            "ansible_connection": "community.docker.docker",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        connection |= variables
        over_ssh = connection["ansible_connection"] == "ssh"
        children: dict[str, Any] = {group: {"hosts": {}} for group in groups}
        for group, names in groups.items():
            for host in (self.hosts[name] for name in names):
                reached = host.address if over_ssh else host.container
                children[group]["hosts"][host.name] = {"ansible_host": reached}
        everything = {"all": {"children": children, "vars": connection}}
        (self.folder / "hosts.yml").write_text(yaml.safe_dump(everything))

    @property
    def me(self) -> str:
        """This machine, as the hosts see it."""
        told = _inspect(self.name, "network")
        (range_,) = told["IPAM"]["Config"]
        gateway: str = range_["Gateway"]
        return f"{gateway}/32"

    def close(self) -> None:
        """Take away all that was made."""
        for host in self.hosts.values():
            with contextlib.suppress(subprocess.CalledProcessError):
                host.kill()
        subprocess.run(["docker", "network", "rm", self.name], check=False, capture_output=True)
        super().close()


def _address(container: str) -> str:
    (network,) = _inspect(container, "container")["NetworkSettings"]["Networks"].values()
    address: str = network["IPAddress"]
    return address


def _inspect(name: str, kind: str) -> dict[str, Any]:
    told = subprocess.run(
        ["docker", kind, "inspect", name], check=True, capture_output=True, text=True
    ).stdout
    (found,) = json.loads(told)
    return dict(found)

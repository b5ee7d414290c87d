"""The host: whether it has what stacks and playbooks need. Nothing is installed or changed."""

import contextlib
import ctypes
import importlib.metadata
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bootstrap.doctor import finding
from bootstrap.doctor.finding import Finding

# Health checks have start_interval from here on.
ENGINE = (25, 0)
# Overlays have !override from here on.
COMPOSE = (2, 24, 4)
ANSIBLE = (2, 18)
CPUS = 2
# What a host of 2 GB has left for others than its kernel.
MEMORY_BYTES = 1_800_000_000
DISK_BYTES = 5_000_000_000
SKEW_S = 2.0
_TIMEOUT_S = 10
_UNSYNCHRONISED = 0x40


@dataclass(frozen=True)
class Facts:
    """What a host has. A version is None where the program is not there; `trouble` says why.

    `skew_s` is how far the engine's clock is ahead of ours, `synchronised` is None where the
    kernel does not tell.
    """

    engine: str | None
    trouble: str
    compose: str | None
    ansible: str | None
    cpus: int
    memory_bytes: int
    disk: str
    disk_free_bytes: int
    synchronised: bool | None
    skew_s: float

    def __str__(self) -> str:
        """All of it on one line."""
        programs = {"engine": self.engine, "compose": self.compose, "ansible-core": self.ansible}
        return ", ".join(
            [
                *(f"{name} {version or 'missing'}" for name, version in programs.items()),
                f"{self.cpus} CPU{'s' * (self.cpus != 1)}",
                f"{self.memory_bytes / 1e9:.1f} GB of memory",
                f"{self.disk_free_bytes / 1e9:.1f} GB free in {self.disk}",
            ]
        )


def facts() -> Facts:
    """Ask this host."""
    engine, trouble, root, skew_s = _engine()
    disk = root if root and Path(root).is_dir() else "."
    return Facts(
        engine=engine,
        trouble=trouble,
        compose=_said("docker", "compose", "version", "--short"),
        ansible=_ansible(),
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        disk=disk,
        disk_free_bytes=shutil.disk_usage(disk).free,
        synchronised=_synchronised(),
        skew_s=skew_s,
    )


def check(host: Facts) -> Iterator[Finding]:
    """What a host lacks, each with a message of its own."""

    def lacks(rule: str, found: str, why: str, instead: str) -> Finding:
        return finding.outside(rule, "host", "", found, why=why, instead=instead)

    if host.engine is None:
        yield lacks(
            "host-engine",
            f"no container engine answers: {host.trouble}",
            "containers cannot be run",
            "install Docker Engine and start it, or name where it is in DOCKER_HOST; its socket is "
            "for root and the group docker",
        )
    elif _parts(host.engine) < ENGINE:
        yield lacks(
            "host-engine",
            f"Docker Engine {host.engine}, wanted {_shown(ENGINE)} or newer",
            "older ones do not know start_interval of health checks",
            "update it",
        )
    if host.compose is None or _parts(host.compose) < COMPOSE:
        found = f"compose {host.compose}" if host.compose else "no docker compose"
        yield lacks(
            "host-compose",
            f"{found}, wanted {_shown(COMPOSE)} or newer",
            "stacks cannot be brought up; older ones do not know !override in overlays",
            "install the plugin docker-compose-plugin",
        )
    if host.ansible is None or _parts(host.ansible) < ANSIBLE:
        found = f"ansible-core {host.ansible}" if host.ansible else "no ansible-core"
        yield lacks(
            "host-ansible",
            f"{found}, wanted {_shown(ANSIBLE)} or newer",
            "the playbooks cannot be run from here; a host that is provisioned needs none",
            "pip install 'bootstrapd[ansible]'",
        )
    if host.cpus < CPUS:
        yield lacks(
            "host-cpus",
            f"{host.cpus} CPU, wanted {CPUS} or more",
            "the database, the app and the engine wait for each other",
            "give the host another one",
        )
    if host.memory_bytes < MEMORY_BYTES:
        yield lacks(
            "host-memory",
            f"{host.memory_bytes / 1e9:.1f} GB of memory, wanted 2 GB or more",
            "where memory ends, the kernel kills the largest process, and that is the database",
            "give the host more",
        )
    if host.disk_free_bytes < DISK_BYTES:
        yield lacks(
            "host-disk",
            f"{host.disk_free_bytes / 1e9:.1f} GB free in {host.disk}, wanted "
            f"{DISK_BYTES / 1e9:.0f} GB or more",
            "a full disk stops the database, and images need room beside it",
            "free some space (docker system df tells what the engine holds), or add a disk",
        )
    if abs(host.skew_s) > SKEW_S:
        direction = "ahead of" if host.skew_s > 0 else "behind"
        yield lacks(
            "host-clock",
            f"the engine's clock is {abs(host.skew_s):.1f} s {direction} this one",
            "certificates, logs and backups go by it",
            "synchronise both with the same time servers",
        )
    elif host.synchronised is False:
        yield lacks(
            "host-clock",
            "the kernel says that its clock is not synchronised",
            "certificates, logs and backups go by it",
            "install chrony, or: timedatectl set-ntp true",
        )


def _engine() -> tuple[str | None, str, str, float]:
    """Version, trouble, folder and the lead of its clock, of the engine that answers."""
    import docker

    try:
        with contextlib.closing(docker.from_env(timeout=_TIMEOUT_S)) as engine:
            before = datetime.now(UTC)
            told = engine.info()
            after = datetime.now(UTC)
            skew_s = 0.0
            with contextlib.suppress(ValueError):
                theirs = datetime.fromisoformat(told["SystemTime"])
                # It looked at its clock at some moment between these two.
                skew_s = (theirs - min(max(theirs, before), after)).total_seconds()
            return told["ServerVersion"], "", told["DockerRootDir"], skew_s
    except docker.errors.DockerException as error:
        return None, str(error), "", 0.0


def _ansible() -> str | None:
    """The version of ansible-core beside this program, or of the one in the PATH."""
    try:
        return importlib.metadata.version("ansible-core")
    except importlib.metadata.PackageNotFoundError:
        said = _said("ansible-playbook", "--version") or ""
        match = re.search(r"\[core ([^\]]+)\]", said)
        return match[1] if match else None


def _said(*command: str) -> str | None:
    """What a program says; None where it is not there or fails."""
    program = shutil.which(command[0])
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip()


class _Timex(ctypes.Structure):
    """The beginning of struct timex, see adjtimex(2), and room for the rest of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def _synchronised() -> bool | None:
    """Whether something keeps the kernel's clock right."""
    timex = _Timex()
    try:
        state: int = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else not timex.status & _UNSYNCHRONISED


def _parts(version: str) -> tuple[int, ...]:
    """The leading numbers of a version."""
    match = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def _shown(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))

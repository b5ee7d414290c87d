"""`doctor --host` has a message of its own for each thing that a host lacks."""

from dataclasses import replace
from typing import Any

import pytest

from bootstrap.doctor import host
from bootstrap.doctor.host import Facts

SOUND = Facts(
    engine="28.5.2+dfsg4",
    trouble="",
    compose="v2.40.3-3",
    ansible="2.19.14",
    cpus=2,
    memory_bytes=2_000_000_000,
    disk="/var/lib/docker",
    disk_free_bytes=20_000_000_000,
    synchronised=True,
    skew_s=-0.3,
)


def test_a_host_that_has_it_all() -> None:
    assert list(host.check(SOUND)) == []
    assert str(SOUND) == (
        "engine 28.5.2+dfsg4, compose v2.40.3-3, ansible-core 2.19.14, 2 CPUs, 2.0 GB of memory, "
        "20.0 GB free in /var/lib/docker"
    )
    # Where nobody says whether the clock is right, nobody says that it is wrong.
    assert list(host.check(replace(SOUND, synchronised=None))) == []


@pytest.mark.parametrize(
    ("facts", "rule", "severity", "found"),
    [
        (
            {"engine": None, "trouble": "Connection refused"},
            "host-engine",
            "error",
            "no container engine answers: Connection refused",
        ),
        (
            {"engine": "24.0.9"},
            "host-engine",
            "error",
            "Docker Engine 24.0.9, wanted 25.0 or newer",
        ),
        ({"compose": None}, "host-compose", "error", "no docker compose, wanted 2.24.4 or newer"),
        ({"compose": "2.24.3"}, "host-compose", "error", "compose 2.24.3, wanted 2.24.4 or newer"),
        ({"compose": "dev"}, "host-compose", "error", "compose dev, wanted 2.24.4 or newer"),
        ({"ansible": None}, "host-ansible", "warning", "no ansible-core, wanted 2.18 or newer"),
        (
            {"ansible": "2.9.27"},
            "host-ansible",
            "warning",
            "ansible-core 2.9.27, wanted 2.18 or newer",
        ),
        ({"cpus": 1}, "host-cpus", "warning", "1 CPU, wanted 2 or more"),
        (
            {"memory_bytes": 1_000_000_000},
            "host-memory",
            "error",
            "1.0 GB of memory, wanted 2 GB or more",
        ),
        (
            {"disk_free_bytes": 1_500_000_000},
            "host-disk",
            "error",
            "1.5 GB free in /var/lib/docker, wanted 5 GB or more",
        ),
        (
            {"skew_s": -3.21},
            "host-clock",
            "warning",
            "the engine's clock is 3.2 s behind this one",
        ),
        (
            {"skew_s": 60.0},
            "host-clock",
            "warning",
            "the engine's clock is 60.0 s ahead of this one",
        ),
        (
            {"synchronised": False},
            "host-clock",
            "warning",
            "the kernel says that its clock is not synchronised",
        ),
    ],
)
def test_each_lack_has_its_own_message(
    facts: dict[str, Any], rule: str, severity: str, found: str
) -> None:
    (only,) = host.check(replace(SOUND, **facts))
    assert (only.rule, only.severity, only.found) == (rule, severity, found)
    assert only.place == "host"
    assert only.why
    assert only.instead


def test_all_lacks_are_told_at_once() -> None:
    poor = Facts(None, "no", None, None, 1, 1, ".", 1, False, 0.0)
    assert [each.rule for each in host.check(poor)] == [
        "host-engine",
        "host-compose",
        "host-ansible",
        "host-cpus",
        "host-memory",
        "host-disk",
        "host-clock",
    ]

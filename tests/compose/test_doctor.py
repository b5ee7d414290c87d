"""`doctor` has nothing to say about the stack that the project ships, and finds what spoils it."""

import itertools
import shutil
from pathlib import Path

import pytest

from bootstrap.doctor import examine, interpolate
from bootstrap.doctor.report import Report

FOLDER = Path(__file__).parents[2] / "compose"
BASE = FOLDER / "compose.yml"
OVERLAYS = sorted(FOLDER.glob("compose.*.yml"))
CHOICES = [
    chosen
    for count in range(len(OVERLAYS) + 1)
    for chosen in itertools.combinations(OVERLAYS, count)
]


def _name(chosen: tuple[Path, ...]) -> str:
    return "+".join(path.name for path in (BASE, *chosen))


@pytest.mark.parametrize("chosen", CHOICES, ids=_name)
def test_nothing_is_found_in_our_own_files(chosen: tuple[Path, ...]) -> None:
    report = Report()
    examine.files([BASE, *chosen], {}, report)
    assert report.findings == []
    assert report.allowed == []


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*env*")), ids=lambda file: file.name)
def test_nothing_is_found_with_the_settings_that_are_shipped(file: Path) -> None:
    settings = interpolate.entries(file.read_text(encoding="utf-8"), {})
    values = {each.name: each.value for each in settings if each.value is not None}
    files = [FOLDER / name for name in values.get("COMPOSE_FILE", BASE.name).split(":")]
    report = Report()
    examine.files(files, values, report)
    assert report.findings == []


# What is replaced in compose.yml, by what, and the one rule that finds it.
PLANTED = [
    ("--host=127.0.0.1, ", "", "socket-check"),
    ("[CMD, sh, /usr/local/lib/stack/health.sh]", "[CMD, redis-cli, ping]", "ping-check"),
    ("${BIND_ADDRESS:-127.0.0.1}:${PORT_POSTGRES", "${PORT_POSTGRES", "published-port"),
    ("${BIND_ADDRESS:-127.0.0.1}:${PORT_APP", "0.0.0.0:${PORT_APP", "published-port"),
    ("${POSTGRES_IMAGE:-postgres:18.6-trixie}", "${POSTGRES_IMAGE:-postgres:18}", "floating-tag"),
    ("redis:8.0.2-bookworm", "redis:latest", "floating-tag"),
    (
        "- postgres_data:/var/lib/postgresql\n",
        "- postgres_data:/var/lib/postgresql/data\n",
        "data-path",
    ),
    ("- postgres_data:/var/lib/postgresql\n", "- /var/lib/postgresql\n", "data-volume"),
    ("      - redis_data:/data\n", "", "data-volume"),
    ("    shm_size: ${POSTGRES_SHM_SIZE:-256mb}\n", "", "shm-size"),
    ("    stop_grace_period: 2m\n", "", "stop-grace"),
    ("      - --appendonly yes\n", "", "redis-durability"),
    ("      - --maxmemory ${REDIS_MAXMEMORY:-256mb}\n", "", "redis-memory"),
    (
        "      POSTGRES_USER: postgres\n",
        "      POSTGRES_PASSWORD: correct-horse\n",
        "password-in-environment",
    ),
    ("      POSTGRES_USER: postgres\n", "      POSTGRES_HOST_AUTH_METHOD: trust\n", "trust"),
    (
        "      - --appendonly yes\n",
        "      - --appendonly yes\n      - --requirepass x\n",
        "password-in-command",
    ),
    ("restart: on-failure:3", "restart: always", "one-shot-restart"),
    (
        "      bootstrap: {condition: service_completed_successfully}\n    ports",
        "    ports",
        "one-shot-alone",
    ),
    ("    image: ${APP_IMAGE", "    container_name: app\n    image: ${APP_IMAGE", "container-name"),
    ("    image: ${APP_IMAGE", "    privileged: true\n    image: ${APP_IMAGE", "privileged"),
    ("\nservices:\n", "\nversion: '3'\nservices:\n", "version-key"),
    ("      retries: 12\n      start_period: 10m\n", "      retries: 9\n", "health-budget"),
]


@pytest.mark.parametrize(("old", "new", "rule"), PLANTED)
def test_what_spoils_it_is_found(old: str, new: str, rule: str, tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "compose", ignore=shutil.ignore_patterns("secrets", ".env"))
    file = tmp_path / "compose" / "compose.yml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    report = Report()
    examine.files([file], {}, report)
    assert {each.rule for each in report.findings} == {rule}

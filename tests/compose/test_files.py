"""What the compose files promise, read from the files alone."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bootstrap.options import SPECS
from tests.support import docs

FOLDER = docs.COMPOSE.parent
FILES = sorted(FOLDER.glob("compose*.yml"))
# ${NAME}, ${NAME:-default}
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")
_LINE = re.compile(r"^#?(?P<name>[A-Z]\w*)=(?P<default>.*)$", re.MULTILINE)
# A version down to the minor, and the distribution where an image comes with several.
_PINNED = re.compile(
    r"(?:(?:postgres|redis|python):\d+\.\d+(?:\.\d+)?(?:-slim)?-(?:trixie|bookworm)"
    r"|(?!(?:postgres|redis|python):)[\w./-]+:v?\d+\.\d+(?:\.\d+)?(?:-\w+)?)"
)


class _Loader(yaml.SafeLoader):
    """YAML with compose's own tags, which say how files are merged."""


def _untagged(loader: _Loader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return None


_Loader.add_multi_constructor("!", _untagged)


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    return loaded


BASE = load(docs.COMPOSE)
SERVICES: dict[str, dict[str, Any]] = BASE["services"]
ONE_SHOTS = {"bootstrap"}


def _variables() -> dict[str, set[str]]:
    """Every variable of the compose files and scripts with its defaults."""
    found: dict[str, set[str]] = {}
    for path in FILES:
        text = re.sub(r"(?m)^\s*#.*$", "", path.read_text(encoding="utf-8"))
        for each in _VARIABLE.finditer(text):
            found.setdefault(each["name"], set()).add(each["default"] or "")
    for path in (FOLDER / "scripts").iterdir():
        for each in re.finditer(r"\$\(setting (\w+) ([^)]*)\)", path.read_text(encoding="utf-8")):
            found.setdefault(each[1], set()).add(each[2])
    return found


# -- env.example = compose = settings --------------------------------------------------------------


def test_env_example_lists_each_variable_of_the_compose_files_with_its_default() -> None:
    text = docs.ENV_EXAMPLE.read_text(encoding="utf-8").partition(docs.ENV_SETTINGS)[0]
    listed = {found["name"]: {found["default"]} for found in _LINE.finditer(text)}
    # Compose itself reads these two, which the files need not name.
    of_compose = {"COMPOSE_PROFILES": {""}, "COMPOSE_FILE": {"compose.yml"}}
    assert listed == {**_variables(), **of_compose}


def test_env_example_lists_each_setting_that_is_passed_on() -> None:
    text = docs.ENV_EXAMPLE.read_text(encoding="utf-8").partition(docs.ENV_SETTINGS)[2]
    assert text == docs.env_example(), "write it anew: python -m tests.support.docs"


def test_each_setting_of_bootstrapd_is_passed_on_or_fixed_or_of_no_use_in_a_container() -> None:
    given = {name.removesuffix("_FILE") for name in BASE["x-settings"]}
    of_single_services = {"BOOTSTRAPD_MIGRATE", "BOOTSTRAPD_HEALTH_ADDRESS", "BOOTSTRAPD_STATE_DIR"}
    other_ways_to_the_servers = {"DATABASE_URL", "BOOTSTRAPD_DIRECT_URL", "REDIS_URL"}
    of_sqlite = {"BOOTSTRAPD_SQLITE_PATH", "BOOTSTRAPD_AUTO_TIMEOUT_S"}
    of_the_machine = {
        "BOOTSTRAPD_BACKUP_DIR",
        "BOOTSTRAPD_BACKUP_KEEP",
        "BOOTSTRAPD_CONTAINER",
        "BOOTSTRAPD_PG_BIN",
        "BOOTSTRAPD_PYTHON",
        "BOOTSTRAPD_SCRATCH_URL",
    }
    of_rehearsals = {name for name in SPECS if name.startswith("BOOTSTRAPD_REHEARSE_")}
    left_out = (
        of_single_services
        | other_ways_to_the_servers
        | of_sqlite
        | of_the_machine
        | of_rehearsals
        | {"BOOTSTRAPD_REDIS_SSL"}
    )
    assert given == set(SPECS) - left_out
    assert given.isdisjoint(left_out)


# -- house rules -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_images_are_pinned_and_nothing_is_named_for_one_machine(path: Path) -> None:
    loaded = load(path)
    assert "version" not in loaded
    for service in loaded.get("services", {}).values():
        assert "container_name" not in service
        if "image" in service:
            default = _VARIABLE.fullmatch(service["image"])
            assert default is not None, f"{service['image']} cannot be chosen by a variable"
            assert _PINNED.fullmatch(default["default"]), default["default"]


@pytest.mark.parametrize("tag", ["postgres:18", "postgres:18.6", "redis:8-trixie", "x/y:latest"])
def test_the_rule_for_pins_knows_a_floating_tag(tag: str) -> None:
    assert _PINNED.fullmatch(tag) is None


def test_the_image_of_the_daemon_is_made_from_a_pinned_one() -> None:
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    (default,) = re.findall(r"^ARG PYTHON_IMAGE=(.*)$", text, re.MULTILINE)
    assert _PINNED.fullmatch(default)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${PYTHON_IMAGE}"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_ports_are_published_on_the_loopback_unless_asked_otherwise(path: Path) -> None:
    for service in load(path).get("services", {}).values():
        for port in service.get("ports", ()):
            assert port.startswith("${BIND_ADDRESS:-127.0.0.1}:${PORT_"), port


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_variable_holds_a_secret(path: Path) -> None:
    for service in load(path).get("services", {}).values():
        for name, value in (service.get("environment") or {}).items():
            if re.search("PASS(WORD)?|SECRET|TOKEN|_URL$", name) and "PASSFILE" not in name:
                assert str(value).startswith("/run/secrets/") or "FILE" in name, name


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_says_how_it_is_watched_ended_and_held_in_bounds(name: str) -> None:
    service = SERVICES[name]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    # pgAdmin's image writes its configuration into itself.
    assert service.get("read_only", False) is (name != "pgadmin")
    assert service["logging"]["options"]["max-file"] == "3"
    assert "stop_grace_period" in service
    if name in ONE_SHOTS:
        assert service["restart"] == "on-failure:3"
        assert service["healthcheck"] == {"disable": True}
    else:
        assert service["restart"] == "unless-stopped"
        assert {"test", "interval", "timeout", "retries", "start_period"} <= set(
            service["healthcheck"]
        )


def test_in_every_profile_somebody_waits_for_each_one_shot() -> None:
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", ())}
    assert profiles == PROFILES
    for profile in ("", *profiles):
        present = {
            name
            for name, service in SERVICES.items()
            if not service.get("profiles") or profile in service["profiles"]
        }
        adopted = {
            other
            for name in present - ONE_SHOTS
            for other, how in (SERVICES[name].get("depends_on") or {}).items()
            if how["condition"] == "service_completed_successfully"
        }
        assert present & ONE_SHOTS <= adopted


PROFILES = {"health", "tools", "pooler", "monitoring", "backup"}


def test_every_secret_is_made_by_the_script() -> None:
    made = (FOLDER / "scripts" / "secrets").read_text(encoding="utf-8")
    for name in BASE["secrets"]:
        assert re.search(rf"\b{re.escape(name)}\b", made), name


# -- the Makefile ----------------------------------------------------------------------------------


def test_the_verbs_of_the_stack_are_there() -> None:
    verbs = (
        "up down logs ps db-up migrate migrate-status migrate-create psql redis-cli backup restore "
        "clean secrets rotate-secrets"
    )
    makefile = (docs.ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(verbs.split()) <= set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    (down,) = re.findall(r"^down:.*\n\t(.*)$", makefile, re.MULTILINE)
    assert not re.search("volumes| -v", down)

"""Each role of the Ansible collection says what it takes, and the same everywhere."""

import re
from pathlib import Path

import pytest
import yaml

from tests.support import docs, roles

_VARIABLE = re.compile(r"^[a-z_]+:", re.MULTILINE)


def _text(*parts: str) -> str:
    return roles.ROLES.joinpath(*parts).read_text(encoding="utf-8")


@pytest.mark.parametrize("role", roles.names())
def test_defaults_and_table_are_those_of_the_argument_spec(role: str) -> None:
    assert _text(role, "defaults", "main.yml") == roles.defaults(role), (
        "write it anew: python -m tests.support.roles"
    )
    assert roles.tables(role) == [roles.table(role)], "write it anew: python -m tests.support.roles"


@pytest.mark.parametrize("role", roles.names())
def test_public_variables_have_the_name_of_their_role(role: str) -> None:
    assert all(name.startswith(f"{role}_") for name in roles.options(role))
    internal = roles.ROLES / role / "vars" / "main.yml"
    if internal.exists():
        names = _VARIABLE.findall(internal.read_text(encoding="utf-8"))
        assert all(name.startswith(f"__{role}_") for name in names)


@pytest.mark.parametrize("role", roles.names())
def test_a_role_has_the_same_rooms_as_all(role: str) -> None:
    rooms = {path.stem for path in (roles.ROLES / role / "tasks").iterdir()}
    assert rooms >= set(roles.ROOMS)
    assert roles.ROLES.joinpath(role, "handlers", "main.yml").exists()


def test_a_secret_is_looked_up_only_where_the_output_is_hidden() -> None:
    """What holds passwords is named in tasks with no_log alone."""
    secret = re.compile(
        r"__postgresql_password|__redis_users\b|__bootstrapd_credentials|users\.acl\.j2"
        r"|__compose_stack_users"
    )
    found = []
    for path in roles.ROLES.glob("*/tasks/*.yml"):
        for task in _tasks(path):
            if secret.search(yaml.safe_dump(task)):
                found.append(path)
                assert task.get("no_log") is True, f"{path}: {task['name']}"
    assert len(found) == 6


def _tasks(path: Path) -> list[dict[str, object]]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or []


def test_each_playbook_is_in_the_page_of_playbooks() -> None:
    page = docs.sections((docs.ROOT / "playbooks" / "README.md").read_text(encoding="utf-8"))
    books = {path.stem for path in (docs.ROOT / "playbooks").glob("*.yml")}
    assert books <= set(page)
    for book in books:
        assert f"ansible-playbook playbooks/{book}.yml" in page[book]


def test_the_inventories_name_variables_that_there_are() -> None:
    known = {name for role in roles.names() for name in roles.options(role)}
    own = {"deployment", "deployment_networks"}
    files = list((docs.ROOT / "inventory").glob("*/group_vars/*/*.yml*"))
    assert {path.parts[-4] for path in files} >= {"local", "example"}
    for path in files:
        variables = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert set(variables) <= known | own, path

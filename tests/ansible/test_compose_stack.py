"""The deployment in containers, from the variables that make it of packages elsewhere."""

import http.client
import json
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from tests.support import hosts, processes, stack

pytestmark = [pytest.mark.container, pytest.mark.timeout(1200)]


class Local:
    """This machine as the one host of an inventory, with a stack under a name of its own."""

    def __init__(self, folder: Path) -> None:
        self.name = f"bootstrapd-test-{secrets.token_hex(4)}"
        self.folder = folder
        self.home = folder / "opt"
        self.ports = {
            name: processes.free_port() for name in ("app", "health", "postgres", "redis")
        }
        self.book = folder / "stack.yml"
        self.book.write_text("- hosts: stack\n  gather_facts: false\n  roles: [compose_stack]\n")

    def write(self, **variables: object) -> None:
        """The inventory, in the variables of packages."""
        given = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "/usr/bin/python3",
            "deployment": self.name,
            "compose_stack_path": str(self.home),
            "compose_stack_ports": self.ports,
            "compose_stack_profiles": [],
            "bootstrapd_apps": [{"name": "godel"}],
            "postgresql_databases": [{"name": "godel"}],
            "postgresql_version": "18",
            **variables,
        }
        inventory = {"stack": {"hosts": {"localhost": None}, "vars": given}}
        (self.folder / "hosts.yml").write_text(json.dumps({"all": {"children": inventory}}))

    def play(self, *words: str) -> hosts.Play:
        """The role, run to its end."""
        site = object.__new__(hosts.Site)
        site.folder = self.folder
        return site.play(str(self.book.with_suffix("")), *words)

    def ask(self, statement: str, password: str) -> str:
        """What the database answers to the app's role, over the wire."""
        login = f"godel_app:{quote(password, safe='')}"
        url = f"postgresql://{login}@127.0.0.1:{self.ports['postgres']}/godel"
        with psycopg.connect(url) as connection:
            row = connection.execute(statement.encode()).fetchone()
        assert row is not None
        return str(row[0])

    def close(self) -> None:
        """Take the stack away with its volumes."""
        words = ["docker", "compose", "--profile", "*", "down", "--volumes", "--timeout", "2"]
        subprocess.run(words, cwd=self.home / "compose", capture_output=True)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    stack.daemon()
    for name in re.findall(
        r"image: \$\{\w+:-((?:postgres|redis):[^}]+)\}",
        (stack.FOLDER / "compose.yml").read_text(),
    ):
        stack.provide(name)
    made = Local(tmp_path)
    yield made
    made.close()


def test_the_variables_of_packages_make_the_same_deployment_of_containers(local: Local) -> None:
    local.write()
    local.play().expect(0)
    generated = (local.folder / "secrets" / "postgresql" / "godel_app").read_text().strip()
    assert local.ask("select count(*) > 0 from alembic_version", generated) == "True"
    app = http.client.HTTPConnection("127.0.0.1", local.ports["app"], timeout=10)
    app.request("GET", "/health")
    assert app.getresponse().status == 200
    assert local.play().expect(0).changed == {"localhost": 0}

    # A password that changes in the inventory is given to the data that are there.
    identity = local.ask("select identity::text from bootstrapd.pin", generated)
    local.write(postgresql_passwords={"godel_app": "another-password-1"})
    changed = local.play("-vvv").expect(0)
    assert "another-password-1" not in changed.output
    assert generated not in changed.output
    assert local.ask("select identity::text from bootstrapd.pin", "another-password-1") == identity
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        local.ask("select 1", generated)

    # Data of another major version stop it before anything starts.
    local.write(postgresql_version="17")
    refused = local.play().expect(2)
    told = " ".join(refused.output.split())
    assert f"volume {local.name}_postgres_data holds data of PostgreSQL 18" in told

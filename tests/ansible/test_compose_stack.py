"""The deployment in containers, from the variables that make it of packages elsewhere."""

import json
import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support import hosts, processes, stack
from tests.support.deployment import Deployment, godel, rotate

pytestmark = [pytest.mark.container, pytest.mark.timeout(1200)]


class Local(hosts.Controller):
    """This machine as the one host of an inventory, with a stack under a name of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.name = f"bootstrapd-test-{secrets.token_hex(4)}"
        self.home = folder / "opt"
        self.ports = {
            name: processes.free_port() for name in ("app", "health", "postgres", "redis")
        }
        self.deployment = Deployment(
            self,
            "db.example.org",
            "127.0.0.1",
            f"http://127.0.0.1:{self.ports['app']}",
            self.ports["postgres"],
        )

    def write(self, **variables: Any) -> None:
        """The inventory, in the variables of packages."""
        given = {
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": "/usr/bin/python3",
            "deployment": self.name,
            "compose_stack_path": str(self.home),
            "compose_stack_ports": self.ports,
            "compose_stack_profiles": [],
            "postgresql_version": "18",
            "postgresql_databases": [{"name": "godel", "extensions": ["pg_trgm"]}],
            "bootstrapd_apps": [godel()],
            **variables,
        }
        inventory = {"stack": {"hosts": {"db.example.org": None}, "vars": given}}
        (self.folder / "hosts.yml").write_text(json.dumps({"all": {"children": inventory}}))

    def close(self) -> None:
        """Take the stack away with its volumes."""
        if (self.home / "compose").exists():
            words = ["docker", "compose", "--profile", "*", "down", "--volumes", "--timeout", "2"]
            subprocess.run(words, cwd=self.home / "compose", capture_output=True)
        super().close()


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
    database = local.deployment
    local.play("site", "--check", "--diff").expect()
    assert not local.home.exists()
    first = local.play("site", "-vvv", "--diff").expect()
    assert local.secrets() != []
    assert [secret for secret in local.secrets() if secret in first.output] == []
    assert local.play("site").expect().changed == {"db.example.org": 0}
    database.verify(18)

    # A password that changes in the inventory is given to the data that are there.
    old = local.secret("postgresql/godel_app")
    changed = 'a: "new" \\one @ % $ # é'
    local.write(postgresql_passwords={"godel_app": changed}, redis_passwords={"app": changed})
    again = local.play("site", "-vvv", "--diff").expect()
    assert changed not in again.output
    assert database.ask("app", "select count(*) from agents", changed) == [(1,)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        database.connect("app", old)
    assert database.agents() == 1
    local.play("check").expect()

    # Data of another major version stop it before anything starts.
    local.write(postgresql_version="17")
    refused = local.play("site").expect(2)
    told = " ".join(refused.output.split())
    assert f"volume {local.name}_postgres_data holds data of PostgreSQL 18" in told

    # Nothing is destroyed unless the deployment's name is typed.
    local.play("destroy").expect(2)
    assert database.agents() == 1
    local.play("destroy", "-e", f"confirm={local.name}").expect()
    assert not local.home.exists()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        database.connect("monitor")


@pytest.mark.benchmark
def test_passwords_change_while_clients_write_and_deleted_rows_come_back(local: Local) -> None:
    """The long form: each verb of an operator that packages have, on a stack."""
    local.write()
    local.play("site").expect()
    database = local.deployment
    rotate(database)
    assert local.play("site").expect().changed == {"db.example.org": 0}

    before = database.tasks()
    time.sleep(1.1)  # a dump is named after the second
    local.play("backup").expect()
    (moment,) = database.ask("monitor", "select clock_timestamp()::text")[0]
    time.sleep(1.1)
    database.ask("app", "delete from agents where task like '%1%'")
    assert database.tasks() < before
    # What is wrong is backed up too, and is the newest backup then.
    local.play("backup").expect()

    confirmed = {"confirm": local.name, "backup_restore_to": moment}
    refused = local.play("restore", "-e", json.dumps(confirmed | {"confirm": "another"})).expect(2)
    assert f"wanted -e confirm={local.name}, found another" in " ".join(refused.output.split())
    early = json.dumps(confirmed | {"backup_restore_to": "2020-01-01 00:00:00+00"})
    told = " ".join(local.play("restore", "-e", early).expect(2).output.split())
    assert "wanted a dump of godel from 2020-01-01 00:00:00+00 or before, found none" in told
    assert database.tasks() < before

    local.play("restore", "-e", json.dumps(confirmed)).expect()
    assert database.tasks() == before
    # Roles have the rights that they had, and the app writes on.
    assert database.ask("migrator", "select current_user") == [("godel_owner",)]
    assert database.ask("readonly", "select count(*) > 0 from agents") == [(True,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.ask("app", "create table other (id int)")
    database.work("after")
    assert database.tasks() == {*before, "after"}
    assert local.play("site").expect().changed == {"db.example.org": 0}

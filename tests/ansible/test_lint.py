"""The collection in the eyes of its linters, and as others get it: built and installed."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import docs, hosts

pytestmark = pytest.mark.timeout(600)


def _run(program: str, *arguments: str, cwd: Path = docs.ROOT, home: Path) -> str:
    path = hosts.ansible(program)
    # ansible-lint runs other programs of Ansible.
    environment = {"PATH": f"{path.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(home)}
    done = subprocess.run(
        [path, *arguments],
        cwd=cwd,
        env=environment | {"LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_ansible_lint_at_its_production_profile(tmp_path: Path) -> None:
    _run("ansible-lint", "--offline", "--nocolor", "--profile", "production", home=tmp_path)


def test_yamllint(tmp_path: Path) -> None:
    _run("yamllint", "--strict", ".", home=tmp_path)


def test_an_installed_collection_has_its_playbooks_roles_and_module(tmp_path: Path) -> None:
    _run("ansible-galaxy", "collection", "build", "--output-path", str(tmp_path), home=tmp_path)
    (archive,) = tmp_path.glob("bootstrapd-database-*.tar.gz")
    installed = tmp_path / "collections"
    _run(
        *("ansible-galaxy", "collection", "install", "--no-deps", "--offline"),
        *("--collections-path", str(installed), str(archive)),
        home=tmp_path,
    )
    (tmp_path / "hosts.yml").write_text("all: {children: {database: , redis: , app: }}\n")
    environment = ["env", f"ANSIBLE_COLLECTIONS_PATH={installed}"]
    program = str(hosts.ansible())
    listed = subprocess.run(
        [*environment, program, "-i", "hosts.yml", "bootstrapd.database.site", "--list-tasks"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr
    assert "bootstrapd.database.hardening : Packages are installed" in listed.stdout
    assert not (installed / "ansible_collections/bootstrapd/database/tests").exists()
    module = subprocess.run(
        [
            *(*environment, str(hosts.ansible("ansible-doc")), "--type", "module"),
            "bootstrapd.database.bootstrapd",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "bootstrapd.database.bootstrapd" in module.stdout, module.stderr

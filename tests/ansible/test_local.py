"""A host that provisions itself, by the commands of the README and `inventory/local`."""

import subprocess

import pytest

from tests.support import docs, hosts

pytestmark = [pytest.mark.container, pytest.mark.benchmark, pytest.mark.timeout(3600)]

PLAY = 'cd /srv/bootstrapd && PATH="$PWD/.venv-ansible/bin:$PATH" ansible-playbook playbooks/'


def test_this_host_becomes_what_the_local_inventory_says(site: hosts.Site) -> None:
    """The long form: from a checkout on a bare host to an app that answers."""
    host = site.start("here", "systemd-host:trixie")
    _check_out(host)
    packages = "git make python3-venv"
    host.run(f"apt-get -qq update; apt-get -qq install -y {packages}")
    host.run("cd /srv/bootstrapd && make ansible")

    host.run(f"{PLAY}site.yml --check --diff")
    host.run(f"{PLAY}site.yml")
    assert hosts.changes(host.run(f"{PLAY}site.yml")) == {"localhost": 0}
    host.run(f"{PLAY}check.yml")
    asked = (
        "import urllib.request as r; print(r.urlopen('http://127.0.0.1:7373/api/agents').read())"
    )
    assert host.run(f'python3 -c "{asked}"') == "b'[]'\n"
    host.run(f"{PLAY}stop.yml")
    assert host.run("systemctl is-active godel", check=False) == "inactive\n"
    host.run(f"{PLAY}site.yml")
    assert host.run("systemctl is-active godel") == "active\n"


def _check_out(host: hosts.Host) -> None:
    files = subprocess.run(["git", "ls-files", "-z"], cwd=docs.ROOT, capture_output=True).stdout
    packed = subprocess.run(
        ["tar", "--create", "--null", "--files-from=-"],
        cwd=docs.ROOT,
        input=files,
        capture_output=True,
        check=True,
    ).stdout
    host.run("mkdir -p /srv/bootstrapd")
    subprocess.run(
        ["docker", "exec", "-i", host.container, "tar", "-x", "-C", "/srv/bootstrapd"],
        input=packed,
        check=True,
    )

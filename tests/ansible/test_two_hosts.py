"""Database and app on hosts of their own, reached over SSH, and what survives a cut connection.

`HOST_INTERRUPTIONS=20` interrupts as many runs; `HOST_SEED` does it where another test has.
"""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import need
from tests.support.deployment import GODEL, Deployment, godel, rotate
from tests.support.hosts import Host, Site

pytestmark = [pytest.mark.container, pytest.mark.timeout(3600)]

INTERRUPTIONS = int(os.environ.get("HOST_INTERRUPTIONS", "2"))


def _variables(wheelhouse: Path, **more: Any) -> dict[str, Any]:
    return {
        "deployment": "shop",
        "postgresql_memory_mb": 512,
        "postgresql_databases": [{"name": "godel"}],
        "bootstrapd_wheelhouse": str(wheelhouse),
        "bootstrapd_apps": [{"name": "godel", "redis": True, "command": GODEL}],
        **more,
    }


def _agents(host: Host) -> Any:
    return json.loads(
        host.run(
            "python3 -c 'import urllib.request as r;"
            ' print(r.urlopen("http://127.0.0.1:7373/api/agents").read().decode())\''
        )
    )


def test_database_and_app_apart_over_ssh(
    site: Site, prepared: str, wheels: Callable[[str], Path]
) -> None:
    database, app = site.start("db", prepared), site.start("app", prepared)
    other = site.start("other", prepared)
    site.write(
        {"database": ["db"], "redis": ["db"], "app": ["app"]},
        **_variables(
            wheels("3.13"),
            postgresql_listen=["*"],
            postgresql_clients=[f"{app.address}/32"],
            redis_listen=["*"],
            redis_clients=[f"{app.address}/32"],
            redis_tls="own",
            bootstrapd_redis_tls=True,
            bootstrapd_apps=[godel(clients=[site.me])],
        ),
        **_over_ssh(site),
    )

    site.play("site").expect()
    assert _agents(app) == []
    second = site.play("site").expect()
    assert second.changed == {"db": 0, "app": 0}, second.output

    # Both roads are encrypted and verified, and nobody else has one.
    sessions = database.run(
        'su postgres -c "psql -qAtX -c \\"select distinct a.usename, s.ssl, a.client_addr'
        " from pg_stat_activity a join pg_stat_ssl s using (pid)"
        " where a.datname = 'godel' order by 1\\\"\""
    ).split()
    assert sessions == [
        f"godel_app|t|{app.address}",
        f"godel_migrator|t|{app.address}",
    ]
    assert 'POSTGRES_SSL="verify-full"' in app.run("cat /etc/bootstrapd/godel/app.env")
    assert "rediss://" in app.run("cat /etc/bootstrapd/godel/credentials/redis_url")
    for port in (5432, 6379):
        knock = f"bash -c '</dev/tcp/db/{port}'; echo $?"
        assert app.run(f"timeout 30 {knock}").strip() == "0"
        assert other.run(f"timeout 3 {knock}").strip() == "124"

    # Passwords are rotated while the app serves: whoever tries again is served.
    rotate(Deployment(site, "db", database.address, f"http://{app.address}:7373"))


@pytest.mark.timeout(3600 + 600 * INTERRUPTIONS)
def test_an_interrupted_run_is_mended_by_the_next(
    site: Site, prepared: str, wheels: Callable[[str], Path]
) -> None:
    host = site.start("db", prepared)
    groups = ["database", "redis", "app"]
    if INTERRUPTIONS > 2:
        groups += ["backup", "monitored", "prometheus"]
    site.write({group: ["db"] for group in groups}, **_variables(wheels("3.13")))
    seed = os.environ.get("HOST_SEED", str(time.time_ns()))
    print(f"HOST_SEED={seed}")
    chance = random.Random(seed)
    tasks = _tasks(site)
    interrupted = 0
    while interrupted < INTERRUPTIONS:
        at, after_s = chance.randrange(10, tasks), chance.uniform(0, 2)
        begun = _interrupt(site, at, after_s)
        if begun < at:
            tasks = begun
            continue
        interrupted += 1
        print(f"interruption {interrupted} of {INTERRUPTIONS}: {after_s:.1f} s into task {at}")
        if interrupted % 5 == 0:
            site.play("site").expect()
            site.play("destroy", "-e", "confirm=shop").expect()
    site.play("site").expect()
    assert site.play("site").expect().changed == {"db": 0}
    assert _agents(host) == []


def _tasks(site: Site) -> int:
    listed = subprocess.run(
        site.command("site", "--list-tasks"),
        env=site.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    # Those that are included are not listed; they are about as many again.
    return 2 * listed.stdout.count("TAGS:")


def _interrupt(site: Site, at: int, after_s: float) -> int:
    """Kill Ansible, with all that it started on this side, so long after it has begun this task.

    How many tasks it has begun: fewer if it came to its end before.
    """
    with subprocess.Popen(
        site.command("site"),
        env=site.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        begun = 0
        said = []
        for line in running.stdout:
            said.append(line)
            begun += line.startswith("TASK [")
            if begun >= at:
                time.sleep(after_s)
                os.killpg(running.pid, signal.SIGKILL)
                return begun
        assert running.wait() == 0, "".join(said)
        return begun


def _over_ssh(site: Site) -> dict[str, Any]:
    """The inventory's variables of a login over SSH, by a key that the hosts know."""
    need("ssh")
    key = site.folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    known = site.folder / "known_hosts"
    lines = []
    for host in site.hosts.values():
        host.run(f"echo '{public}' > ~ansible/.ssh/authorized_keys; chown ansible: ~ansible/.ssh/*")
        shown = host.run("cat /etc/ssh/ssh_host_ed25519_key.pub").split()
        lines.append(f"{host.address} {shown[0]} {shown[1]}\n")
    known.write_text("".join(lines))
    return {
        "ansible_connection": "ssh",
        "ansible_user": "ansible",
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={known}",
    }

"""A bare host becomes a running, guarded database host, seen from outside.

`HOST_RELEASES=bookworm,trixie,forky` tries each of these releases of Debian, with the
PostgreSQL and the Python that each has, and with backups and measurements too.
"""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.deployment import Deployment, godel, rotate
from tests.support.hosts import Host, Site

pytestmark = [pytest.mark.container, pytest.mark.timeout(3600)]

RELEASES = os.environ.get("HOST_RELEASES", "trixie").split(",")
POSTGRES = {"bookworm": 15, "trixie": 17, "forky": 18}
PYTHON = {"bookworm": "3.11", "trixie": "3.13", "forky": "3.14"}


def _until(sentence: str, true: Callable[[], bool], deadline_s: float = 120) -> None:
    end_s = time.monotonic() + deadline_s
    while not true():
        assert time.monotonic() < end_s, f"not within {deadline_s} s: {sentence}"
        time.sleep(0.5)


EVERYWHERE = {"database": ["db"], "redis": ["db"], "app": ["db"]}
MORE = {"backup": ["db"], "monitored": ["db"], "prometheus": ["db"]}


def _settings(site: Site, wheelhouse: Path) -> dict[str, Any]:
    return {
        "deployment": "shop",
        "postgresql_memory_mb": 512,
        "postgresql_databases": [{"name": "godel", "extensions": ["pg_trgm"]}],
        "postgresql_listen": ["*"],
        "postgresql_clients": [site.me],
        "bootstrapd_wheelhouse": str(wheelhouse),
        "bootstrapd_apps": [godel(clients=[site.me])],
    }


@pytest.mark.parametrize("release", RELEASES)
def test_a_bare_host(site: Site, release: str, wheels: Callable[[str], Path]) -> None:
    host = site.start("db", f"systemd-host:{release}")
    # As an update that was cut leaves it: apt has looked just now, and knows nothing.
    host.run("touch /var/lib/apt/lists")
    groups = EVERYWHERE | (MORE if "HOST_RELEASES" in os.environ else {})
    site.write(groups, **_settings(site, wheels(PYTHON[release])))

    # Check mode passes on a bare host, and writes nothing there.
    before = host.run("find /etc /opt /var/lib -xdev -newer /proc/1 -not -path '*/apt/*' | sort")
    site.play("site", "--check", "--diff").expect()
    after = host.run("find /etc /opt /var/lib -xdev -newer /proc/1 -not -path '*/apt/*' | sort")
    assert after == before

    # The first run says nothing that is secret, however much it is asked to say; the second
    # changes nothing.
    first = site.play("site", "-vvv", "--diff").expect()
    assert site.secrets() != []
    assert [secret for secret in site.secrets() if secret in first.output] == []
    second = site.play("site", "--diff").expect()
    assert second.changed == {"db": 0}, second.output
    print(f"{release}: a converged run takes {second.duration_s:.0f} s")

    deployment = _deployment(site, host)
    deployment.verify(POSTGRES[release])
    _nobody_else_is_let_in(deployment, host)
    _units_are_hardened(host)
    _the_app_waits_for_its_database(deployment, host, POSTGRES[release])


def test_what_cannot_be_is_named_before_anything_changes(site: Site, prepared: str) -> None:
    host = site.start("db", prepared)
    given = {
        "deployment": "shop",
        "postgresql_memory_mb": 512,
        "postgresql_databases": [{"name": "godel"}],
        "bootstrapd_apps": [{"name": "godel"}],
    }

    def told(**wrong: Any) -> str:
        site.write(EVERYWHERE, **given | wrong)
        refused = site.play("site", "-vv").expect(2)
        assert refused.changed == {"db": 0}
        assert "too-short" not in refused.output
        return " ".join(refused.output.split())

    little = told(hardening_memory_mb=10**8, hardening_disk_mb=10**8)
    assert "wanted 100000000 MB of memory, found" in little
    assert "wanted 100000000 MB free under /var/lib, found" in little

    weak = told(
        postgresql_passwords={"godel_app": "too-short"},
        postgresql_databases=[{"name": "Godel"}],
        postgresql_tls="off",
        postgresql_clients=["192.0.2.0/24"],
    )
    assert "wanted passwords of 12 characters or more, found shorter ones for godel_app" in weak
    assert "wanted names of databases in small letters, digits and _" in weak
    assert "postgresql_clients are let in only over TLS, and postgresql_tls is off" in weak
    old = told(postgresql_version="14")
    assert "wanted PostgreSQL 15, 16, 17 or 18, found postgresql_version 14" in old

    host.run("systemd-run --unit=squatter python3 -m http.server 5433")
    host.run("until (echo > /dev/tcp/127.0.0.1/5433) 2>/dev/null; do sleep 0.1; done")
    taken = told(postgresql_clusters=[{"name": "main", "port": 5433}])
    assert "port 5433, which postgresql_clusters gives to the new cluster main, is taken" in taken

    short = told(redis_passwords={"app": "too-short"})
    assert "wanted passwords of 12 characters or more, found shorter ones for app" in short

    unknown = told(bootstrapd_apps=[{"name": "gondel"}])
    assert "bootstrapd_apps has gondel, which is neither shipped nor declared" in unknown


@pytest.mark.benchmark
def test_what_changes_reaches_the_host_that_is_there(
    site: Site, prepared: str, wheels: Callable[[str], Path]
) -> None:
    """The long form: a password, a certificate, a restart, a failure, the end."""
    host = site.start("db", prepared)
    settings = _settings(site, wheels("3.13"))
    site.write(EVERYWHERE, **settings)
    database = _deployment(site, host)
    site.play("site").expect()
    database.work("stay")

    # Passwords are rotated while the app serves: whoever tries again is served.
    writer = rotate(database)

    # A password of the inventory reaches the database that is there, and its rows stay.
    old = site.secret("postgresql/godel_app")
    changed = 'a: "new" one @ % $ # é'
    settings["postgresql_passwords"] = {"godel_app": changed}
    settings["postgresql_tls_names"] = ["db", "localhost", "elsewhere"]
    site.write(EVERYWHERE, **settings)
    since = database.ask("monitor", "select pg_postmaster_start_time()")
    third = site.play("site", "-vvv", "--diff", "--tags", "postgresql,bootstrapd").expect()
    assert changed not in third.output
    # The new certificate is shown without a restart.
    assert database.ask("monitor", "select pg_postmaster_start_time()") == since
    database.connect("monitor", host="elsewhere").close()
    rows = len(writer.written) + 1
    assert database.ask("app", "select count(distinct task) from agents", changed) == [(rows,)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        database.connect("app", old)
    _until("the app answers with its new password", lambda: database.agents() > 0)

    # What needs a restart is announced, and the restart is one.
    settings["postgresql_settings"] = {"max_connections": 90}
    site.write(EVERYWHERE, **settings)
    fourth = site.play("site", "--tags", "postgresql").expect()
    announced = "postgresql@17-main restarts for: max_connections"
    assert announced in " ".join(fourth.output.split())
    assert database.ask("monitor", "show max_connections") == [("90",)]
    _until("the app has new connections", lambda: database.agents() > 0)

    # A database that cannot be brought up is named with its runbook, and other apps go on.
    more = [*settings["bootstrapd_apps"], {"name": "tarsy", "command": ["/bin/sleep", "inf"]}]
    site.write(EVERYWHERE, **settings | {"bootstrapd_apps": more})
    failed = site.play("site", "--tags", "bootstrapd").expect(2)
    assert "(exit code 3, runbook: refused)" in " ".join(failed.output.split())
    assert host.run("systemctl is-active tarsy", check=False).strip() == "inactive"
    assert database.agents() > 0

    # Nothing is destroyed unless the deployment's name is typed.
    refused = site.play("destroy").expect(2)
    assert "wanted -e confirm=shop, found no confirmation" in " ".join(refused.output.split())
    site.write(EVERYWHERE, **settings)
    site.play("check").expect()
    site.play("destroy", "-e", "confirm=shop").expect()
    left = host.run("ls -d /var/lib/postgresql/*/main /var/lib/redis /opt/bootstrapd", check=False)
    assert left == ""


def _deployment(site: Site, host: Host) -> Deployment:
    return Deployment(site, host.name, host.address, f"http://{host.address}:7373")


def _nobody_else_is_let_in(deployment: Deployment, host: Host) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects connection"):
        deployment.connect("app", "any", user="postgres")
    # Nobody was let in to Redis: the firewall does not even refuse.
    with pytest.raises(TimeoutError):
        socket.create_connection((host.address, 6379), timeout=3)


def _units_are_hardened(host: Host) -> None:
    since = "$(systemctl show -P ActiveEnterTimestamp --timestamp=us+utc systemd-journald)"
    unread = f'find /etc/systemd/journald.conf.d/bootstrapd.conf -newerct "{since}"'
    assert host.run(unread) == ""
    for unit in ("bootstrapd@godel", "godel"):
        words = host.run(f"systemd-analyze security --no-pager {unit}.service | tail -n 1").split()
        exposure = float(words[words.index("level") + 3] if "level" in words else words[-3])
        assert exposure <= 2.0, words
    # No secret is in an argument, an environment or a file that others may read.
    shown = host.run(
        "systemctl show godel bootstrapd@godel; ps axww -o args;"
        " cat /etc/bootstrapd/godel/*.env /etc/systemd/system/*godel*/* /opt/bootstrapd/apps/*;"
        " for p in $(systemctl show -P MainPID godel bootstrapd@godel);"
        " do tr '\\0' '\\n' < /proc/$p/environ; done"
    )
    for name in ("app_password", "migrator_password", "redis_url"):
        secret = host.run(f"cat /etc/bootstrapd/godel/credentials/{name}")
        assert len(secret) > 20
        assert secret not in shown
        mode = host.run(f"stat -c '%a %U' /etc/bootstrapd/godel/credentials/{name}").strip()
        assert mode == "600 root"


def _the_app_waits_for_its_database(deployment: Deployment, host: Host, major: int) -> None:
    """It does not start before its database is ready, and then starts by itself."""

    def state(unit: str) -> str:
        return host.run(f"systemctl is-active {unit}", check=False).strip()

    host.run(f"systemctl stop bootstrapd@godel postgresql@{major}-main")
    assert state("godel") == "inactive"
    host.run("systemctl start --no-block godel")
    _until("bootstrapd waits", lambda: state("bootstrapd@godel") == "activating")
    told = "systemctl show -P StatusText bootstrapd@godel"
    _until("it says what for", lambda: "localhost:5432/godel" in host.run(told))
    time.sleep(3)
    assert (state("bootstrapd@godel"), state("godel")) == ("activating", "inactive")
    host.run(f"systemctl start postgresql@{major}-main")
    _until("the app runs", lambda: state("godel") == "active")
    assert state("bootstrapd@godel") == "active"
    # Killed, it comes back.
    host.run("systemctl kill --signal=KILL godel")
    _until("the app runs again", lambda: deployment.agents() == 1)

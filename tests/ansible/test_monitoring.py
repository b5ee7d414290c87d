"""What is measured is what the alerts ask for, and an alert fires when something is wrong."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.support import cli, clusters, hosts

pytestmark = [pytest.mark.container, pytest.mark.timeout(1200)]

DEADLINE_S = 90.0


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hosts.Site]:
    made = hosts.Site(tmp_path_factory.mktemp("site"))
    yield made
    made.close()


def test_alerts_ask_for_what_there_is_and_fire(site: hosts.Site) -> None:
    host = clusters.start(site, "db", 17)
    rules = "-@all +info +ping '+config|get' +slowlog +latency '+client|list' +dbsize +select"
    host.run(
        "redis-server --daemonize yes --dir /tmp >/dev/null;"
        ' until [ "$(redis-cli ping)" = PONG ]; do sleep 0.1; done;'
        f" redis-cli acl setuser monitor on '>a-long-password-of-it' {rules}"
    )
    groups = ("database", "redis", "monitored", "prometheus")
    site.write(
        {group: ["db"] for group in groups},
        deployment="lab",
        # On a busy machine one look or another takes long, and that is no alarm.
        monitoring_interval_s=2,
        monitoring_for_s=8,
        monitoring_redis_passwords={"monitor": "a-long-password-of-it"},
    )
    role = clusters.role(site, "monitoring", "monitored")
    first = site.play(role, "-vvv").expect(0)
    assert "a-long-password-of-it" not in first.output
    assert site.play(role).expect(0).changed == {"db": 0}
    # What an interrupted run has written and not taken into use is in use after the next.
    host.run("touch /etc/default/prometheus-node-exporter /etc/prometheus/prometheus.yml")
    assert site.play(role).expect(0).changed == {"db": 2}
    assert "a-long-password" not in host.run(
        "ps -ef; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'"
    )

    # Every name in an alert is measured here, or is one of bootstrapd's or the backups'.
    rules = host.run("cat /etc/prometheus/bootstrapd-alerts.yml")
    measured = set(_ask(host, "label/__name__/values"))
    ours = (cli.ROOT / "bootstrap" / "metrics.py").read_text()
    script = (cli.ROOT / "roles/backup/templates/metric.sh.j2").read_text()
    names = set(
        re.findall(r"\b(?:pg|redis|node|bootstrapd|postgresql)_[a-z0-9_]+(?=[ ){\[])", rules)
    )
    assert len(names) > 15
    for name in names:
        if name.startswith("bootstrapd_"):
            assert name.removeprefix("bootstrapd_") in ours, name
        elif name.startswith("postgresql_"):
            assert name in script, name
        else:
            assert name in measured, name
    assert _firing(host) == set()

    host.run("systemctl stop postgresql@17-main")
    old = 'postgresql_backup_last_success_timestamp_seconds{cluster="main",kind="full"} 1700000000'
    host.run(f"echo '{old}' > /var/lib/prometheus/node-exporter/postgresql_backup_full_main.prom")
    wanted = {"PostgresDown", "PostgresBackupOld"}
    deadline_s = time.monotonic() + DEADLINE_S
    while not wanted <= (firing := _firing(host)):
        assert time.monotonic() < deadline_s, firing
        time.sleep(1)
    assert firing == wanted
    host.run("systemctl start postgresql@17-main")


def _firing(host: hosts.Host) -> set[str]:
    alerts = _ask(host, "alerts")["alerts"]
    return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}


def _ask(host: hosts.Host, what: str) -> Any:
    url = f"http://127.0.0.1:9090/api/v1/{quote(what)}"
    read = f"import urllib.request as r; print(r.urlopen('{url}').read().decode())"
    return json.loads(host.run(f'python3 -c "{read}"'))["data"]

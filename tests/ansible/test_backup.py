"""Backups, and the way back: rows are what they were, on the same host and on another."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support import clusters, hosts
from tests.support.clusters import says, sql

pytestmark = [pytest.mark.container, pytest.mark.timeout(1200)]

ROWS = 20_000
DIGEST = "select count(*), md5(string_agg(i::text, ',' order by id)) from items i"


@dataclass(frozen=True)
class Pair:
    """Two database hosts, of which the first has rows."""

    site: hosts.Site
    first: hosts.Host
    second: hosts.Host

    def choose(self, tool: str) -> str:
        """Have this tool make the backups; the playbook that sets it up."""
        self.site.write(
            {"backup": ["db1", "db2"]},
            deployment="lab",
            backup_tool=tool,
            backup_path=f"/var/backups/{tool}",
        )
        return clusters.role(self.site, "backup", "backup")

    def restore(self, to: str, *words: str) -> hosts.Play:
        """The playbook without the roles that follow the restore."""
        goal = json.dumps({"confirm": "lab", "backup_restore_to": to})
        return self.site.play("restore", "-e", goal, "--skip-tags=again", *words)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    site = hosts.Site(tmp_path_factory.mktemp("site"))
    try:
        yield Pair(site, *(clusters.start(site, name, 17) for name in ("db1", "db2")))
    finally:
        site.close()


@pytest.mark.parametrize("tool", ["pgbackrest", "pg_dump"])
def test_a_wrong_delete_is_taken_back_on_the_same_host_and_on_another(
    pair: Pair, tool: str
) -> None:
    site, first, second = pair.site, pair.first, pair.second
    role = pair.choose(tool)
    sql(first, "drop database if exists shop with (force)")
    sql(first, "create database shop")
    rows = f"select id, md5(id::text) as name from generate_series(1, {ROWS}) id"
    sql(first, f"create table items as {rows}", "shop")

    assert site.play(role).expect(0).changed["db1"] > 0
    assert says(site.play("backup").expect(0), "of cluster main")
    timers = first.run("systemctl list-timers --all 'postgresql-backup-*'")
    for kind in ("full", "check"):
        assert f"postgresql-backup-{kind}@main.timer" in timers

    before = sql(first, DIGEST, "shop")
    time.sleep(1.1)  # a dump is named after the second
    moment = sql(first, "select clock_timestamp()")
    time.sleep(1.1)
    sql(first, "delete from items where id % 3 = 0", "shop")
    assert sql(first, DIGEST, "shop") != before
    # What is wrong is backed up too, and is the newest backup then.
    first.run("systemctl start postgresql-backup-full@main")

    pair.restore(moment, "--limit=db1").expect(0)
    assert sql(first, DIGEST, "shop") == before
    pair.restore(moment, "--limit=db2", "-e", "backup_restore_from=db1").expect(0)
    assert sql(second, DIGEST, "shop") == before
    # The key that opened the way is gone on both sides.
    assert first.run("cat /var/lib/postgresql/.ssh/authorized_keys") == ""
    assert second.run("ls -A /var/lib/postgresql").split() == ["17"]
    # Both can be written to, and are backed up from there on.
    for host in (first, second):
        assert sql(host, "select pg_is_in_recovery()") == "f"
        sql(host, "insert into items values (0, 'after')", "shop")
        for unit in ("postgresql-backup-full@main", "postgresql-backup-check@main"):
            done = host.run(f"systemctl start {unit} || journalctl --unit={unit} --lines=20")
            assert done == "", f"{host.name}: {done}"
    assert site.play(role).expect(0).changed == {"db1": 0, "db2": 0}

    # What cannot be is refused, and the data stay.
    refused = pair.restore("2020-01-01 00:00:00+00", "--limit=db1").expect(2)
    assert says(refused, "2020-01-01 00:00:00")
    first.run("systemctl start postgresql@17-main")
    assert sql(first, "select count(*) from items where id = 0", "shop") == "1"


def test_a_restore_that_nobody_confirmed_touches_nothing(pair: Pair) -> None:
    pair.choose("pgbackrest")
    refused = pair.site.play("restore", "--limit=db1").expect(2)
    assert says(refused, "wanted -e confirm=lab, found nothing: what was written after the newest")
    assert pair.first.run("systemctl is-active postgresql@17-main") == "active\n"


def test_a_check_finds_a_backup_too_old_and_a_lost_archive(pair: Pair) -> None:
    role = pair.choose("pgbackrest")
    pair.site.play(role, "--limit=db1").expect(0)
    pair.first.run("systemctl start postgresql-backup-full@main")
    check = "runuser -u postgres -- postgresql-backup check main 2>&1"
    assert "its newest backup is 0 h old" in pair.first.run(check)
    pair.first.run("sed -i 's/-ge 30 /-ge 0 /' /usr/local/sbin/postgresql-backup")
    told = pair.first.run(f"{check}; true")
    assert "wanted a backup of cluster main of the last 30 h, found one of 0 h ago" in told
    pair.first.run("mv /var/backups/pgbackrest /var/backups/away")
    pair.first.run("systemctl start postgresql-backup-check@main", check=False)
    assert pair.first.run("systemctl is-failed postgresql-backup-check@main") == "failed\n"
    pair.first.run("rm -rf /var/backups/pgbackrest; mv /var/backups/away /var/backups/pgbackrest")

"""Backups, and the way back: rows are what they were, on the same host and on another."""

import asyncio
import contextlib
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import clusters, hosts, need, processes, tls
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

    def choose(self, tool: str, **more: Any) -> str:
        """Have this tool make the backups; the playbook that sets it up."""
        self.site.write(
            {"backup": ["db1", "db2"]},
            deployment="lab",
            backup_tool=tool,
            backup_path=f"/var/backups/{tool}",
            **more,
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


class _Front:
    """TLS before a plain server of this machine, which ends each connection as TLS wants it."""

    def __init__(self, address: str, plain: int, context: ssl.SSLContext) -> None:
        self.port = processes.free_port()
        self._plain = plain
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        opening = asyncio.start_server(self._serve, address, self.port, ssl=context)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, upward = await asyncio.open_connection("127.0.0.1", self._plain)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(_pump(reader, upward), _pump(upstream, writer))

    def close(self) -> None:
        """Serve no more."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError), contextlib.closing(target):
        while part := await source.read(65536):
            target.write(part)
            await target.drain()


@pytest.fixture
def bucket(pair: Pair, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The variables of a bucket, in a service of this machine that speaks S3 over TLS."""
    program = need("moto_server")
    address, plain = pair.site.me.removesuffix("/32"), processes.free_port()
    authority = tls.Authority(tmp_path)
    with subprocess.Popen(
        [program, "-H", "127.0.0.1", "-p", str(plain)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Else it takes the first part of its own name for that of a bucket.
        env={**os.environ, "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true"},
    ) as serving:
        front = _Front(address, plain, authority.context("s3.example.org"))
        try:
            for host in (pair.first, pair.second):
                host.run(f"echo '{address} s3.example.org' >> /etc/hosts")
                ca = authority.ca_file.read_text()
                host.run(f"cat > /etc/s3-ca.crt <<'PEM'\n{ca}PEM")
            _make_bucket(f"http://127.0.0.1:{plain}/backups")
            yield {
                "backup_repository": "s3",
                "backup_s3_endpoint": "s3.example.org",
                "backup_s3_port": front.port,
                "backup_s3_bucket": "backups",
                "backup_s3_key": "a-key",
                "backup_s3_secret": "a-secret-of-the-bucket",
                "backup_s3_authority": "/etc/s3-ca.crt",
                "backup_passphrase": "a-passphrase-of-the-backups",
            }
        finally:
            front.close()
            serving.terminate()


def _make_bucket(url: str) -> None:
    deadline_s = time.monotonic() + 60
    while True:
        try:
            asked = urllib.request.Request(url, method="PUT")
            urllib.request.urlopen(asked, timeout=10).close()
            return
        except OSError:
            assert time.monotonic() < deadline_s, "the service of the bucket does not answer"
            time.sleep(0.2)


@pytest.mark.benchmark
def test_backups_in_a_bucket_come_back_here_and_elsewhere(
    pair: Pair, bucket: dict[str, Any]
) -> None:
    """The long form, which needs a service for it: pip install 'moto[s3]' flask flask-cors."""
    site, first, second = pair.site, pair.first, pair.second
    role = pair.choose("pgbackrest", **bucket)
    for host in (first, second):
        sql(host, f"create database shop; create table own as select '{host.name}' as name")
    sql(first, f"create table items as select id from generate_series(1, {ROWS}) id", "shop")

    made = site.play(role, "-vvv", "--diff").expect(0)
    for secret in ("a-secret-of-the-bucket", "a-passphrase-of-the-backups"):
        assert secret not in made.output
    site.play("backup").expect(0)
    assert site.play(role).expect(0).changed == {"db1": 0, "db2": 0}
    # Both have a cluster main, and neither takes the other's place.
    for host in (first, second):
        assert "wal archive" in host.run("runuser -u postgres -- pgbackrest info 2>&1")

    before = sql(first, DIGEST, "shop")
    time.sleep(1.1)
    moment = sql(first, "select clock_timestamp()")
    time.sleep(1.1)
    sql(first, "delete from items where id % 3 = 0", "shop")
    pair.restore(moment, "--limit=db1").expect(0)
    assert sql(first, DIGEST, "shop") == before
    pair.restore(moment, "--limit=db2", "-e", "backup_restore_from=db1").expect(0)
    assert sql(second, DIGEST, "shop") == before
    assert sql(second, "select name from own") == "db1"
    for host in (first, second):
        done = host.run("systemctl start postgresql-backup-full@main || journalctl -n 20")
        assert done == "", f"{host.name}: {done}"

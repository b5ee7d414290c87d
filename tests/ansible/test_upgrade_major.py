"""PostgreSQL becomes a later major version with the same rows, or stays what it was."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import clusters, hosts, need
from tests.support.clusters import says, sql

pytestmark = [pytest.mark.container, pytest.mark.timeout(3600)]

# The full form: HOST_ROWS=1000000
ROWS = int(os.environ.get("HOST_ROWS", "20000"))
DIGEST = (
    "select (select md5(string_agg(o::text, ',' order by id)) from orders o),"
    " (select md5(string_agg(l::text, ',' order by id)) from lines l)"
)
TOOL = "/usr/lib/postgresql/17/bin/pg_upgrade"

_SCHEMA = """
create extension pg_trgm;
create table orders (
    id bigint primary key generated always as identity,
    at timestamptz, note text, price numeric(12, 2), details jsonb
);
create table lines (id bigint primary key, order_id bigint references orders, tags text[]);
create index on orders using gin (note gin_trgm_ops);
"""


def _rows(count: int) -> str:
    """Statements that put so many rows into each table."""
    return f"""
        insert into orders (at, note, price, details)
            select timestamptz '2025-01-01' + i * interval '1 s', md5(i::text), i / 7.0,
                jsonb_build_object('i', i, 'é', chr(233 + i % 900))
            from generate_series(1, {count}) i;
        insert into lines select i, i, array['a' || i, null] from generate_series(1, {count}) i;
    """


@pytest.fixture
def site(tmp_path: Path) -> Iterator[hosts.Site]:
    made = hosts.Site(tmp_path)
    yield made
    made.close()


@pytest.fixture
def host(site: hosts.Site) -> hosts.Host:
    """A host with rows in PostgreSQL 15, on the usual port."""
    host = clusters.start(site, "db", 15, "--data-checksums")
    _fill(site, host)
    sql(host, "alter system set work_mem = '5MB'")
    return host


def _fill(site: hosts.Site, host: hosts.Host) -> None:
    site.write({"database": ["db"]}, deployment="lab")
    sql(host, "create database shop")
    sql(host, _SCHEMA + _rows(ROWS // 2), "shop")


@pytest.fixture
def reflinks(tmp_path: Path) -> Iterator[Path]:
    """A folder of a file system that clones files, which is gone when the test ends."""
    make = need("mkfs.xfs")
    disk, folder = tmp_path / "disk", tmp_path / "mounted"
    folder.mkdir()
    with disk.open("wb") as file:
        file.truncate(8 << 30)
    subprocess.run([make, "-q", disk], check=True)
    subprocess.run(["mount", "--options", "loop", disk, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.benchmark
def test_15_becomes_18_at_once_by_cloning_its_files(reflinks: Path, site: hosts.Site) -> None:
    """The long form, on a host of the next Debian whose disk clones files (xfsprogs, root)."""
    image = clusters.newer_image()
    host = clusters.start(site, "db", 15, "--data-checksums", of=image, data=reflinks)
    _fill(site, host)
    digest = sql(host, DIGEST, "shop")
    to18 = ["-e", "upgrade_to=18", "-e", "upgrade_mode=clone", "--skip-tags=again"]

    done = site.play("upgrade_major", *to18).expect(0)
    assert says(done, "15/main is now 18/main on port 5432")
    _serves(host, "18", digest)
    assert sql(host, "show data_checksums") == "on"
    assert site.play("upgrade_major", *to18).expect(0).changed == {"db": 0}
    sql(host, "delete from lines", "shop")

    site.play("upgrade_major", *to18, "-e", "upgrade_back=true").expect(0)
    _serves(host, "15", digest)


@pytest.mark.benchmark
def test_18_takes_over_the_files_of_17_and_there_is_no_way_back(site: hosts.Site) -> None:
    """The long form, on a host of the next Debian: clone is refused here, link goes over."""
    host = clusters.start(site, "db", 17, of=clusters.newer_image())
    _fill(site, host)
    digest = sql(host, DIGEST, "shop")
    to18 = ["-e", "upgrade_to=18", "--skip-tags=again"]

    # What the disk cannot do is found while 17 serves.
    refused = site.play("upgrade_major", *to18, "-e", "upgrade_mode=clone").expect(2)
    assert says(refused, "17/main cannot go to 18 and serves on; nothing was changed")
    _serves(host, "17", digest)

    done = site.play("upgrade_major", *to18, "-e", "upgrade_mode=link").expect(0)
    assert says(done, "17/main is now 18/main on port 5432")
    _serves(host, "18", digest)
    assert sql(host, "show data_checksums") == "off"
    back = site.play("upgrade_major", *to18, "-e", "upgrade_back=true").expect(2)
    assert says(back, "shares its files with the new one; restore a backup from before")
    _serves(host, "18", digest)


def _serves(host: hosts.Host, version: str, digest: str) -> None:
    assert sql(host, "show server_version").startswith(version)
    assert sql(host, DIGEST, "shop") == digest


def test_an_upgrade_keeps_every_row_and_a_failed_one_leaves_the_old_version_serving(
    site: hosts.Site, host: hosts.Host
) -> None:
    digest = sql(host, DIGEST, "shop")
    to17 = ["-e", "upgrade_to=17", "--skip-tags=again"]

    # What 17 does not know any more is found while 15 serves.
    sql(host, "create extension adminpack", "shop")
    refused = site.play("upgrade_major", *to17).expect(2)
    assert says(refused, "15/main cannot go to 17 and serves on; nothing was changed")
    assert says(refused, 'could not load library "$libdir/adminpack"')
    _serves(host, "15", digest)
    assert host.run("pg_lsclusters --no-header | wc -l") == "1\n"
    sql(host, "drop extension adminpack", "shop")

    # It fails after files were linked: 15 could not be started as it is then.
    host.run(f"mv {TOOL} {TOOL}.real")
    host.run(
        f'printf \'#!/bin/sh\\n{TOOL}.real "$@" || exit\\n'
        'case "$*" in *--check*) ;; *) test -e /var/lib/postgresql/15/main/global/pg_control.old'
        " && exit 7 ;; esac\\n' > {0} && chmod 755 {0}".format(TOOL)
    )
    failed = site.play("upgrade_major", *to17, "-e", "upgrade_mode=link").expect(2)
    assert says(failed, "15/main could not go to 17, and serves again as it was")
    _serves(host, "15", digest)
    assert host.run("pg_lsclusters --no-header | wc -l") == "1\n"

    # Ansible is killed while the data go over; what runs on the host runs on.
    host.run(
        f'printf \'#!/bin/sh\\ncase "$*" in *--check*) ;; *) {TOOL}.real "$@"; sleep 600 ;; esac\\n'
        f'exec {TOOL}.real "$@"\\n\' > {TOOL}'
    )
    playing = clusters.Running(site, "upgrade_major", *to17, "-e", "upgrade_mode=link")
    playing.wait_for(host, "test -e /var/lib/postgresql/15/main/global/pg_control.old")
    playing.kill()
    host.run(f"mv {TOOL}.real {TOOL}")

    done = site.play("upgrade_major", *to17).expect(0)
    assert says(done, "15/main is now 17/main on port 5432")
    _serves(host, "17", digest)
    assert sql(host, "show data_checksums; show work_mem") == "on\n5MB"
    assert sql(host, "select count(*) from pg_stats where tablename = 'orders'", "shop") != "0"
    outdated = (
        "select count(*) from pg_available_extensions where installed_version <> default_version"
    )
    assert sql(host, outdated, "shop") == "0"
    # A second run finds nothing to do, and a boot starts the new version alone.
    assert site.play("upgrade_major", *to17).expect(0).changed == {"db": 0}
    assert host.run("cat /etc/postgresql/15/main/start.conf") == "manual\n"

    back = site.play("upgrade_major", *to17, "-e", "upgrade_back=true").expect(0)
    assert back.changed["db"] > 0
    _serves(host, "15", digest)

"""PostgreSQL goes to the newest minor version that the host's repositories have."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import clusters, hosts
from tests.support.clusters import says, sql

pytestmark = [pytest.mark.container, pytest.mark.timeout(1200)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[hosts.Site]:
    made = hosts.Site(tmp_path)
    yield made
    made.close()


def test_a_newer_minor_version_is_taken_with_one_restart(site: hosts.Site) -> None:
    host = clusters.start(site, "db", 17)
    site.write({"database": ["db"]}, deployment="lab")
    newest, *older = (
        line.split("|")[1].strip()
        for line in host.run("apt-get -qq update; apt-cache madison postgresql-17").splitlines()
    )
    if older:
        packages = " ".join(f"{name}-17={older[0]}" for name in ("postgresql", "postgresql-client"))
        host.run(
            f"DEBIAN_FRONTEND=noninteractive apt-get -qqy --allow-downgrades install {packages}"
        )
        host.run("systemctl restart postgresql@17-main")
    before = sql(host, "show server_version")
    sql(host, "create table kept as select 1 as n")

    done = site.play("upgrade_minor", "--skip-tags=check").expect(0)
    after = sql(host, "show server_version")
    assert newest.startswith(after.split()[0])
    assert (after != before) == bool(older)
    assert says(done, "installed is now" if older else "nothing newer was there")
    assert sql(host, "select n from kept") == "1"
    assert site.play("upgrade_minor", "--skip-tags=check").expect(0).changed == {"db": 0}

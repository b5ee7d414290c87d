"""Hosts to be provisioned. A bare one is for a module that says so; others have their packages."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import clusters, hosts
from tests.support.hosts import Site

# What takes the longest of a first run: packages, before anything is made of them.
_RECIPE = """
FROM systemd-host:trixie
RUN mkdir -p /etc/postgresql-common/createcluster.d \
 && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/bootstrapd.conf \
 && apt-get -qq update \
 && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends \
        postgresql-17 postgresql-client-17 python3-psycopg2 redis-server redis-tools \
        python3-venv nftables logrotate >/dev/null
"""
PREPARED = "bootstrapd-test-prepared:trixie"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An inventory of hosts that the test starts; all of it is gone when the test ends."""
    made = Site(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def prepared(site: Site) -> str:
    """The image of a host that has the packages, and nothing made of them."""
    return clusters.build(PREPARED, _RECIPE)


@pytest.fixture
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`wheels("3.13")`: a folder with wheels of all that bootstrapd needs."""
    return lambda python: hosts.wheelhouse(tmp_path_factory.getbasetemp(), python)

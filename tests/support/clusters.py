"""Hosts that have PostgreSQL and an operator's tools already, for what is done to them later.

The packages are in an image, which is built once; the image of `systemd-host` knows a mirror.
"""

import subprocess
import time
from pathlib import Path

from tests.support import docs, hosts, need

_IMAGE = "bootstrapd-test-operated:trixie"
# PostgreSQL 17 and 15 are those of the two releases before, to be upgraded to this one's 18.
_NEWER_IMAGE = "bootstrapd-test-operated:forky"
_NEWER_RECIPE = r"""
FROM systemd-host:forky
RUN for release in trixie bookworm; do \
        sed -e "s/^Suites:.*/Suites: $release/" /etc/apt/sources.list.d/debian.sources | head -n 5 \
            > /etc/apt/sources.list.d/$release.sources; \
        printf 'Package: *\nPin: release n=%s\nPin-Priority: 100\n' $release \
            > /etc/apt/preferences.d/$release; \
    done \
    && mkdir -p /etc/postgresql-common/createcluster.d \
    && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/none.conf \
    && apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends \
        postgresql-18 postgresql-17 postgresql-15 python3-psycopg2
RUN touch /etc/.updated /var/.updated
"""
# The start of a recipe: apt knows the packages of the release before too, and prefers none of them.
WITH_BOOKWORM = r"""
FROM systemd-host:trixie
RUN sed -e 's/^Suites:.*/Suites: bookworm/' /etc/apt/sources.list.d/debian.sources | head -n 5 \
        > /etc/apt/sources.list.d/bookworm.sources \
    && printf 'Package: *\nPin: release n=bookworm\nPin-Priority: 100\n' \
        > /etc/apt/preferences.d/bookworm \
"""
# PostgreSQL 15 is that of the release before, to be upgraded to this one's 17.
_RECIPE = (
    WITH_BOOKWORM
    + r"""    && mkdir -p /etc/postgresql-common/createcluster.d \
    && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/none.conf \
    && apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends \
        postgresql-17 postgresql-15 pgbackrest openssh-client redis-server python3-psycopg2 \
        prometheus prometheus-node-exporter prometheus-postgres-exporter \
        prometheus-redis-exporter \
    && systemctl disable prometheus prometheus-node-exporter prometheus-postgres-exporter \
        prometheus-redis-exporter
# Nothing of these starts by itself, and the first boot has nothing to catch up with.
RUN systemctl disable redis-server && touch /etc/.updated /var/.updated
"""
)


def image() -> str:
    """The image of such a host, built where it is not there yet."""
    return build(_IMAGE, _RECIPE)


def newer_image() -> str:
    """That of a host with PostgreSQL 15, 17 and 18, and no other tools."""
    return build(_NEWER_IMAGE, _NEWER_RECIPE)


def build(name: str, recipe: str) -> str:
    """An image of this name, made by this recipe; its name again."""
    need("docker")
    built = subprocess.run(
        ["docker", "build", "--tag", name, "-"], input=recipe, text=True, capture_output=True
    )
    assert built.returncode == 0, built.stderr
    return name


def start(
    site: hosts.Site,
    name: str,
    version: int,
    *options: str,
    of: str | None = None,
    data: Path | None = None,
) -> hosts.Host:
    """A host of this name whose cluster main of this version runs on port 5432.

    Its image is `of`, by default the one of `image`; its data are in the folder `data` of this
    machine, by default in the container.
    """
    mounts = [f"--volume={data}:/var/lib/postgresql"] if data else []
    host = site.start(name, of or image(), *mounts)
    host.run("chown postgres: /var/lib/postgresql")
    made = " ".join(("pg_createcluster", str(version), "main", "--port=5432", "--", *options))
    host.run(f"{made} && systemctl start postgresql@{version}-main")
    return host


def sql(host: hosts.Host, statement: str, database: str = "postgres") -> str:
    """What the server of a host answers to its superuser, one line a row."""
    words = ["docker", "exec", "--interactive", "--user", "postgres", host.container, "psql"]
    words += ["-qAtX", "-v", "ON_ERROR_STOP=1", "-d", database]
    done = subprocess.run(words, capture_output=True, text=True, input=statement)
    assert done.returncode == 0, f"{statement}: {done.stderr}"
    return done.stdout.strip()


def role(site: hosts.Site, name: str, group: str) -> str:
    """A playbook of this one role, as `Site.play` takes it."""
    book = site.folder / f"{name}.yml"
    text = f"- hosts: {group}\n  gather_facts: false\n  become: true\n  roles: [{name}]\n"
    book.write_text(text)
    return str(book.with_suffix(""))


def says(play: hosts.Play, text: str) -> bool:
    """Whether a play printed this text, however its lines were broken."""
    return " ".join(text.split()) in " ".join(play.output.split())


class Running:
    """A playbook that runs, to be killed in the middle."""

    def __init__(self, site: hosts.Site, playbook: str, *arguments: str) -> None:
        self._path: Path = site.folder / "running.out"
        with self._path.open("wb") as output:
            self._process = subprocess.Popen(
                site.command(playbook, *arguments),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=site.environment(),
                cwd=docs.ROOT,
            )

    def wait_for(self, host: hosts.Host, condition: str, timeout_s: float = 900.0) -> None:
        """Return when a shell command succeeds on the host; fail when the playbook has ended."""
        deadline_s = time.monotonic() + timeout_s
        while "yes" not in host.run(f"{condition} && echo yes", check=False):
            said = self._path.read_text()
            assert self._process.poll() is None, said
            assert time.monotonic() < deadline_s, said
            time.sleep(0.2)

    def kill(self) -> None:
        """End Ansible at once; what it has begun on the hosts goes on."""
        self._process.kill()
        self._process.wait()

"""PostgreSQL from the PostgreSQL project's repository: a stand-in of it, with Debian's packages."""

import subprocess
from pathlib import Path

import pytest

from tests.support import clusters, tls
from tests.support.hosts import Host, Site

pytestmark = [pytest.mark.container, pytest.mark.benchmark, pytest.mark.timeout(1800)]

# The package brings the key under the name of the host that serves what it signs.
KEY = Path("/usr/share/postgresql-common/pgdg/apt.postgresql.org.asc")
ADDRESS = KEY.stem
IMAGE = "bootstrapd-test-pgdg:trixie"
# PostgreSQL 15 is that of the release before, which this one does not have.
_RECIPE = (
    clusters.WITH_BOOKWORM
    + r"""    && apt-get -qq update \
    && apt-get -qq install --yes --no-install-recommends apt-utils gpg gpg-agent >/dev/null
WORKDIR /srv/pub/repos/apt
RUN mkdir -p pool/partial dists/trixie-pgdg/main/binary-amd64 \
    && apt-get -qq install --yes --no-install-recommends --download-only \
        -o Dir::Cache::archives=$PWD/pool postgresql-15 >/dev/null \
    && apt-ftparchive packages pool > dists/trixie-pgdg/main/binary-amd64/Packages \
    && apt-ftparchive -o APT::FTPArchive::Release::Codename=trixie-pgdg \
        -o APT::FTPArchive::Release::Architectures=amd64 \
        -o APT::FTPArchive::Release::Components=main release dists/trixie-pgdg > /srv/Release \
    && gpg --batch --quiet --passphrase '' --quick-generate-key tests rsa3072 sign never \
    && gpg --batch --quiet --output dists/trixie-pgdg/InRelease --clearsign /srv/Release \
    && gpg --armor --export > /srv/key.asc
RUN touch /etc/.updated /var/.updated
"""
)
_SERVE = """
import functools, http.server, ssl

class Files(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # apt calls a connection that ends without TLS's goodbye cut

server = http.server.ThreadingHTTPServer(("", 443), functools.partial(Files, directory="/srv"))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/etc/served.pem", "/etc/served.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def _write(host: Host, path: str, text: str) -> None:
    words = ["docker", "exec", "--interactive", host.container, "bash", "-c", f"cat > {path}"]
    subprocess.run(words, input=text, text=True, check=True)


@pytest.fixture
def repository(site: Site, tmp_path: Path) -> tuple[str, str]:
    """A host that serves packages under the project's address; its key and its authority."""
    host = site.start("mirror", clusters.build(IMAGE, _RECIPE), "--network-alias", ADDRESS)
    authority = tls.Authority(tmp_path)
    for file, path in zip(authority.files(ADDRESS), ("served.pem", "served.key"), strict=True):
        _write(host, f"/etc/{path}", file.read_text())
    _write(host, "/srv/serve.py", _SERVE)
    for port, command in ((80, "-m http.server --directory /srv 80"), (443, "/srv/serve.py")):
        host.run(f"systemd-run --quiet python3 {command}")
        host.run(f"until (echo > /dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.1; done")
    return host.run("cat /srv/key.asc"), authority.ca_file.read_text()


def test_packages_of_the_project_by_its_address_and_from_a_mirror(
    site: Site, repository: tuple[str, str]
) -> None:
    """The long form, with 15 on a Debian that has 17; all but the key is as with the real one."""
    key, authority = repository
    for name in ("direct", "mirrored"):
        host = site.start(name, "systemd-host:trixie")
        # The package lays its own key beside this one, and trusts the authority once it is there.
        host.run(f"mkdir -p {KEY.parent} /usr/local/share/ca-certificates")
        for real in (KEY, KEY.with_suffix(".gpg")):
            host.run(f"dpkg-divert --quiet --local --no-rename --divert {real}.real --add {real}")
        _write(host, str(KEY), key)
        _write(host, "/usr/local/share/ca-certificates/tests.crt", authority)
        host.run("apt-get -qq purge --yes --allow-remove-essential ca-certificates 2>/dev/null")
    mirror = "'http://mirror/pub/repos/apt' if inventory_hostname == 'mirrored' else ''"
    given = {
        "deployment": "shop",
        "postgresql_memory_mb": 512,
        "postgresql_version": "15",
        "postgresql_source": "pgdg",
        "postgresql_databases": [{"name": "godel"}],
    }
    hosts = {"database": ["direct", "mirrored"]}
    site.write(hosts, **given, postgresql_pgdg_mirror="{{ " + mirror + " }}")

    site.play("site", "--check", "--diff").expect()
    site.play("site").expect()
    for name, source in (
        ("direct", f"https://{ADDRESS}/pub/repos/apt trixie-pgdg/main"),
        ("mirrored", "http://mirror/pub/repos/apt trixie-pgdg/main"),
    ):
        host = site.hosts[name]
        assert clusters.sql(host, "show server_version").startswith("15.")
        assert source in host.run("apt-cache policy postgresql-15")
    assert site.play("site").expect().changed == {"direct": 0, "mirrored": 0}

    # Hosts go over to a mirror, and back.
    for given["postgresql_pgdg_mirror"], source in (
        ("http://mirror:80/pub/repos/apt", "http://mirror:80/pub/repos/apt trixie-pgdg/main"),
        ("", f"https://{ADDRESS}/pub/repos/apt trixie-pgdg/main"),
    ):
        site.write(hosts, **given)
        site.play("site", "--tags", "postgresql").expect()
        for host in (site.hosts[name] for name in hosts["database"]):
            policy = host.run("apt-cache policy postgresql-15")
            assert source in policy
            assert policy.count("trixie-pgdg") == 1
    assert site.play("site").expect().changed == {"direct": 0, "mirrored": 0}

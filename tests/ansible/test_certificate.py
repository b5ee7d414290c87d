"""The own authority: a certificate is made once, and anew before it ends or for other names."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from tests.support import docs, hosts

pytestmark = pytest.mark.timeout(900)


class Authority:
    """A folder of secrets on the controller, and the role that fills it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ansible = hosts.ansible()

    def run(self, **variables: object) -> tuple[int, x509.Certificate]:
        """How many tasks changed something, and the certificate that there is then."""
        play = {
            "hosts": "db.example.org",
            "gather_facts": False,
            "roles": [{"role": "certificate"}],
            "vars": {"ansible_connection": "local", "certificate_name": "tried", **variables},
        }
        (self.folder / "hosts.yml").write_text("all: {hosts: {db.example.org: }}\n")
        book = self.folder / "play.yml"
        book.write_text(yaml.safe_dump([play]))
        done = subprocess.run(
            [self._ansible, "-i", self.folder / "hosts.yml", book],
            cwd=docs.ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        (changed,) = hosts.changes(done.stdout).values()
        file = self.folder / "secrets" / "tls" / "db.example.org-tried.crt"
        return changed, x509.load_pem_x509_certificate(file.read_bytes())


def _names(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


def test_a_certificate_is_made_anew_before_it_ends_and_for_other_names(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    names = ["db.example.org", "192.0.2.10", "2001:db8::10"]

    changed, first = authority.run(certificate_names=names, certificate_days=90)
    assert changed > 0
    assert _names(first) == names
    left = first.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=89) < left <= timedelta(days=90)

    assert authority.run(certificate_names=names, certificate_days=90) == (0, first)

    more = [*names, "localhost"]
    changed, second = authority.run(certificate_names=more, certificate_days=90)
    assert changed > 0
    assert _names(second) == more

    _, third = authority.run(
        certificate_names=more, certificate_days=120, certificate_renew_days=100
    )
    assert third.not_valid_after_utc > second.not_valid_after_utc

    # All are of one authority, whose key nobody else may read.
    secrets = tmp_path / "secrets"
    ca = x509.load_pem_x509_certificate((secrets / "ca" / "ca.crt").read_bytes())
    for certificate in (first, second, third):
        certificate.verify_directly_issued_by(ca)
    modes = {path.name: path.stat().st_mode & 0o777 for path in secrets.rglob("*.key")}
    assert modes == {"ca.key": 0o600, "db.example.org-tried.key": 0o600}

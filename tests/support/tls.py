"""A certificate authority of the tests' own."""

import ssl
from pathlib import Path

import trustme

from tests.support import processes


class Authority:
    """Issues server certificates; its files can be read by unprivileged servers.

    `ca_file` is what a client verifies with.
    """

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self._folder = folder
        self.ca_file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.ca_file)
        processes.give(self.ca_file)

    def files(self, *hosts: str) -> tuple[Path, Path]:
        """The files of a new certificate for these hosts and of its key."""
        issued = self._ca.issue_cert(*hosts)
        certificate, key = self._folder / f"{hosts[0]}.pem", self._folder / f"{hosts[0]}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        return processes.give(certificate), processes.give(key)

    def context(self, *hosts: str) -> ssl.SSLContext:
        """The server's side of TLS for these hosts."""
        certificate, key = self.files(*hosts)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

"""The socket that a server listens on; what goes wrong with it is told in tests of the programs."""

import socket
from contextlib import closing

import pytest

from bootstrap import listener


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_its_connections_send_at_once(host: str) -> None:
    with closing(listener.listen(f"{host}:0", "a test", "TEST_ADDRESS")) as listening:
        address = listener.address(listening)
        assert address.startswith(f"{host}:")
        port = int(address.rpartition(":")[2])
        with closing(socket.create_connection((host.strip("[]"), port))):
            accepted, _ = listening.accept()
            with closing(accepted):
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

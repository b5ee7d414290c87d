"""Real Redis servers, from Debian's package `redis-server`."""

import contextlib
import signal
from pathlib import Path
from urllib.parse import quote

import redis

from tests.support import need, processes
from tests.support.tls import Authority

_LOADING_KEYS = 200
# Redis answers clients between two blocks that it loads, and has to meet one in each key.
_LOADING_KEY_BYTES = 4096


class RedisServer:
    """One Redis server on 127.0.0.1, with a password and TLS if asked."""

    host = "127.0.0.1"

    def __init__(self, home: Path, password: str | None, authority: Authority | None) -> None:
        self.port = processes.free_port()
        self._password = password
        self._authority = authority
        self._options = {
            "bind": self.host,
            "port": str(0 if authority else self.port),
            "dir": str(home),
            "save": "",
            "enable-debug-command": "local",
        }
        if password:
            self._options["requirepass"] = password
        if authority:
            certificate, key = authority.files(self.host, "localhost")
            self._options |= {
                "tls-port": str(self.port),
                "tls-cert-file": str(certificate),
                "tls-key-file": str(key),
                "tls-ca-cert-file": str(authority.ca_file),
                "tls-auth-clients": "no",
            }
        self._daemon = processes.Daemon([], log=home / "log", ready=self._answers)

    @property
    def url(self) -> str:
        """Its URL, with the password where there is one."""
        login = f":{quote(self._password, safe='')}@" if self._password else ""
        return f"{'rediss' if self._authority else 'redis'}://{login}{self.host}:{self.port}/0"

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._daemon.running

    def start(self) -> None:
        """Start it, unless it runs; return when it answers, be it that it is loading."""
        arguments = [word for name, value in self._options.items() for word in (f"--{name}", value)]
        self._daemon.argv = processes.unprivileged(
            need("redis-server"), *arguments, at_parents_death="KILL"
        )
        self._daemon.start()

    def stop(self) -> None:
        """Kill it, as an outage does."""
        self._daemon.stop(signal.SIGKILL)

    def load_slowly(self, seconds: float) -> None:
        """Start it anew on a data set that takes about `seconds` to load."""
        with self._client() as client:
            client.execute_command("DEBUG", "POPULATE", _LOADING_KEYS, "key", _LOADING_KEY_BYTES)
            client.save()
        self.stop()
        self._options["key-load-delay"] = str(round(seconds / _LOADING_KEYS * 1_000_000))
        self._options["loading-process-events-interval-bytes"] = "1024"
        # Compressed keys would be too small to meet a block each.
        self._options["rdbcompression"] = "no"
        self.start()

    def _client(self) -> redis.Redis:
        options = {"ssl_ca_certs": str(self._authority.ca_file)} if self._authority else {}
        client: redis.Redis = redis.Redis.from_url(self.url, **options)
        return client

    def _answers(self) -> bool:
        with self._client() as client, contextlib.suppress(redis.ConnectionError):
            with contextlib.suppress(redis.BusyLoadingError):
                client.ping()
            return True
        return False

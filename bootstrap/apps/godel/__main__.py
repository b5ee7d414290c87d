"""godel's API as a program: `python -m bootstrap.apps.godel`."""

import logging
import os
import signal
import socket
import sys

import click
import uvicorn

from bootstrap import engine, redact, settings
from bootstrap.apps.godel import api, storage
from bootstrap.errors import BootstrapdError, SettingsError

# Below the ten seconds after which a container engine kills.
GRACE_S = 8
# The API reads and writes by id or index: what takes longer is stuck.
QUERY_TIMEOUT_S = 10.0
_ADDRESS = "--address or GODEL_API_ADDRESS"


class _Redacted(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact.text(super().format(record))


@click.command()
@click.option(
    "--address",
    envvar="GODEL_API_ADDRESS",
    show_envvar=True,
    default="127.0.0.1:7373",
    show_default=True,
    help="Where the API is served, as host:port.",
)
def main(address: str) -> None:
    """Serve godel's API on the database of bootstrapd's settings."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Redacted("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, _end)
    try:
        loaded = settings.load({"BOOTSTRAPD_APP": "godel"})
        options = engine.Options(
            application_name="godel",
            connect_timeout_s=loaded.settings.connect_timeout_s,
            # A request that waits longer for a free connection is better told so.
            pool_timeout_s=loaded.settings.connect_timeout_s,
            query_timeout_s=QUERY_TIMEOUT_S,
        )
        opened = storage.Storage(storage.connect(loaded.target, options))
        listener = _listen(address)
    except BootstrapdError as error:
        click.echo(redact.text(str(error)), err=True)
        sys.exit(error.exit_code)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    api.log.info("serving %s on http://%s:%d", loaded.target.identity, shown, port)
    config = uvicorn.Config(
        api.application(opened),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _end(*_: object) -> None:
    """Being asked to end is no failure; uvicorn raises the signal again when it has shut down.

    A thread may still be waiting for a silent database, and Python would wait for the thread.
    """
    os._exit(0)


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"{_ADDRESS}: wanted host:port, found {address!r}")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=2048)
    except OSError as error:
        # The error's own text repeats the address.
        reason = str(error.strerror).partition(" (")[0]
        raise SettingsError(
            f"{_ADDRESS}: cannot listen on {address}: {reason}; stop what listens there or choose "
            "another address"
        ) from error


if __name__ == "__main__":
    main()

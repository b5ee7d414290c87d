"""godel's API as a program: `python -m bootstrap.apps.godel`."""

import logging
import os
import signal
import sys
from collections.abc import Mapping

import click
import uvicorn

from bootstrap import engine, journal, listener, redact, report, settings
from bootstrap.apps.godel import api, storage
from bootstrap.errors import BootstrapdError

# Below the ten seconds after which a container engine kills.
GRACE_S = 8
# The API reads and writes by id or index: what takes longer is stuck.
QUERY_TIMEOUT_S = 10.0
_LEVELS: Mapping[int, journal.Level] = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
}


class _Handler(logging.Handler):
    """Log lines in the form of bootstrapd's own, which hides secrets."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self._write = report.log(form, "info")

    def emit(self, record: logging.LogRecord) -> None:
        level = _LEVELS.get(record.levelno, "error")
        event = journal.Event("api", "serve", self.format(record), level, record.created, {})
        self._write(event, journal.Status())


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
        socket = listener.listen(address, "godel's API", "GODEL_API_ADDRESS")
    except BootstrapdError as error:
        click.echo(redact.text(str(error)), err=True)
        sys.exit(error.exit_code)
    handler = _Handler(loaded.settings.log_format)
    logging.basicConfig(handlers=[handler], format="%(message)s", level=logging.INFO)
    api.log.info("serving %s on http://%s", loaded.target.identity, listener.address(socket))
    config = uvicorn.Config(
        api.application(opened),
        http="h11",
        ws="none",
        interface="asgi3",
        server_header=False,
        proxy_headers=False,
        access_log=False,
        log_config=None,
        log_level="warning",
        timeout_graceful_shutdown=GRACE_S,
        # Unset, uvicorn would read it from the environment.
        workers=1,
    )
    uvicorn.Server(config).run(sockets=[socket])


def _end(*_: object) -> None:
    """Being asked to end is no failure; uvicorn raises the signal again when it has shut down.

    A thread may still be waiting for a silent database, and Python would wait for the thread.
    """
    os._exit(0)


if __name__ == "__main__":
    main()

"""What reports on a run while it goes on: status file, systemd, and HTTP where wanted."""

import contextlib
from collections.abc import Iterator

from bootstrap import journal, settings, statusfile


@contextlib.contextmanager
def reports(loaded: settings.Loaded, record: journal.Journal, *, listen: bool) -> Iterator[None]:
    """Report for the length of the block; with `listen` over HTTP too, from before it begins."""
    with contextlib.ExitStack() as stack:
        if listen:
            from bootstrap import health

            server = health.Server(record, loaded.settings.health_address)
            server.start()
            stack.callback(server.stop)
            record.event("listening", f"health is served on http://{server.address}")
        record.add_sink(statusfile.sink(loaded, record))
        where = settings.notify_socket()
        if where is not None:
            from bootstrap import notify

            # Two looks may fail to end in time before systemd is to think that the watch is dead.
            chosen = loaded.settings
            quiet_s = 3 * (chosen.watch_interval_s + chosen.watch_timeout_s)
            notifier = notify.Notifier(record, where, quiet_s=quiet_s)
            notifier.start()
            stack.callback(notifier.stop)
        yield

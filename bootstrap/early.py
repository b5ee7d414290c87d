"""A worker that comes up while the database is waited for: its imports take longer than most waits.

Nothing is imported here that a start with nothing to do can go without.
"""

import contextlib
from typing import TYPE_CHECKING

from bootstrap import settings
from bootstrap.errors import SettingsError

if TYPE_CHECKING:
    from bootstrap import child


class Early:
    """The worker's process, if the wait left time to start one."""

    def __init__(self) -> None:
        self._started: child.Started | None = None

    def start(self, loaded: settings.Loaded) -> None:
        """Start it. That it cannot be started is an error only where it is needed."""
        from bootstrap import child

        with contextlib.suppress(SettingsError):
            self._started = child.Started(loaded)

    def take(self, loaded: settings.Loaded) -> "child.Started | None":
        """The process, if it was started for this very target; it is the caller's from here on."""
        if self._started is None or self._started.loaded.target != loaded.target:
            return None
        taken, self._started = self._started, None
        return taken

    def close(self) -> None:
        """End it, unless it was taken."""
        if self._started is not None:
            self._started.close()
            if self._started.process.stdout is not None:
                self._started.process.stdout.close()
            self._started = None

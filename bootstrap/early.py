"""A worker that comes up while other things are done: its imports take longer than most waits.

Nothing is imported here that a start with nothing to do can go without.
"""

import contextlib
from typing import TYPE_CHECKING

from bootstrap import settings
from bootstrap.errors import SettingsError

if TYPE_CHECKING:
    from bootstrap import child


class Early:
    """The worker's process, once it was thought of before it is needed."""

    def __init__(self) -> None:
        self._started: child.Started | None = None

    def start(self, loaded: settings.Loaded) -> None:
        """Start it, unless it is up. That it cannot be started is an error where it is needed."""
        if self._started is not None:
            return
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
            # It was not told anything yet, so nothing is interrupted.
            self._started.process.kill()
            self._started.close()
            if self._started.process.stdout is not None:
                self._started.process.stdout.close()
            self._started = None

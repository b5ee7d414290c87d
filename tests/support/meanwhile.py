"""What goes on beside a test, again and again, for as long as a block lasts."""

import abc
import threading
from typing import Self


class Meanwhile(abc.ABC):
    """Used as a context: does `once` over and over, in a thread, with a pause before each time."""

    pause_s: float

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _repeat(self) -> None:
        while not self._over.wait(self.pause_s):
            self.once()

    @abc.abstractmethod
    def once(self) -> None:
        """One time."""

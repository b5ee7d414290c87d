"""One revision under way: what of it could not be rolled back any more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .channel import Channel

# Looking around changes nothing. Of what changes something, a comparison of schemas shows the
# definitions; only data are changed unseen.
_LOOKS = re.compile(
    r"\s*(select|show|set|reset|explain|pragma|begin|commit|rollback|savepoint|release|lock)\b",
    re.IGNORECASE,
)
_DEFINES = re.compile(
    r"\s*(create|alter|drop|comment|grant|revoke|reindex|analyze|vacuum|cluster)\b", re.IGNORECASE
)


class StoppedError(Exception):
    """Asked to end between two revisions."""


class Step:
    """A revision under way, or none."""

    def __init__(self, channel: Channel, revision: str | None) -> None:
        self.revision = revision
        # Whether some of it was committed before its end.
        self.autocommit = False
        # Whether what comes is committed at once.
        self.outside = False
        self._channel = channel
        self._changed = False
        self._changed_data = False

    def leave_transaction(self) -> None:
        """What was done so far is about to be committed; what comes is committed at once."""
        self.outside = True
        self._commit()

    def reenter_transaction(self) -> None:
        """What comes is in a transaction again."""
        self.outside = False

    def cut_transaction(self) -> None:
        """What was done so far is about to be committed; a new transaction follows."""
        if self._changed:
            self._commit()

    def statement(self, statement: str) -> None:
        """A statement is about to be run."""
        if self.revision is None or _LOOKS.match(statement):
            return
        self._changed = True
        if not _DEFINES.match(statement) and not self._changed_data:
            self._changed_data = True
            if self.outside:
                self._ask("data_committed")

    def _commit(self) -> None:
        # The parent must have written this down before it happens.
        if self.revision is not None and not self.autocommit:
            self.autocommit = True
            self._ask("autocommit")
        if self.revision is not None and self._changed_data:
            self._ask("data_committed")

    def _ask(self, event: str) -> None:
        self._channel.send(event=event, revision=self.revision)
        self._channel.receive()


def defines(statement: str) -> bool:
    """Whether a statement changes the schema."""
    return bool(_DEFINES.match(statement))

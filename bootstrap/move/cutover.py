"""After a verified move: the app is to write to the new database and to the old file no more."""

from collections.abc import Mapping
from typing import Any

from bootstrap.move.request import Request
from bootstrap.move.result import Moved
from bootstrap.place import Place


def cut_over(place: Place, request: Request, moved: Moved) -> Mapping[str, Any] | None:  # noqa: ARG001
    """Called once, after the move is committed and verified, under the migration lock."""
    return None

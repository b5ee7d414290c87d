"""The move as a whole: what is scanned, copied and verified is committed at once, or not at all."""

from bootstrap.errors import SettingsError
from bootstrap.move.request import Request
from bootstrap.move.result import Moved
from bootstrap.place import Place


def move(place: Place, request: Request) -> Moved:
    """Move all rows of the source to the database of `place`, under its migration lock."""
    raise SettingsError(f"{request.path} cannot be moved to {place.identity} yet")

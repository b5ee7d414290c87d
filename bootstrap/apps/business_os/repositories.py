"""The repositories of business_os, one a table, with the verbs of its document."""

from collections.abc import Mapping
from typing import Any

from bootstrap.apps.business_os import models
from bootstrap.repository import Repository, Row


class BaseRepository(Repository[Row]):
    """The rows of one table: `update` and `delete` are those of every repository."""

    def find_by_id(self, id_: str) -> Row | None:
        """The row with this id."""
        return self.get(id_)

    def find_all(self, limit: int = 100, offset: int = 0) -> list[Row]:
        """Rows, the newest first."""
        return self.list(limit=limit, offset=offset)

    def insert(self, values: Mapping[str, Any]) -> Row:
        """Insert a row and give it back whole."""
        return self.create(values)


class Users(BaseRepository[models.User]):
    """Users."""

    model = models.User


class Businesses(BaseRepository[models.Business]):
    """Businesses."""

    model = models.Business


class Conversations(BaseRepository[models.Conversation]):
    """Conversations."""

    model = models.Conversation


class Messages(BaseRepository[models.Message]):
    """Messages."""

    model = models.Message

"""dash's storage on a fresh database, made from the models: the revisions make the same."""

from bootstrap import target
from bootstrap.apps.dash import storage
from bootstrap.apps.dash.models import Base


def open_new(url: str, pool: storage.PoolSettings | None = None) -> storage.Storage:
    """The storage on an empty database that gets its tables; a SQLite file is made."""
    where = target.parse(url)
    if where.path is not None:
        where.path.touch()
    opened = storage.Storage(storage.connect(where, pool))
    Base.metadata.create_all(opened.client.engine)
    return opened

"""What a schema consists of, as the server itself says: read, compared, kept as a file.

It knows no app, no Alembic and no SQLAlchemy.
"""

from bootstrap.catalog.comparison import compare
from bootstrap.catalog.flaws import flaws
from bootstrap.catalog.model import (
    KINDS,
    MISSING,
    Catalog,
    Finding,
    Kind,
    Object,
    fingerprint,
)
from bootstrap.catalog.postgres import read as read_postgres
from bootstrap.catalog.snapshot import Snapshot, SnapshotError, dump, load
from bootstrap.catalog.sqlite import read as read_sqlite

__all__ = [
    "KINDS",
    "MISSING",
    "Catalog",
    "Finding",
    "Kind",
    "Object",
    "Snapshot",
    "SnapshotError",
    "compare",
    "dump",
    "fingerprint",
    "flaws",
    "load",
    "read_postgres",
    "read_sqlite",
]

"""The table `_migrations`: which revisions were applied, when, and the SHA-256 of each file."""

import hashlib
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bootstrap.apps.dash.models import Base


def record(*, ctx: Any, step: Any, heads: set[str], **_: Any) -> None:
    """Note a step of Alembic's in its own transaction; this is a hook `on_version_apply`."""
    table = Base.metadata.tables["_migrations"]
    # The first revision makes the table and takes it away. A stamp may come without any table.
    if not heads or (step.is_stamp and not sa.inspect(ctx.connection).has_table(table.name)):
        return
    for revision in step.up_revisions:
        path = Path(revision.path)
        ctx.execute(sa.delete(table).where(table.c.name == path.stem))
        if step.is_upgrade:
            checksum = hashlib.sha256(path.read_bytes()).hexdigest()
            ctx.execute(sa.insert(table).values(name=path.stem, checksum=checksum))

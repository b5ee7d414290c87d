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
    applied = [Path(each.path) for each in step.revision_map.iterate_revisions(heads, "base")]
    ctx.execute(sa.delete(table).where(table.c.name.not_in([path.stem for path in applied])))
    # Of a stamp Alembic tells where it leads, not what lies on the way.
    new = applied if step.is_stamp else [Path(each.path) for each in step.up_revisions]
    for path in new if step.is_upgrade else ():
        row = sa.select(
            sa.literal(path.stem), sa.literal(hashlib.sha256(path.read_bytes()).hexdigest())
        ).where(~sa.exists().where(table.c.name == path.stem))
        ctx.execute(sa.insert(table).from_select(["name", "checksum"], row))

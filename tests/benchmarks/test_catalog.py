"""Reading and comparing a catalog, against `alembic check` on the same database."""

import sys
from pathlib import Path

import pytest

from bootstrap import app, target
from tests.benchmarks import measure
from tests.support import cli

pytestmark = pytest.mark.benchmark

MODELS = """
import sqlalchemy as sa
metadata = sa.MetaData()
for number in range(1000):
    parents = (sa.ForeignKey(f"item_{number - 1:04d}.id"),) if number else ()
    sa.Table(
        f"item_{number:04d}",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("parent_id", sa.Integer, *parents, index=True),
        sa.Column("name", sa.String(50), nullable=False, server_default="x", unique=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.func.now()),
        sa.Column("price", sa.Numeric(10, 2)),
    )
"""
REVISION = """
import models
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    models.metadata.create_all(op.get_bind())
"""
ENV = """
import sqlalchemy as sa
from alembic import context
from models import metadata
url = context.config.get_main_option("sqlalchemy.url")
with sa.create_engine(url).connect() as connection:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
"""


def test_the_largest_app(command: cli.Command, database18: str, tmp_path: Path) -> None:
    driver_url = target.parse(database18).url("psycopg")
    env = measure.environment(command, DATABASE_URL=database18, DRIVER_URL=driver_url)
    measure.Call(measure.bootstrapd("run", "-q", "--app", "godel"), tmp_path, env).seconds()
    ours = measure.Call(measure.bootstrapd("validate", "-q", "--app", "godel"), tmp_path, env)
    config = app.shipped_migrations("godel")
    alembic = Path(sys.executable).with_name("alembic")
    peer = measure.Call([alembic, "-c", config, "check"], config.parent, env)
    assert measure.ratio("validate of godel to alembic check", ours, peer, runs=9, wanted=0.25) > 0


def test_a_thousand_tables(command: cli.Command, database18: str, tmp_path: Path) -> None:
    (tmp_path / "bootstrapd.toml").write_text(
        '[apps.shop]\nalembic = "alembic.ini"\nmetadata = "models:metadata"\n'
    )
    driver_url = target.parse(database18).url("psycopg").replace("%", "%%")
    (tmp_path / "alembic.ini").write_text(
        "[alembic]\nscript_location = .\nprepend_sys_path = .\npath_separator = os\n"
        f"sqlalchemy.url = {driver_url}\n"
    )
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "env.py").write_text(ENV)
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "0001_all.py").write_text(REVISION)
    env = measure.environment(command, DATABASE_URL=database18)
    for verb in ("migrate", "snapshot"):
        measure.Call(measure.bootstrapd(verb, "-q"), tmp_path, env).seconds()
    ours = measure.Call(measure.bootstrapd("validate", "-q"), tmp_path, env)
    alembic = Path(sys.executable).with_name("alembic")
    peer = measure.Call([alembic, "check"], tmp_path, env)
    title = "validate of 1,000 tables to alembic check"
    assert measure.ratio(title, ours, peer, runs=3, wanted=0.33) > 0

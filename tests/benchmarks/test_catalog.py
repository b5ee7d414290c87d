"""Reading and comparing a catalog, against `alembic check` on the same database."""

import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from bootstrap import app, catalog
from tests.benchmarks import measure
from tests.support import catalogs, cli
from tests.support.postgres import Server

pytestmark = pytest.mark.benchmark

# All that a validation by a snapshot does, from the start of the interpreter on.
COMPARE = """
import os, sys
from pathlib import Path
from tests.support import catalogs
from bootstrap import catalog
wanted = catalog.load(Path(sys.argv[1]).read_text()).catalog
assert catalog.compare(wanted, catalogs.read_url(os.environ["DATABASE_URL"])) == ()
"""
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
ENV = """
import os
import sqlalchemy as sa
from alembic import context
from models import metadata
with sa.create_engine(os.environ["DRIVER_URL"]).connect() as connection:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
"""


def compared(
    title: str,
    url: str,
    config: Path,
    command: cli.Command,
    folder: Path,
    *,
    runs: int,
    wanted: float,
) -> float:
    snapshot = folder / "snapshot.txt"
    snapshot.write_text(catalog.dump(catalogs.read_url(url), ()))
    env = measure.environment(command, DATABASE_URL=url, DRIVER_URL=catalogs.driver_url(url))
    root = str(Path(__file__).parents[2])
    ours = measure.Call(
        [sys.executable, "-c", COMPARE, snapshot], folder, {**env, "PYTHONPATH": root}
    )
    alembic = Path(sys.executable).with_name("alembic")
    peer = measure.Call([alembic, "-c", config, "check"], config.parent, env)
    return measure.ratio(title, ours, peer, runs=runs, wanted=wanted)


def test_the_largest_app(command: cli.Command, database18: str, tmp_path: Path) -> None:
    env = measure.environment(
        command, DATABASE_URL=database18, DRIVER_URL=catalogs.driver_url(database18)
    )
    measure.Call(measure.bootstrapd("run", "-q", "--app", "godel"), tmp_path, env).seconds()
    ours = measure.Call(measure.bootstrapd("validate", "-q", "--app", "godel"), tmp_path, env)
    config = app.shipped_migrations("godel")
    alembic = Path(sys.executable).with_name("alembic")
    peer = measure.Call([alembic, "-c", config, "check"], config.parent, env)
    assert measure.ratio("validate of godel to alembic check", ours, peer, runs=9, wanted=0.25) > 0


def test_a_thousand_tables(command: cli.Command, server18: Server, tmp_path: Path) -> None:
    url = server18.create_database()
    (tmp_path / "alembic.ini").write_text(
        "[alembic]\nscript_location = .\nprepend_sys_path = .\npath_separator = os\n"
    )
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "env.py").write_text(ENV)
    (tmp_path / "versions").mkdir()
    models: dict[str, sa.MetaData] = {}
    exec(MODELS, models)
    engine = sa.create_engine(catalogs.driver_url(url))
    models["metadata"].create_all(engine)
    engine.dispose()
    title = "reading and comparing 1,000 tables to alembic check"
    config = tmp_path / "alembic.ini"
    assert compared(title, url, config, command, tmp_path, runs=3, wanted=0.33) > 0

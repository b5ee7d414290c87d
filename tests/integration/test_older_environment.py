"""Projects under an interpreter of their own, with SQLAlchemy 1.4 and an old Alembic.

`make older` makes it; OLDER_PYTHON names another one.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import look
from tests.support.cli import ROOT, Result

Run = Callable[..., Result]

PYTHON = Path(os.environ.get("OLDER_PYTHON") or ROOT / ".venv-older" / "bin" / "python")
PROJECTS = ROOT / "tests" / "data" / "projects"
SEEDS = 'SEEDS = {"item": {"key": ["id"], "rows": [{"id": 1, "name": "tea"}]}}\n'


@pytest.fixture(scope="module", autouse=True)
def _is_older() -> None:
    if not PYTHON.is_file():
        pytest.skip("needs an environment with SQLAlchemy 1.4: make older")
    code = "import sqlalchemy, alembic; print(sqlalchemy.__version__, alembic.__version__)"
    found = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.startswith("1.4."), found.stdout
    there = subprocess.run([PYTHON, "-c", "import bootstrap"], cwd="/", capture_output=True)
    assert there.returncode != 0, "bootstrapd is installed there"


@pytest.mark.parametrize("name", ["branches", "filters", "given_engine", "settings_module"])
def test_every_verb_works(run: Run, tmp_path: Path, either_url: str, name: str) -> None:
    path = tmp_path / name
    shutil.copytree(PROJECTS / name, path)
    (path / "shop" / "seeds.py").write_text(SEEDS)
    toml = path / "bootstrapd.toml"
    toml.write_text(
        toml.read_text().replace("[apps.shop]\n", '[apps.shop]\nseeds = "shop.seeds:SEEDS"\n')
    )

    def bootstrapd(command: str, exit_code: int = 0) -> Result:
        env = {"DATABASE_URL": either_url, "PYTHONPATH": str(ROOT)}
        return run(f"{command} --python {PYTHON}", env=env, cwd=path).expect(exit_code)

    assert "create table item" in bootstrapd("plan").stdout.lower()
    assert look.tables(either_url) == set()
    assert bootstrapd("run --json").json()["changed"] is True
    assert {"item", "witness"} <= look.tables(either_url)
    assert look.query(either_url, "select id, name from item") == [(1, "tea")]
    if either_url.startswith("postgres"):
        assert look.query(either_url, "select lock_timeout from witness") == [("4s",)]
    # Which it would not be, were the number of the seeded row the next one that a sequence gives.
    assert bootstrapd("validate --json").json()["ok"] is True
    assert bootstrapd("run --json").json()["changed"] is False
    assert bootstrapd("status --json").json()["state"] == "current"
    assert bootstrapd("seed --json").json()["changed"] is False
    if version() >= (3, 10):
        assert bootstrapd("seed --demo --rows 5 --more --json").json()["demo"]["item"] == 5
    else:
        ended = bootstrapd("seed --demo --rows 5 --json", 6).json()["error"]["message"]
        assert "failed and was rolled back: demo rows need Python 3.10 or newer, and " in ended
    bootstrapd("rollback base")
    assert "item" not in look.tables(either_url)
    bootstrapd("migrate")
    assert {"item", "witness"} <= look.tables(either_url)
    bootstrapd("wait --revision head --timeout 0")


def test_a_new_revision_is_written_and_a_broken_one_is_told(
    run: Run, tmp_path: Path, either_url: str
) -> None:
    path = tmp_path / "shop"
    shutil.copytree(PROJECTS / "file_config", path)
    (path / "migrations" / "script.py.mako").write_text(MAKO)
    env = {"DATABASE_URL": either_url, "BOOTSTRAPD_PYTHON": str(PYTHON)}
    run("run", env=env, cwd=path).expect(0)
    models = path / "shop" / "models.py"
    models.write_text(models.read_text().replace("class Witness", EXTRA + "class Witness"))
    made = Path(run("new extra", env=env, cwd=path).expect(0).stdout.strip())
    assert "op.create_table('extra'" in made.read_text().replace('"', "'")
    run("run", env=env, cwd=path).expect(0)
    assert "extra" in look.tables(either_url)
    run("rollback 0002", env=env, cwd=path).expect(0)
    broken = "def upgrade():\n    op.drop_table('nowhere')\n"
    made.write_text(made.read_text().replace("def upgrade():", broken))
    ended = run("run --json", env=env, cwd=path).expect(4).json()["error"]["message"]
    assert "(extra) failed and was rolled back: " in ended
    assert "nowhere" in ended
    assert "extra" not in look.tables(either_url)


def test_init_finds_the_environment(run: Run, tmp_path: Path, sqlite_url: str) -> None:
    path = tmp_path / "shop"
    shutil.copytree(PROJECTS / "branches", path)
    (path / "bootstrapd.toml").unlink()
    (path / "venv").symlink_to(PYTHON.parent.parent)
    assert 'python = "venv/bin/python"\n' in run("init", cwd=path).expect(0).stdout
    run("run", env={"DATABASE_URL": sqlite_url}, cwd=path).expect(0)
    assert "item" in look.tables(sqlite_url)


def version() -> tuple[int, ...]:
    code = "import sys; print(*sys.version_info[:2])"
    found = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True)
    return tuple(map(int, found.stdout.split()))


EXTRA = """class Extra(Base):
    __tablename__ = "extra"
    id = sa.Column(sa.Integer, primary_key=True)


"""
MAKO = '''"""${message}"""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
'''

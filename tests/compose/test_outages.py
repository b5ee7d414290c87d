"""Servers that are slow, die or are full: nobody is told too early, and all comes back."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.compose.test_upgrade import HEAD, revision
from tests.support import need
from tests.support import stack as stacks
from tests.support.stack import Stack, Writer, run

pytestmark = [pytest.mark.container, pytest.mark.timeout(600)]

Make = Callable[..., Stack]
DEADLINE_S = 120.0


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.1)


def kill_postgres(stack: Stack) -> None:
    """As the kernel would when memory runs out; `docker kill` would be the operator's wish."""
    os.kill(stack.container("postgres")["State"]["Pid"], signal.SIGKILL)


def sleeps(stack: Stack) -> bool:
    """Whether a session of the app's role sleeps in the server."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    return stack.sql(count) != "0"


def up_meanwhile(stack: Stack, meanwhile: Callable[[], None]) -> None:
    """`docker compose up --wait`, which must succeed whatever happens meanwhile."""
    with subprocess.Popen(
        ["docker", "compose", "up", "--wait"],
        cwd=stack.folder,
        env={**os.environ, **stack.variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        meanwhile()
        output, _ = process.communicate(timeout=2 * DEADLINE_S)
    assert process.returncode == 0, output + stack.logs()


# -- slow ------------------------------------------------------------------------------------------


def test_a_first_start_that_takes_long_is_never_healthy_early(stack: Make) -> None:
    ours = stack()
    (ours.folder / "postgres" / "initdb" / "05-slow.sh").write_text("sleep 10\n")
    ours.script("secrets")
    ours.compose("up", "--detach", "postgres")
    on_the_socket = 0
    while True:
        postgres = ours.container("postgres")
        complete = "PostgreSQL init process complete" in ours.logs("postgres")
        if postgres["State"]["Health"]["Status"] != "starting":
            break
        probe = ["docker", "exec", postgres["Id"], "pg_isready", "--quiet"]
        on_the_socket += subprocess.run(probe).returncode == 0 and not complete
        time.sleep(0.2)
    assert postgres["State"]["Health"]["Status"] == "healthy"
    assert complete
    # A check on the socket would have been glad all this time.
    assert on_the_socket > 10


def test_a_first_start_that_is_killed_begins_anew(stack: Make) -> None:
    ours = stack()
    slow = ours.folder / "postgres" / "initdb" / "05-slow.sh"
    slow.write_text("[ -e /tmp/again ] || sleep 60\n")
    ours.script("secrets")
    ours.compose("up", "--detach", "postgres")
    eventually(lambda: "running /docker-entrypoint-initdb.d/05" in ours.logs("postgres"), "script")
    slow.write_text("")
    kill_postgres(ours)
    ours.up("postgres")
    assert "the first start did not come to its end; starting over" in ours.logs("postgres")
    assert ours.sql("SELECT count(*) FROM pg_roles WHERE rolname IN ('godel', 'monitor')") == "2"


# -- killed ----------------------------------------------------------------------------------------


def test_a_server_that_dies_while_it_serves_and_while_it_migrates_comes_back(
    stack: Make, tmp_path: Path
) -> None:
    ours = stack(BOOTSTRAPD_VALIDATE="missing")
    slow = revision(23, 'op.execute("CREATE TABLE notes AS SELECT 1 AS n FROM pg_sleep(4)")')
    image = stacks.release(tmp_path / "slow", slow)
    ours.up()
    with Writer(ours) as writer:
        eventually(lambda: len(writer.answers) > 5, "first answers")
        kill_postgres(ours)
        eventually(lambda: 503 in writer.statuses, "an outage")
        eventually(lambda: writer.answers[-1][1] == 200, "an answer after the outage")
    assert writer.statuses == {200, 503}
    assert writer.lost() == set()

    ours.variables |= {"DAEMON_IMAGE": image, "APP_IMAGE": image}
    assert ours.sql("SELECT version_num FROM alembic_version") == HEAD

    def kill_it() -> None:
        eventually(lambda: sleeps(ours), "the revision")
        kill_postgres(ours)

    up_meanwhile(ours, kill_it)
    assert ours.sql("SELECT version_num, (SELECT n FROM notes) FROM alembic_version") == "0023|1"
    assert ours.container("bootstrap")["RestartCount"] == 1
    assert writer.lost() == set()


SEEDS = """
import sqlalchemy as sa


def seeds(connection):
    connection.execute(sa.text("INSERT INTO item VALUES (1)"))
    connection.execute(sa.text("SELECT pg_sleep(4)"))
    return {"item": {"inserted": 1, "present": 0}}
"""
OWN_APP = {
    "srv/shop/bootstrapd.toml": """
[apps.shop]
alembic = "alembic.ini"
seeds = "shop_seeds:seeds"
""",
    "srv/shop/alembic.ini": "[alembic]\nscript_location = migrations\n",
    "srv/shop/shop_seeds.py": SEEDS,
    "srv/shop/migrations/env.py": """
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
""",
    "srv/shop/migrations/versions/0001_item.py": """
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.execute("CREATE TABLE item (id integer PRIMARY KEY)")


def downgrade():
    op.execute("DROP TABLE item")
""",
}


def test_an_app_of_ones_own_whose_server_dies_while_it_seeds(stack: Make, tmp_path: Path) -> None:
    image = stacks.release(tmp_path / "shop", OWN_APP, "WORKDIR /srv/shop")
    ours = stack(
        DAEMON_IMAGE=image,
        APP_IMAGE=image,
        BOOTSTRAPD_APP="shop",
        BOOTSTRAPD_VALIDATE="none",
        APP_COMMAND="run -- python -m http.server --directory /tmp 7373",
        APP_HEALTH_URL="http://127.0.0.1:7373/",
    )
    ours.script("secrets")

    def kill_it() -> None:
        eventually(lambda: bool(_running(ours, "bootstrap")), "bootstrap")
        eventually(lambda: sleeps(ours), "the seeds")
        kill_postgres(ours)

    up_meanwhile(ours, kill_it)
    assert ours.sql("SELECT count(*) FROM item") == "1"
    assert ours.ask("/").status == 200
    ours.up()
    assert ours.sql("SELECT count(*) FROM item") == "1"


def _running(stack: Stack, service: str) -> list[str]:
    return [
        each["Id"]
        for each in stack.containers()
        if each["Config"]["Labels"]["com.docker.compose.service"] == service
        and each["State"]["Running"]
    ]


# -- full ------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    need("mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=200m,mode=1777", "tmpfs", str(disk))
    yield disk
    run("umount", "--lazy", str(disk))


def test_a_full_disk_is_named_and_space_is_all_that_it_takes(stack: Make, small_disk: Path) -> None:
    ours = stack(BOOTSTRAPD_WAIT_TIMEOUT_S="30")
    where = {"type": "none", "o": "bind", "device": str(small_disk)}
    ours.overlay(volumes={"postgres_data": {"driver": "local", "driver_opts": where}})
    ours.up("postgres", "redis")
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))
    assert os.statvfs(small_disk).f_bavail == 0
    failed = ours.compose("up", "--wait", expect=1)
    assert 'service "bootstrap" didn\'t complete successfully: exit ' in failed.stderr
    errors = [line for line in ours.logs("bootstrap").splitlines() if " error " in line]
    assert errors
    assert any("No space left on device" in line for line in errors), errors
    ballast.unlink()
    ours.up()
    assert ours.ask("/health").status == 200

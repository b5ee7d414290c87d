"""A server that dies while it serves and while it migrates, and one whose disk is full."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.compose.test_outages import kill_postgres, sleeps, up_meanwhile
from tests.compose.test_upgrade import HEAD, revision
from tests.support import need
from tests.support import stack as stacks
from tests.support.stack import Stack, Writer, eventually, run

pytestmark = [pytest.mark.container, pytest.mark.timeout(600)]

Make = Callable[..., Stack]


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
        eventually(lambda: ours.container("postgres")["RestartCount"] == 1, "a restart")
        before = len(writer.answers)
        eventually(
            lambda: len(writer.answers) > before + 5 and writer.answers[-1][1] == 200,
            "an answer after the outage",
        )
    # The server is back so soon that a request may just have had to wait.
    assert {200} <= writer.statuses <= {200, 503}
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


def test_a_full_disk_is_named_and_space_is_all_that_it_takes(
    stack: Make, small_disk: Path, tmp_path: Path
) -> None:
    ours = stack(BOOTSTRAPD_WAIT_TIMEOUT_S="5", BOOTSTRAPD_VALIDATE="missing")
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
    assert all("No space left on device" in line for line in errors), errors
    ballast.unlink()
    ours.up()
    assert ours.ask("/health").status == 200

    # A revision that wants more than there is leaves all as it was.
    large = (
        "CREATE UNLOGGED TABLE notes AS SELECT repeat('x', 1000) FROM generate_series(1, 400000)"
    )
    image = stacks.release(tmp_path / "large", revision(23, f'op.execute("{large}")'))
    before = ours.container("app")["Id"]
    ours.variables |= {"DAEMON_IMAGE": image, "APP_IMAGE": image}
    failed = ours.script("up", expect=1)
    assert "No space left on device" in failed.stderr
    assert "the app that ran goes on" in failed.stderr
    assert ours.sql("SELECT version_num FROM alembic_version") == HEAD
    assert ours.container("app")["Id"] == before
    assert ours.ask("/api/agents", {"task": "goes on"}).status == 200

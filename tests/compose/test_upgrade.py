"""A new release while clients write: what it may cost them, and what a broken one must not."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import stack as stacks
from tests.support.stack import Stack, Writer

pytestmark = [pytest.mark.container, pytest.mark.timeout(600)]

Make = Callable[..., Stack]
VERSIONS = "opt/bootstrapd/lib/python3.13/site-packages/bootstrap/migrations/godel/versions"
HEAD = "0022"


def revision(number: int, upgrade: str) -> dict[str, str]:
    """The file of godel's revision `number`, which is not in this release."""
    text = f'''"""Revision {number:04}."""

from alembic import op

revision = "{number:04}"
down_revision = "{number - 1:04}"


def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    pass
'''
    return {f"{VERSIONS}/{number:04}_next.py": text}


def test_an_upgrade_loses_no_write_and_a_broken_one_changes_nothing(
    stack: Make, tmp_path: Path
) -> None:
    # The models and the snapshot are those of the release before.
    ours = stack(BOOTSTRAPD_VALIDATE="missing")
    next_step = revision(23, 'op.execute("CREATE TABLE notes AS SELECT 1 AS n FROM pg_sleep(1)")')
    good = stacks.release(tmp_path / "good", next_step)
    broken = stacks.release(
        tmp_path / "broken", {**next_step, **revision(24, 'op.execute("SELECT 1 / 0")')}
    )
    ours.up()
    assert ours.sql("SELECT version_num FROM alembic_version") == HEAD
    before = ours.container("app")["Id"]

    ours.variables |= {"DAEMON_IMAGE": good, "APP_IMAGE": good}
    dumps = ours.folder / "backup" / "backup.sh"
    kept = dumps.read_text()
    dumps.write_text("exit 1\n")
    assert ours.script("up", expect=1).stderr.endswith(
        "up: revisions are pending, and the database could not be dumped before; nothing was "
        "changed. BACKUP_BEFORE_UPGRADE=false does without\n"
    )
    dumps.write_text(kept)
    untold = ours.script("up", expect=1, env={"BOOTSTRAPD_VALIDATE": "nonsense"}).stderr
    assert "BOOTSTRAPD_VALIDATE: wanted auto or missing" in untold
    assert untold.endswith(
        "up: whether revisions are pending cannot be told (exit 2); nothing was changed. "
        "BACKUP_BEFORE_UPGRADE=false does without\n"
    )
    assert ours.sql("SELECT version_num FROM alembic_version") == HEAD
    with Writer(ours) as writer:
        told = ours.script("up").stdout
    dump = re.search(r"as it is now is in the backup (godel-\w+\.dump)\n", told)
    assert dump is not None, told
    assert ours.sql("SELECT version_num FROM alembic_version") == "0023"
    # 0 is the moment between the old container and the new one, where nobody listens.
    assert {200} < writer.statuses | {0} <= {0, 200, 503}
    assert len(writer.answers) > 20
    assert writer.lost() == set()
    serving = ours.container("app")
    assert (serving["Id"] == before, serving["Config"]["Image"]) == (False, good)

    ours.variables |= {"DAEMON_IMAGE": broken, "APP_IMAGE": broken}
    with Writer(ours) as writer:
        failed = ours.script("up", expect=1, env={"BACKUP_BEFORE_UPGRADE": "false"})
    assert "division by zero" in failed.stderr
    assert failed.stderr.endswith(
        "up: the database is not ready for this release (exit 4); the app that ran goes on\n"
    )
    assert writer.statuses == {200}
    assert writer.lost() == set()
    assert ours.sql("SELECT version_num FROM alembic_version") == "0023"
    assert ours.container("app")["Id"] == serving["Id"]
    # Back to the release that works: as if there had been no other.
    ours.variables |= {"DAEMON_IMAGE": good, "APP_IMAGE": good}
    ours.up()
    assert ours.ask("/health").status == 200
    # And back to before the upgrade, by the one dump that there is.
    listed = ours.compose("run", "--rm", "--no-deps", "-T", "backup", "list").stdout
    assert listed.split() == [dump[1]]
    ours.variables |= {"DAEMON_IMAGE": stacks.DAEMON, "APP_IMAGE": stacks.DAEMON}
    ours.script("restore", dump[1])
    assert ours.sql("SELECT version_num FROM alembic_version") == HEAD
    assert ours.ask("/health").status == 200

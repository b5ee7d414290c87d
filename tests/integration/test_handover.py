"""The hand over: the app is the same process, and gets no secret that is not its own (A11)."""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.cli import Result, Running

Run = Callable[..., Result]
Start = Callable[..., Running]


def test_the_app_is_the_same_process_and_its_exit_code_counts(start: Start) -> None:
    app = "import os, sys; print('app', os.getpid(), flush=True); sys.exit(7)"
    running = start(["run", "--", sys.executable, "-c", app])
    result = running.wait().expect(7)
    assert result.stdout == f"app {running.pid}\n"


def test_the_app_gets_sigterm_itself(start: Start) -> None:
    app = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('got it', flush=True), sys.exit(5)))\n"
        "print('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    running = start(["run", "--", sys.executable, "-c", app])
    running.wait_for("up\n")
    running.signal(signal.SIGTERM)
    assert running.wait().expect(5).stdout == "up\ngot it\n"


def test_the_app_does_not_start_where_the_bring_up_failed(run: Run, tmp_path: Path) -> None:
    marker = tmp_path / "started"
    (tmp_path / "not.db").write_text("this is a text, and no database at all\n" * 40)
    env = {"DATABASE_URL": f"sqlite:///{tmp_path}/not.db", "BOOTSTRAPD_REFUSED_GRACE_S": "0"}
    run(["run", "--", "touch", str(marker)], env=env).expect(3)
    assert not marker.exists()


def test_secrets_of_bootstrapd_alone_stay_behind(run: Run, database18: str, tmp_path: Path) -> None:
    secret = tmp_path / "direct"
    secret.write_text(database18)
    app = "import json, os; print(json.dumps(dict(os.environ)))"
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_DIRECT_URL_FILE": str(secret), "KEPT": "yes"}
    result = run(["run", "-q", "--", sys.executable, "-c", app], env=env).expect(0)
    seen = json.loads(result.stdout)
    assert "BOOTSTRAPD_DIRECT_URL_FILE" not in seen
    assert (seen["DATABASE_URL"], seen["KEPT"]) == (database18, "yes")


def test_a_command_that_is_not_there_is_found_out_before_anything_is_done(
    run: Run, tmp_path: Path
) -> None:
    result = run(["run", "--", "no-such-command", "--flag"], cwd=tmp_path).expect(2)
    assert (
        "cannot start the app: there is no executable 'no-such-command'; check the words after --"
    ) in result.stderr
    assert not (tmp_path / "godel.db").exists()

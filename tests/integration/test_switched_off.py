"""An app that does without its database starts at once, and its database is left alone."""

import signal
import time
from collections.abc import Callable
from urllib.request import urlopen

import pytest

from tests.support import processes
from tests.support.cli import Command, Result, Running

AWAY = "postgresql://u:p@127.0.0.1:1/x"


@pytest.mark.parametrize(
    ("app", "name"), [("tarsy", "HISTORY_ENABLED"), ("godel", "BOOTSTRAPD_ENABLED")]
)
def test_a_run_hands_over_at_once(app: str, name: str, run: Callable[..., Result]) -> None:
    env = {name: "false", "DATABASE_URL": AWAY, "BOOTSTRAPD_APP": app}
    result = run("run -- echo started", env=env).expect(0)
    assert result.stdout == "started\n"
    assert f"127.0.0.1:1/x is switched off by {name} and left alone\n" in result.stderr
    document = run("wait --revision head --json", env=env).expect(0).json()
    assert document["status"]["phase"] == "ready"


def test_no_file_is_made(command: Command) -> None:
    command.run("run --app tarsy", env={"HISTORY_ENABLED": "off"}).expect(0)
    assert not (command.cwd / "history.db").exists()


def test_serve_says_ready_and_watches_nothing(start: Callable[..., Running]) -> None:
    address = f"127.0.0.1:{processes.free_port()}"
    env = {
        "HISTORY_ENABLED": "false",
        "DATABASE_URL": AWAY,
        "BOOTSTRAPD_HEALTH_ADDRESS": address,
        "BOOTSTRAPD_WATCH_INTERVAL_S": "0.1",
    }
    running = start("serve --app tarsy", env=env)
    running.wait_for("left alone")
    with urlopen(f"http://{address}/readyz") as answer:
        assert answer.status == 200
    # Ten looks at the database, if there were any.
    time.sleep(1)
    with urlopen(f"http://{address}/readyz") as answer:
        assert answer.status == 200
    running.signal(signal.SIGTERM)
    running.wait().expect(0)

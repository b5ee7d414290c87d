"""The status file: whole at every moment, up to date, and no reason to fail."""

import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap import journal, report, settings, statusfile

DEADLINE_S = 30.0


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> settings.Loaded:
    monkeypatch.chdir(tmp_path)
    return settings.load(environ={"BOOTSTRAPD_STATE_DIR": str(tmp_path / "state")})


@pytest.fixture
def path(loaded: settings.Loaded) -> Path:
    return statusfile.path(loaded)


@pytest.fixture
def record(loaded: settings.Loaded) -> journal.Journal:
    record = journal.Journal()
    record.add_sink(statusfile.sink(loaded, record))
    return record


def written(path: Path) -> dict[str, Any]:
    document = statusfile.read(path)
    assert document is not None
    return document


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_it_is_in_a_folder_of_the_app(loaded: settings.Loaded, tmp_path: Path) -> None:
    assert statusfile.path(loaded) == tmp_path / "state" / "godel" / "status.json"


def test_it_holds_the_process_and_the_whole_status(record: journal.Journal, path: Path) -> None:
    record.set(app="godel", target="db:5432/godel", release="1.2.3")
    record.ready("db:5432/godel is ready at 0003")
    document = written(path)
    assert document.pop("pid") == os.getpid()
    assert isinstance(document.pop("pid_started"), int)
    assert document.pop("host") == socket.gethostname()
    assert document == report.document(record.status)
    assert (document["phase"], document["release"]) == ("ready", "1.2.3")


def test_all_may_read_it_and_nothing_is_left_beside_it(record: journal.Journal, path: Path) -> None:
    before = os.umask(0o077)
    try:
        record.event("said", "something")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [each.name for each in path.parent.iterdir()] == ["status.json"]


def test_a_new_phase_or_stage_is_written_at_once_and_the_rest_is_not(
    record: journal.Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statusfile, "INTERVAL_S", 3600.0)
    with record.stage("wait", "waiting"):
        record.set(attempts={"refused": 1})
        record.event("waiting", "not yet")
        record.set(attempts={"refused": 2})
        record.event("waiting", "not yet")
        assert (written(path)["stage"], written(path)["attempts"]) == ("wait", {})
    with record.stage("migrate", "migrating"):
        assert (written(path)["stage"], written(path)["attempts"]) == ("migrate", {"refused": 2})
    record.ready("ready at 0003")
    assert written(path)["phase"] == "ready"
    record.lost("gone", "timeout")
    assert (written(path)["phase"], written(path)["reason"]) == ("lost", "gone")


def test_what_was_held_back_is_written_soon_after(
    record: journal.Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statusfile, "INTERVAL_S", 0.02)
    with record.stage("wait", "waiting"):
        for number in range(1, 51):
            record.set(attempts={"refused": number})
            record.event("waiting", "not yet")
        until(lambda: written(path)["attempts"] == {"refused": 50})


def test_a_reader_never_sees_half_of_it(
    record: journal.Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statusfile, "INTERVAL_S", 0.0)
    record.event("said", "something")
    halves: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            text = path.read_text()
            try:
                json.loads(text)
            except ValueError:
                halves.append(text)

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(300):
        record.set(reason="long " * (number % 7) * 500)
        record.event("said", "something")
    done.set()
    reader.join()
    assert halves == []


def test_a_folder_that_cannot_be_written_to_costs_one_warning(
    record: journal.Journal, path: Path, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    heard: list[str] = []
    record.add_sink(lambda event, _: heard.append(f"{event.level} {event.message}"))
    for stage in ("wait", "pin", "migrate"):
        with record.stage(stage, stage):
            pass
    record.ready("ready at 0003")
    assert [line for line in heard if not line.startswith("debug")] == [
        f"warning cannot write the status file {path}: Not a directory; going on without it",
        "info ready at 0003",
    ]
    (tmp_path / "state").unlink()
    record.lost("gone", "timeout")
    assert written(path)["phase"] == "lost"


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_what_is_no_whole_document_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "status.json"
    assert statusfile.read(path) is None
    path.write_bytes(text.encode("latin-1"))
    assert statusfile.read(path) is None


def test_it_holds_while_its_process_runs(record: journal.Journal, path: Path) -> None:
    record.ready("ready at 0003")
    assert statusfile.gone(written(path)) is None


def test_it_holds_no_longer_on_another_host(record: journal.Journal, path: Path) -> None:
    record.ready("ready at 0003")
    document = {**written(path), "host": "elsewhere"}
    assert statusfile.gone(document) == "it was written on another host, elsewhere"


def test_it_holds_no_longer_when_the_pid_is_of_a_younger_process(
    record: journal.Journal, path: Path
) -> None:
    record.ready("ready at 0003")
    document = written(path)
    document["pid_started"] -= 1
    assert statusfile.gone(document) == f"process {os.getpid()}, which wrote it, is gone"


def test_it_holds_for_the_app_that_the_process_became_until_that_ends(
    loaded: settings.Loaded, path: Path
) -> None:
    script = """
import os, sys
from bootstrap import journal, settings, statusfile
loaded = settings.load(environ={"BOOTSTRAPD_STATE_DIR": sys.argv[1]})
record = journal.Journal()
record.add_sink(statusfile.sink(loaded, record))
record.ready("ready at 0003")
os.execvp("sh", ["sh", "-c", "echo app; read line"])
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(loaded.state_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": os.environ["PATH"]},
    ) as app:
        assert app.stdout is not None
        assert app.stdout.readline() == b"app\n"
        assert statusfile.gone(written(path)) is None
        app.kill()
        # Nobody has taken its exit code yet: a zombie is gone as well.
        until(lambda: statusfile.gone(written(path)) is not None)
        assert app.returncode is None
    assert statusfile.gone(written(path)) == f"process {app.pid}, which wrote it, is gone"

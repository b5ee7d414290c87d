"""How the journal reads: whole log lines in both forms, and the whole status document."""

import io
import json
import time
from collections.abc import Callable

import pytest

from bootstrap import errors, journal, redact, report

MORNING = 1_800_000_000.125  # 2027-01-15T08:00:00.125Z


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def logged(out: io.StringIO) -> Callable[..., journal.Journal]:
    def make(form: str, threshold: journal.Level = "info") -> journal.Journal:
        return journal.Journal(report.log(form, threshold, out), clock=lambda: MORNING)

    return make


def test_a_text_line_has_time_level_stage_and_message(
    logged: Callable[..., journal.Journal], out: io.StringIO
) -> None:
    record = logged("text")
    record.set(stage="wait")
    record.event("waiting", "db:5432/app is not there yet", level="warning", attempt=4)
    record.failed(errors.WaitTimeoutError("waited 60 s for db:5432/app"))
    assert out.getvalue() == (
        "2027-01-15T08:00:00.125+00:00 warning wait: db:5432/app is not there yet\n"
        "2027-01-15T08:00:00.125+00:00 error   wait: waited 60 s for db:5432/app"
        " (runbook: timeout)\n"
    )


def test_at_a_terminal_the_time_of_day_is_enough() -> None:
    terminal = Terminal()
    record = journal.Journal(report.log("text", "info", terminal), clock=lambda: MORNING)
    record.event("planned", "nothing is pending")
    assert _seen(terminal) == "08:00:00 info    settings: nothing is pending\n"


def test_a_line_takes_the_place_of_the_bar_that_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    terminal = Terminal()
    record = journal.Journal(
        report.log("text", "info", terminal), report.bar(terminal), clock=lambda: MORNING
    )
    record.set(stage="migrate", progress=journal.Progress("revisions", 1, 3, started_s=998.0))
    record.event("revision_done", "0001 applied")
    bar = "[##########....................] 1 of 3 revisions, about 4 s left"
    assert _seen(terminal) == f"08:00:00 info    migrate: 0001 applied\n{bar}"
    record.set(progress=None)
    record.event("ready", "done")
    assert _seen(terminal) == (
        "08:00:00 info    migrate: 0001 applied\n08:00:00 info    migrate: done\n"
    )


def _seen(terminal: Terminal) -> str:
    """What a terminal shows: a carriage return and the code after it empty the line."""
    lines = terminal.getvalue().split("\n")
    return "\n".join(line.rpartition("\r\x1b[K")[2] for line in lines)


def test_a_json_line_has_the_event_and_its_facts(
    logged: Callable[..., journal.Journal], out: io.StringIO
) -> None:
    record = logged("json")
    record.set(stage="migrate")
    record.event("revision_done", "revision 0002 applied", revision="0002", seconds=0.5)
    record.event("größer", "Käse, \n zwei Zeilen")
    assert out.getvalue() == (
        '{"time": "2027-01-15T08:00:00.125+00:00", "level": "info", "event": "revision_done",'
        ' "stage": "migrate", "message": "revision 0002 applied", "revision": "0002",'
        ' "seconds": 0.5}\n'
        '{"time": "2027-01-15T08:00:00.125+00:00", "level": "info", "event": "größer",'
        ' "stage": "migrate", "message": "Käse, \\n zwei Zeilen"}\n'
    )


def test_no_fact_takes_the_place_of_time_event_or_stage(
    logged: Callable[..., journal.Journal], out: io.StringIO
) -> None:
    logged("json").event("done", "all", time="late", event="other", stage="none", message="no")
    assert out.getvalue() == (
        '{"time": "2027-01-15T08:00:00.125+00:00", "level": "info", "event": "done",'
        ' "stage": "settings", "message": "all"}\n'
    )


@pytest.mark.parametrize(
    ("threshold", "shown"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_what_is_below_the_threshold_is_not_said(
    logged: Callable[..., journal.Journal],
    out: io.StringIO,
    threshold: journal.Level,
    shown: list[str],
) -> None:
    record = logged("json", threshold)
    levels: tuple[journal.Level, ...] = ("debug", "info", "warning", "error")
    for level in levels:
        record.event("said", "something", level=level)
    assert [json.loads(line)["level"] for line in out.getvalue().splitlines()] == shown


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_line_holds_a_secret(
    logged: Callable[..., journal.Journal], out: io.StringIO, form: str
) -> None:
    redact.remember('qu"ote\\d-one')
    logged(form).event(
        "refused",
        'postgresql://app:s3cr3t@db/app refuses qu"ote\\d-one',
        dsn="host=db password='a b' user=app",
        nested=[{"password": "plain", "why": ('qu"ote\\d-one', 3)}],
    )
    written = out.getvalue()
    for secret in ("s3cr3t", "a b", "plain", "quote", 'qu"ote', 'qu\\"ote'):
        assert secret not in written
    assert "postgresql://app:***@db/app refuses ***" in written
    if form == "json":
        line = json.loads(written)
        assert line["dsn"] == "host=db password=*** user=app"
        assert line["nested"] == [{"password": "***", "why": ["***", 3]}]


def test_what_json_does_not_know_is_shown_as_text() -> None:
    assert report.dumps({"set": frozenset({1}), "path": errors.SettingsError("no")}) == (
        '{"set": [1], "path": "no (runbook: settings)"}'
    )


def test_the_document_of_a_new_journal() -> None:
    record = journal.Journal(clock=lambda: MORNING)
    assert report.document(record.status) == {
        "app": "",
        "target": "",
        "identity": None,
        "release": "",
        "phase": "starting",
        "ready": False,
        "stage": "settings",
        "reason": "starting",
        "runbook": None,
        "exit_code": None,
        "fallback": False,
        "revisions": [],
        "heads": [],
        "pending": None,
        "ahead": False,
        "attempts": {},
        "wait_s": 0.0,
        "lock_s": 0.0,
        "durations_s": {},
        "findings": [],
        "seeded": {},
        "progress": None,
        "started_at": "2027-01-15T08:00:00.125+00:00",
        "changed_at": "2027-01-15T08:00:00.125+00:00",
        "checked_at": None,
        "last_success_at": None,
    }


def test_the_document_of_a_long_migration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 110.0)
    record = journal.Journal(clock=lambda: MORNING)
    record.set(
        stage="migrate",
        wait_s=1.23456,
        revisions=("0001",),
        heads=("0004",),
        pending=3,
        progress=journal.Progress("revisions", 1, 4, started_s=100.0),
        findings=({"object": "table app.user", "fix": None},),
        seeded={"role": {"inserted": 2, "present": 1}},
    )
    document = report.document(record.status)
    assert document["progress"] == {"what": "revisions", "done": 1, "total": 4, "eta_s": 30.0}
    assert (document["wait_s"], document["revisions"], document["heads"], document["pending"]) == (
        1.2346,
        ["0001"],
        ["0004"],
        3,
    )
    assert document["findings"] == [{"object": "table app.user", "fix": None}]
    assert document["seeded"] == {"role": {"inserted": 2, "present": 1}}
    assert json.loads(report.dumps(document)) == document

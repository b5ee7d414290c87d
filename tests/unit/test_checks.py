"""What the status says, check by check."""

import time
from typing import Any

import pytest

from bootstrap import checks, errors, journal
from bootstrap.journal import Progress, Status

READY = Status(
    app="godel",
    target="db:5432/godel",
    phase="ready",
    stage="ready",
    reason="db:5432/godel is ready at 0003",
    durations_s={"wait": 1.234, "migrate": 0.5},
    revisions=("0003",),
    heads=("0003",),
    pending=0,
    identity="5f2c",
    checked_at=1_800_000_000.0,
    last_success_at=1_800_000_000.0,
)


def lines(found: tuple[checks.Check, ...]) -> list[str]:
    return [str(check) for check in found]


def changed(**changes: Any) -> Status:
    return READY._replace(**changes)


def test_every_runbook_speaks_against_a_stage() -> None:
    assert set(checks.STAGE_OF) == {error.slug for error in errors.ALL}
    assert set(checks.STAGE_OF.values()) <= set(journal.STAGES)


def test_before_ready_the_stage_under_way_and_those_after_it_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 110.0)
    status = Status(
        stage="migrate",
        reason="schema is at 0001, this release wants 0004: 3 pending",
        durations_s={"wait": 2.0},
        progress=Progress("revisions", 1, 3, started_s=100.0),
    )
    assert lines(checks.readiness(status)) == [
        "[+]settings ok",
        "[+]wait ok (2.00 s)",
        "[+]pin ok",
        "[+]lock ok",
        "[-]migrate not done: 1 of 3 revisions done, about 20 s left",
        "[-]validate not reached",
        "[-]seed not reached",
        "[+]shutdown ok",
    ]
    assert checks.summary(status) == "migrate: 1 of 3 revisions done, about 20 s left"
    assert (checks.state(status), checks.ready(status), checks.started(status)) == (
        "fail",
        False,
        False,
    )


def test_a_stage_without_progress_says_what_it_does() -> None:
    status = Status(stage="wait", reason="waiting for\n  db:5432/app")
    assert lines(checks.readiness(status))[:3] == [
        "[+]settings ok",
        "[-]wait not done: waiting for db:5432/app",
        "[-]pin not reached",
    ]


def test_a_failure_is_told_at_the_stage_that_its_runbook_speaks_against() -> None:
    status = Status(phase="failed", stage="pin", slug="ahead", reason="the database is ahead")
    assert lines(checks.readiness(status)) == [
        "[+]settings ok",
        "[+]wait ok",
        "[+]pin ok",
        "[+]lock ok",
        "[-]migrate failed: the database is ahead",
        "[-]validate not reached",
        "[-]seed not reached",
        "[+]shutdown ok",
    ]


def test_when_ready_all_pass_those_that_had_nothing_to_do_too() -> None:
    assert lines(checks.readiness(READY)) == [
        "[+]settings ok",
        "[+]wait ok (1.23 s)",
        "[+]pin ok",
        "[+]lock ok",
        "[+]migrate ok (0.50 s)",
        "[+]validate ok",
        "[+]seed ok",
        "[+]shutdown ok",
    ]
    assert checks.state(READY) == "pass"


@pytest.mark.parametrize(
    ("slug", "failing"),
    [("timeout", "wait"), ("refused", "wait"), ("identity", "pin"), ("migrate", "migrate")],
)
def test_when_lost_one_check_fails_and_the_start_up_stays_done(slug: str, failing: str) -> None:
    status = changed(phase="lost", slug=slug, reason="something is wrong")
    failed = [line for line in lines(checks.readiness(status)) if line.startswith("[-]")]
    assert failed == [f"[-]{failing} failed: something is wrong"]
    assert checks.started(status)
    assert not any(line.startswith("[-]") for line in lines(checks.startup(status)))
    assert checks.summary(status) == "lost: something is wrong"


def test_when_stopping_the_shutdown_fails() -> None:
    status = changed(phase="stopping", reason="asked to end by SIGTERM")
    assert lines(checks.readiness(status))[-2:] == [
        "[+]seed ok",
        "[-]shutdown failed: asked to end by SIGTERM",
    ]
    assert checks.state(status) == "fail"


def test_fallback_and_findings_are_warnings() -> None:
    status = changed(fallback=True, findings=({"object": "index a"}, {"object": "index b"}))
    assert checks.state(status) == "warn"
    assert checks.notes(status) == [
        "PostgreSQL did not answer, SQLite is used in its place",
        "2 findings that stop no start",
    ]
    told = lines(checks.readiness(status))
    assert told[1] == "[+]wait ok (PostgreSQL did not answer, SQLite is used in its place)"
    assert told[5] == "[+]validate ok (2 findings that stop no start)"


def test_components_when_ready() -> None:
    database = {
        "componentId": "db:5432/godel",
        "componentType": "datastore",
        "time": "2027-01-15T08:00:00.000+00:00",
    }
    found = checks.components(changed(changed_at=1_800_000_000.0))
    assert found == {
        "bootstrap:stage": [
            {
                "status": "pass",
                "componentId": "godel",
                "componentType": "component",
                "time": "2027-01-15T08:00:00.000+00:00",
                "observedValue": "ready",
                "phase": "ready",
                "output": "db:5432/godel is ready at 0003",
                "runbook": None,
                "progress": None,
            }
        ],
        "database:reachable": [{"status": "pass", **database, "observedValue": True}],
        "database:identity": [{"status": "pass", **database, "observedValue": "5f2c"}],
        "database:fallback": [{"status": "pass", **database, "observedValue": False}],
        "schema:revision": [
            {"status": "pass", **database, "observedValue": "0003", "head": "0003"}
        ],
        "schema:pending": [
            {"status": "pass", **database, "observedValue": 0, "observedUnit": "revisions"}
        ],
        "schema:findings": [
            {"status": "pass", **database, "observedValue": 0, "observedUnit": "findings"}
        ],
    }


@pytest.mark.parametrize(
    ("changes", "states"),
    [
        (
            {"phase": "lost", "slug": "timeout", "reason": "gone"},
            {"bootstrap:stage": "fail", "database:reachable": "fail"},
        ),
        (
            {"phase": "lost", "slug": "identity", "reason": "another"},
            {"bootstrap:stage": "fail", "database:identity": "fail"},
        ),
        (
            {"phase": "lost", "slug": "migrate", "reason": "behind", "pending": 2},
            {"bootstrap:stage": "fail", "schema:revision": "fail", "schema:pending": "fail"},
        ),
        (
            {"phase": "failed", "slug": "drift", "reason": "drift", "findings": ({},)},
            {"bootstrap:stage": "fail", "schema:findings": "fail"},
        ),
        (
            {"fallback": True, "findings": ({},)},
            {"database:fallback": "warn", "schema:findings": "warn"},
        ),
    ],
)
def test_components_say_what_is_wrong(changes: dict[str, object], states: dict[str, str]) -> None:
    status = changed(**changes)
    found = {name: component for name, (component,) in checks.components(status).items()}
    other = {name: part["status"] for name, part in found.items() if part["status"] != "pass"}
    assert other == states
    for name, state in states.items():
        if state == "fail":
            assert found[name]["output"] == changes["reason"]

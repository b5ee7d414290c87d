"""What the status says, check by check: as lines for people and as health+json components."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from bootstrap import journal, report

State = Literal["pass", "warn", "fail"]

# The stage that an error of each runbook slug speaks against.
STAGE_OF: Mapping[str, str] = {
    "settings": "settings",
    "refused": "wait",
    "timeout": "wait",
    "identity": "pin",
    "lock": "lock",
    "migrate": "migrate",
    "ahead": "migrate",
    "drift": "validate",
    "seed": "seed",
}


class Check(NamedTuple):
    """One check: its name, its state, and what is to be said of it."""

    name: str
    state: State
    detail: str = ""

    def __str__(self) -> str:
        if self.state == "fail":
            return f"[-]{self.name} {self.detail}"
        return f"[+]{self.name} ok" + (f" ({self.detail})" if self.detail else "")


def ready(status: journal.Status) -> bool:
    """Whether the app may run on this database."""
    return status.phase == "ready"


def started(status: journal.Status) -> bool:
    """Whether the bring-up has ended in ready once, whatever became of the database since."""
    return status.last_success_at is not None


def state(status: journal.Status) -> State:
    """All in one word."""
    if not ready(status):
        return "fail"
    return "warn" if notes(status) else "pass"


def notes(status: journal.Status) -> list[str]:
    """What somebody should look at although it stops nothing."""
    found = (_fallback_note(status), _ahead_note(status), _findings_note(status))
    return [note for note in found if note]


def _fallback_note(status: journal.Status) -> str:
    return "PostgreSQL did not answer, SQLite is used in its place" if status.fallback else ""


def _ahead_note(status: journal.Status) -> str:
    return "the database is ahead of this release, which can run on it" if status.ahead else ""


def _findings_note(status: journal.Status) -> str:
    count = len(status.findings)
    return f"{count} finding{'s' * (count != 1)} that stop no start" if count else ""


def summary(status: journal.Status) -> str:
    """How it is, on one line."""
    if status.phase == "starting":
        return f"{status.stage}: {_doing(status)}"
    return f"{status.phase}: {on_one_line(status.reason)}"


def readiness(status: journal.Status) -> tuple[Check, ...]:
    """A check for each stage on the way to ready, and one that the process is not to end."""
    culprit = _culprit(status)
    shutdown = Check("shutdown", "pass")
    if status.phase == "stopping":
        shutdown = Check("shutdown", "fail", f"failed: {on_one_line(status.reason)}")
    return (*(_stage(name, culprit, status) for name in journal.STAGES[:-1]), shutdown)


def startup(status: journal.Status) -> tuple[Check, ...]:
    """The same for the first bring-up: once it has ended well, nothing fails any more."""
    return readiness(status._replace(phase="ready", stage="ready") if started(status) else status)


def _culprit(status: journal.Status) -> str:
    """The stage that is under way, or that failed."""
    if status.phase in ("failed", "lost"):
        return STAGE_OF.get(status.slug or "", status.stage)
    return status.stage


def _stage(name: str, culprit: str, status: journal.Status) -> Check:
    number, now = journal.STAGES.index(name), journal.STAGES.index(culprit)
    if name == culprit and status.phase in ("failed", "lost"):
        return Check(name, "fail", f"failed: {on_one_line(status.reason)}")
    if name == culprit:
        return Check(name, "fail", f"not done: {_doing(status)}")
    # What was lost had gone the whole way before.
    if number > now and status.phase != "lost":
        return Check(name, "fail", "not reached")
    noting = {"wait": _fallback_note, "migrate": _ahead_note, "validate": _findings_note}
    note = noting.get(name, lambda _: "")(status)
    if note:
        return Check(name, "warn", note)
    took_s = status.durations_s.get(name)
    return Check(name, "pass", "" if took_s is None else f"{took_s:.2f} s")


def _doing(status: journal.Status) -> str:
    if status.progress is None:
        return on_one_line(status.reason)
    done = f"{status.progress} done"
    eta_s = status.progress.eta_s(time.monotonic())
    return done if eta_s is None else f"{done}, about {eta_s:.0f} s left"


def on_one_line(text: str) -> str:
    """A message of several lines, as that of the settings, as one."""
    return " ".join(text.split())


def components(status: journal.Status) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The `checks` of health+json: name to a list of one component each."""
    return {name: [component] for name, component in _components(status)}


def _components(status: journal.Status) -> Iterator[tuple[str, dict[str, Any]]]:
    document = report.document(status)
    failing = {check.name for check in readiness(status) if check.state == "fail"}
    database = {
        "componentId": status.target,
        "componentType": "datastore",
        "time": document["checked_at"] or document["changed_at"],
    }

    def component(good: bool, *, warn: bool = False, **facts: Any) -> dict[str, Any]:
        found = "fail" if not good else "warn" if warn else "pass"
        return {"status": found, **database, **facts} | ({} if good else {"output": status.reason})

    yield (
        "bootstrap:stage",
        {
            "status": "pass" if ready(status) else "fail",
            "componentId": status.app,
            "componentType": "component",
            "time": document["changed_at"],
            "observedValue": status.stage,
            "phase": status.phase,
            "output": status.reason,
            "runbook": status.slug,
            "progress": document["progress"],
        },
    )
    yield (
        "database:reachable",
        component("wait" not in failing, observedValue="wait" not in failing),
    )
    yield (
        "database:identity",
        component("pin" not in failing, observedValue=status.identity),
    )
    yield (
        "database:fallback",
        component(good=True, warn=status.fallback, observedValue=status.fallback),
    )
    yield (
        "schema:revision",
        component(
            "migrate" not in failing,
            warn=status.ahead,
            observedValue=", ".join(status.revisions) or None,
            head=", ".join(status.heads) or None,
        ),
    )
    yield (
        "schema:pending",
        component(
            not status.pending and "migrate" not in failing,
            observedValue=status.pending,
            observedUnit="revisions",
        ),
    )
    yield (
        "schema:findings",
        component(
            "validate" not in failing,
            warn=bool(status.findings),
            observedValue=len(status.findings),
            observedUnit="findings",
        ),
    )

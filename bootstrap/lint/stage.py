"""Lint: each revision rendered by itself, looked at, and its consents taken into account."""

import itertools
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bootstrap import child, journal, plan, revisions, settings
from bootstrap.errors import MigrationError
from bootstrap.journal import Progress
from bootstrap.lint import checks, finding, postgres, rules, sqlite, squawk
from bootstrap.lint.finding import Allowed, Finding, Revision
from bootstrap.lint.proven import Proven

HOW = "mend the revision, or consent to it in its file: # bootstrapd: allow RULE, because REASON"


@dataclass(frozen=True)
class Wanted:
    """Which revisions to lint: those above `current`, up to `destination`.

    `pending` are the revisions to be reported on, `fresh` tells that no database is looked at,
    `server` is its version, empty where none was asked.
    """

    known: revisions.Graph
    current: tuple[str, ...]
    destination: str
    pending: tuple[revisions.Revision, ...]
    fresh: bool
    server: str = ""


@dataclass(frozen=True)
class Report:
    """What lint found in which revisions, read as which database's."""

    dialect: str
    server: str
    squawk_config: str | None
    revisions: tuple[str, ...]
    findings: tuple[Finding, ...]
    allowed: tuple[Allowed, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that must not stay."""
        return tuple(each for each in self.findings if each.severity == "error")

    def document(self) -> dict[str, Any]:
        """The report as JSON shows it."""
        return {
            "dialect": self.dialect,
            "server": self.server,
            "squawk": self.dialect == "postgresql",
            "squawk_config": self.squawk_config,
            "revisions": list(self.revisions),
            "findings": [asdict(each) for each in self.findings],
            "allowed": [{**asdict(each.finding), "reason": each.reason} for each in self.allowed],
        }


def check(
    loaded: settings.Loaded, record: journal.Journal, stop: threading.Event, wanted: Wanted
) -> Report:
    """Lint revisions; writes nothing.

    Raises SettingsError where squawk is needed and not there.
    """
    on_postgres = loaded.target.is_postgres
    command = squawk.find() if on_postgres else ""
    config = squawk.config(loaded.app.project) if on_postgres else squawk.Config()
    seen, failure = _seen(loaded, record, stop, wanted) if wanted.pending else ([], None)
    findings: list[Finding] = []
    if failure is not None:
        findings.append(_project("not-checked", f"env.py cannot render revisions: {failure}"))
    forks = wanted.known.forks()
    if forks:
        how = f"join them: alembic merge -m join {' '.join(forks)}"
        found = f"{plan.listed(forks)} fork from one revision, so nothing is migrated"
        findings.append(_project("several-heads", found, how))
    complaints = (
        squawk.ask(command, seen, config, _version(wanted.server)) if on_postgres and seen else {}
    )
    allowed: list[Allowed] = []
    proven = Proven()
    for each in seen:
        ours = list(checks.revision(each, postgres=on_postgres))
        if on_postgres:
            ours += postgres.findings(each, complaints[each.id], proven)
        else:
            ours += sqlite.findings(each)
        ours.sort(key=lambda found: found.sql_line or 0)
        kept, passed = _judged(each, ours, postgres=on_postgres)
        findings += kept
        allowed += passed
    return Report(
        loaded.target.dialect,
        _version(wanted.server) or config.pg_version,
        str(config.path) if config.path else None,
        tuple(each.id for each in seen),
        tuple(findings),
        tuple(allowed),
    )


def demand(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    known: revisions.Graph,
    wanted: plan.Plan,
    server: str,
) -> None:
    """Lint what is about to run, as BOOTSTRAPD_LINT says.

    Raises MigrationError where findings are not to be tolerated, before anything has run.
    """
    destination = wanted.heads[0] if len(wanted.heads) == 1 else "heads"
    report = check(
        loaded,
        record,
        stop,
        Wanted(known, wanted.current, destination, wanted.pending, fresh=False, server=server),
    )
    demanded = loaded.settings.lint == "demand"
    for each in report.findings:
        if not (demanded and each.severity == "error"):
            record.event("lint", f"{summary(each)}: {each.effect}", level="warning", **asdict(each))
    if demanded:
        judge(report, "; nothing was run:", listed=True)


def judge(report: Report, outcome: str = "", *, listed: bool = False) -> None:
    """Raise MigrationError for errors; `listed` tells them one by one."""
    errors = report.errors
    if not errors:
        return
    revisions = count({each.revision for each in errors}, "revision")
    lines = "".join(f"\n  {summary(each)}: {each.effect}" for each in errors) if listed else ""
    raise MigrationError(
        f"lint found {count(errors, 'error')} in {revisions}{outcome}{lines}"
        + (f"\n{HOW}" if listed else ""),
        **report.document(),
    )


def summary(each: Finding) -> str:
    """A finding in a few words: where it is, and its rule."""
    if not each.revision:
        return each.rule
    shown = f" ({each.statement})" if each.statement else ""
    return f"revision {each.revision}: {each.rule}{shown}"


def count(found: Collection[object], noun: str) -> str:
    """How many there are of what."""
    return f"{len(found)} {noun}{'s' * (len(found) != 1)}"


def _seen(
    loaded: settings.Loaded, record: journal.Journal, stop: threading.Event, wanted: Wanted
) -> tuple[list[Revision], str | None]:
    total, began_s = len(wanted.pending), time.monotonic()
    done = itertools.count()

    def tell(event: Mapping[str, Any] | None) -> None:
        if event is not None and event["event"] == "inspecting":
            record.set(progress=Progress("revisions", min(next(done), total), total, began_s))

    with child.Worker(loaded, record, run="lint", stop=stop, reads=True) as worker:
        try:
            answer = worker.call(
                "inspect",
                tell,
                current=list(wanted.current),
                revision=wanted.destination,
                fresh=wanted.fresh,
            )
        except child.WorkerError as error:
            raise MigrationError(
                f"the revisions of app {loaded.app.name} cannot be linted: "
                f"{error.failure['message']}"
            ) from error
    ids = {each.id for each in wanted.pending}
    on_postgres = loaded.target.is_postgres
    seen = [
        finding.revision(each, splits=on_postgres)
        for each in answer["revisions"]
        if each["id"] in ids
    ]
    return seen, answer["failure"]


def _judged(
    seen: Revision, found: Sequence[Finding], *, postgres: bool
) -> tuple[list[Finding], list[Allowed]]:
    """What is left of a revision's findings after its consents, which must have a use."""
    kept: list[Finding] = []
    allowed: list[Allowed] = []
    reasons = {
        rule: consent.reason
        for consent in seen.consents
        if consent.reason
        for rule in consent.rules
    }
    for each in found:
        if each.rule in reasons:
            allowed.append(Allowed(each, reasons[each.rule]))
        else:
            kept.append(each)
    return [*kept, *_consents(seen, {each.rule for each in found}, postgres=postgres)], allowed


def _consents(seen: Revision, found: set[str], *, postgres: bool) -> Iterator[Finding]:
    """What is wrong with the consents themselves."""
    for consent in seen.consents:
        effects = []
        if not consent.rules:
            effects.append("it cannot be read, so nothing is allowed by it")
        elif not consent.reason:
            effects.append("it gives no reason, so nothing is allowed by it")
        for rule in consent.rules:
            known = rules.BY_NAME.get(rule)
            if rule in found:
                continue
            if known is None and rule not in rules.OFF:
                effects.append(f"nothing is found by {rule}, which is no rule of bootstrapd")
            elif postgres or (known is not None and known.everywhere):
                effects.append(f"nothing in this revision is found by {rule}")
        for effect in effects:
            yield seen.find(
                "consent", line=consent.line, shown=f"# bootstrapd: {consent.text}", effect=effect
            )


def _project(rule: str, effect: str, instead: str = "") -> Finding:
    known = rules.BY_NAME[rule]
    return Finding("", "", None, None, "", rule, known.severity, effect, instead or known.instead)


def _version(server: str) -> str:
    """The leading numbers of what a server calls its version; empty for those in development."""
    words = server.split()
    return words[0] if words and words[0].replace(".", "").isdigit() else ""

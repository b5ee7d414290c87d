"""One call of a verb: what was said on the command line, what came of it, and how that is told."""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from bootstrap import journal, report, settings
from bootstrap.errors import BootstrapdError, Terminated

# The settings that have a flag: of every verb, of those that write, of those that migrate.
COMMON = (
    "DATABASE_URL",
    "REDIS_URL",
    "BOOTSTRAPD_APP",
    "BOOTSTRAPD_CONFIG",
    "BOOTSTRAPD_PYTHON",
    "BOOTSTRAPD_STATE_DIR",
    "BOOTSTRAPD_WAIT_TIMEOUT_S",
    "BOOTSTRAPD_LOG_FORMAT",
)
WRITING = ("BOOTSTRAPD_DIRECT_URL", "BOOTSTRAPD_ACCEPT_IDENTITY", "BOOTSTRAPD_ACCEPT_DRIFT")
MIGRATING = (*WRITING, "BOOTSTRAPD_BACKUP_DIR")
BRINGING_UP = (*MIGRATING, "BOOTSTRAPD_REQUIRE_PRIMARY", "BOOTSTRAPD_HEALTH_ADDRESS")

T = TypeVar("T")
Document = Mapping[str, Any]


class Call:
    """One call of a verb, with its record. `flags` are settings by their names."""

    def __init__(
        self, verb: str, flags: Mapping[str, str], *, as_json: bool, level: journal.Level
    ) -> None:
        self.verb = verb
        self.flags = flags
        self.as_json = as_json
        self.level = level
        self.record = journal.Journal()
        self.loaded: settings.Loaded | None = None

    def load(self) -> settings.Loaded:
        """Read the settings and begin the record with them."""
        loaded = settings.load(self.flags)
        self.begin(loaded)
        return loaded

    def begin(self, loaded: settings.Loaded) -> None:
        """Begin the record with these settings."""
        self.loaded = loaded
        self.record.add_sink(report.log(loaded.settings.log_format, self.level))
        if sys.stderr.isatty() and loaded.settings.log_format == "text" and self.level == "info":
            self.record.add_sink(report.bar(sys.stderr))
        self.record.set(app=loaded.app.name, target=loaded.target.identity, release=loaded.release)

    @property
    def settings(self) -> settings.Loaded:
        """The settings, once they are loaded."""
        assert self.loaded is not None
        return self.loaded


def perform(call: Call, work: Callable[[], Document | None]) -> None:
    """Do the work of a verb, and report and exit as all verbs do."""
    try:
        finish(call, work())
    except BootstrapdError as error:
        fail(call, error)
    except Terminated as signal:
        sys.stderr.write(f"bootstrapd {call.verb}: ended by signal {signal.signum}\n")
        sys.exit(128 + signal.signum)


def finish(call: Call, result: Document | None) -> None:
    """Print the JSON document of a success."""
    if call.as_json and result is not None:
        document = {"ok": True, "verb": call.verb, "exit_code": 0, "changed": False, **result}
        sys.stdout.write(report.dumps(document) + "\n")


def fail(call: Call, error: BootstrapdError) -> NoReturn:
    """Report an error once, and exit with its code."""
    if call.record.status.phase != "failed":
        call.record.failed(error)
    if call.loaded is None:
        # The settings could not be read, so neither could the form of the log.
        sink = report.log(call.flags.get("BOOTSTRAPD_LOG_FORMAT", "text"), call.level)
        problem = journal.Journal(sink)
        problem.failed(error)
    if call.as_json:
        document = {
            "ok": False,
            "verb": call.verb,
            "exit_code": error.exit_code,
            "changed": bool(error.facts.get("changed", False)),
            "error": {"message": error.message, "runbook": error.slug, **error.facts},
            "status": report.document(call.record.status),
        }
        sys.stdout.write(report.dumps(document) + "\n")
    if call.level == "debug":
        import traceback

        sys.stderr.write("".join(traceback.format_exception(error)))
    sys.exit(error.exit_code)


def interruptible(call: Call, work: Callable[[threading.Event], T]) -> T:
    """Run the work of a verb so that SIGTERM ends it cleanly."""
    from bootstrap import signals

    # More than a worker gets, so that there is time to write down how it ended.
    grace_s = call.settings.settings.grace_s + 2
    return signals.interruptible(
        work,
        grace_s=grace_s,
        on_signal=lambda signum: call.record.stopping(f"asked to end by signal {signum}"),
    )


def work(call: Call, name: str, *arguments: Any, **options: Any) -> Document:
    """Load the settings and do the work of a verb, which is the function `name` in `verbs`."""
    from bootstrap import verbs

    loaded = call.load()
    done: Callable[..., Document] = getattr(verbs, name)
    return interruptible(call, lambda stop: done(loaded, call.record, stop, *arguments, **options))


def run(call: Call, command: Sequence[str]) -> None:
    """Go the whole way; then become `command`, or return."""
    from bootstrap import handover, reporting

    loaded = call.load()
    if command:
        handover.check(command)
    listen = "BOOTSTRAPD_HEALTH_ADDRESS" in loaded.given
    with reporting.reports(loaded, call.record, listen=listen):
        outcome = interruptible(call, lambda stop: _bring_up(call, stop))
    finish(call, outcome)
    if command:
        call.record.event("handed_over", f"handing over to {command[0]}")
        handover.become(command, settings.handed_over(call.settings))


def _bring_up(call: Call, stop: threading.Event) -> Document:
    from bootstrap import pipeline

    outcome = pipeline.bring_up(call.settings, call.record, stop)
    call.loaded = outcome.loaded
    return {"changed": outcome.changed, "status": report.document(call.record.status)}

"""`serve`: the whole way, then stay: keep watching the database and say how it is."""

import threading
import time

from bootstrap import database, journal, pipeline, settings, watch
from bootstrap.errors import BootstrapdError, SettingsError, Terminated

# A failure that nobody has visibly mended is tried again this often; a failed migration never is.
AGAIN_S = 60.0


def serve(loaded: settings.Loaded, record: journal.Journal, stop: threading.Event) -> None:
    """Bring the database up and watch it until `stop`.

    A failure that can be mended from outside (all but wrong settings) leaves this process up and
    not ready; it goes the whole way again once the database looks different.
    """
    outcome = None
    failed_at_s, seen = 0.0, None
    error: BootstrapdError | None = None
    while not stop.is_set():
        try:
            outcome = pipeline.bring_up(loaded, record, stop)
            break
        except SettingsError:
            raise
        except Terminated:
            return
        except BootstrapdError as failure:
            error = failure
            record.failed(failure)
        failed_at_s, seen = time.monotonic(), _sight(loaded, record, stop)
        while not stop.wait(loaded.settings.watch_interval_s):
            if error.passing or _mended(loaded, record, stop, seen):
                break
            if error.slug != "migrate" and time.monotonic() - failed_at_s > AGAIN_S:
                break
        record.set(phase="starting", reason="trying again", slug=None, exit_code=None)
    if not loaded.settings.enabled:
        stop.wait()
    elif outcome is not None:
        _watch(outcome, record, stop)


def _watch(outcome: pipeline.Outcome, record: journal.Journal, stop: threading.Event) -> None:
    looking = watch.Watch(outcome.loaded, record, stop)
    try:
        while not stop.wait(outcome.loaded.settings.watch_interval_s):
            verdict = looking.look(outcome.identity)
            changes = {}
            if verdict.plan is not None:
                changes = {
                    "revisions": verdict.plan.current,
                    "heads": verdict.plan.heads,
                    "pending": len(verdict.plan.pending),
                    "ahead": bool(verdict.plan.ahead),
                }
            if verdict.slug is None:
                record.checked(
                    f"{outcome.loaded.target.identity} is ready: {verdict.reason}", **changes
                )
            else:
                record.lost(verdict.reason, verdict.slug, **changes)
    finally:
        looking.close()


def _mended(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    before: database.Sight | None,
) -> bool:
    """Whether the database looks different from when the way failed."""
    now = _sight(loaded, record, stop)
    return now is not None and now != before


def _sight(
    loaded: settings.Loaded, record: journal.Journal, stop: threading.Event
) -> database.Sight | None:
    looking = watch.Watch(loaded, record, stop)
    try:
        return looking.look(None).sight
    finally:
        looking.close()

"""How the journal reads: log lines as text or JSON on stderr, the status as a document."""

import json
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from bootstrap import redact
from bootstrap.journal import Event, Level, Sink, Status

_RANK: Mapping[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


# What begins a line anew at a terminal and empties it.
_CLEAR = "\r\x1b[K"
_BAR_WIDTH = 30
_REDRAW_S = 0.1


def log(form: str, threshold: Level, stream: TextIO | None = None) -> Sink:
    """A sink that writes one line an event, in `form` text or json, from `threshold` up."""

    def write(event: Event, _: Status) -> None:
        if _RANK[event.level] < _RANK[threshold]:
            return
        out = stream or sys.stderr
        when = iso(event.time)
        if form == "json":
            head = {
                "time": when,
                "level": event.level,
                "event": event.name,
                "stage": event.stage,
                "message": event.message,
            }
            # No fact may take the place of these.
            line = dumps(head | dict(event.facts) | head)
        else:
            # At a terminal the minute is enough; the full date is for files.
            shown = when[11:19] if out.isatty() else when
            # The message about the settings names its stage itself.
            place = f"{event.stage}: " * (not event.message.startswith(f"{event.stage}: "))
            line = redact.text(f"{shown} {event.level:<7} {place}{event.message}")
        # A bar may be drawn on the last line.
        out.write((_CLEAR if form == "text" and out.isatty() else "") + line + "\n")
        out.flush()

    return write


def bar(stream: TextIO) -> Sink:
    """A sink that draws the progress of a long step on the last line of a terminal."""
    drawn_s = 0.0

    def draw(_: Event, status: Status) -> None:
        nonlocal drawn_s
        now_s, progress = time.monotonic(), status.progress
        if progress is None or progress.done == progress.total:
            if drawn_s:
                stream.write(_CLEAR)
                drawn_s = 0.0
        elif now_s - drawn_s >= _REDRAW_S:
            drawn_s = now_s
            shown = str(progress)
            if progress.total is not None:
                filled = _BAR_WIDTH * progress.done // progress.total
                left_s = progress.eta_s(now_s) or 0
                bar = f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}]"
                shown = f"{bar} {shown}, about {left_s:.0f} s left"
            stream.write(_CLEAR + shown)
        stream.flush()

    return draw


def dumps(document: object) -> str:
    """`document` as JSON on one line, secrets hidden."""
    return json.dumps(redact.document(document), ensure_ascii=False)


def document(status: Status) -> dict[str, Any]:
    """The status as a JSON document, as the status file, `--json` and HTTP show it."""
    progress = None
    if status.progress is not None:
        eta_s = status.progress.eta_s(time.monotonic())
        progress = {
            "what": status.progress.what,
            "done": status.progress.done,
            "total": status.progress.total,
            "eta_s": None if eta_s is None else round(eta_s, 1),
        }
    return {
        "app": status.app,
        "target": status.target,
        "identity": status.identity,
        "release": status.release,
        "phase": status.phase,
        "ready": status.phase == "ready",
        "stage": status.stage,
        "reason": status.reason,
        "runbook": status.slug,
        "exit_code": status.exit_code,
        "fallback": status.fallback,
        "revisions": list(status.revisions),
        "heads": list(status.heads),
        "pending": status.pending,
        "ahead": status.ahead,
        "attempts": dict(status.attempts),
        "wait_s": round(status.wait_s, 4),
        "lock_s": round(status.lock_s, 4),
        "durations_s": dict(status.durations_s),
        "findings": [dict(finding) for finding in status.findings],
        "seeded": {table: dict(counts) for table, counts in status.seeded.items()},
        "progress": progress,
        "started_at": _iso(status.started_at),
        "changed_at": _iso(status.changed_at),
        "checked_at": _iso(status.checked_at),
        "last_success_at": _iso(status.last_success_at),
    }


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)


def iso(seconds: float) -> str:
    """A time as it is written everywhere: UTC, to the millisecond."""
    whole, thousandths = divmod(round(seconds * 1_000_000) // 1000, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{thousandths:03d}+00:00"

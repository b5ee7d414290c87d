"""The conversation with the parent: requests come, events and answers leave."""

from __future__ import annotations

import contextlib
import gc
import importlib
import signal
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .channel import Channel

if TYPE_CHECKING:
    from .project import Project

# Revisions make many objects and hardly any garbage.
_COLLECT_AFTER = 10_000

# The module whose function of the request's name answers it; called with the project first.
ANSWERED_IN = {
    "describe": "history",
    "upgrade": "migrate",
    "downgrade": "migrate",
    "stamp": "migrate",
    "sql": "render",
    "inspect": "lint",
    "compare": "compare",
    "seed": "seeds",
    "demo": "seeds",
    "new": "history",
    "survey": "survey",
    "count": "survey",
}


def hold(descriptor: int) -> None:
    """Answer requests until the parent closes stdin; the first one opens the project."""
    gc.disable()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    # A terminal sends this to parent and child alike; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel(descriptor)
    project: Project | None = None
    # The parent may be waiting for the database still. What is missing is said when it asks.
    with contextlib.suppress(Exception):
        importlib.import_module(".project", __package__)
    while True:
        request = channel.receive()
        do = request.pop("do")
        try:
            if do == "open":
                project = _open(request, channel, stopping)
                # What was imported stays, so nobody needs to look through it again.
                gc.freeze()
                gc.set_threshold(_COLLECT_AFTER)
                gc.enable()
                answer: Mapping[str, Any] = {}
            else:
                module = importlib.import_module(f".{ANSWERED_IN[do]}", __package__)
                answer = getattr(module, do)(project, **request)
            channel.send(answer=answer)
        except (Exception, SystemExit) as error:
            from . import failure

            channel.send(error=failure.told(error, project))


def _open(request: Mapping[str, Any], channel: Channel, stopping: threading.Event) -> Project:
    from .project import Project

    return Project(request, channel, stopping)

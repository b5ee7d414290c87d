"""Is this app ready? Asked of the running process, or of what it left; never of a database."""

import http.client
import json
import threading
from dataclasses import dataclass
from typing import Any, Literal

from bootstrap import settings, statusfile

# What listens on these is reached on the loopback.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is translated, not bound to


@dataclass(frozen=True)
class Health:
    """Whether the app may run, why or why not, and who said so: the process, its file, nobody."""

    ready: bool
    phase: str
    reason: str
    source: Literal["http", "file", "none"]


def check(loaded: settings.Loaded, timeout_s: float = 1.0) -> Health:
    """The health of this app's bring-up, within `timeout_s` seconds.

    It is asked over HTTP at the health address. Where nothing of this app listens there, the status
    file counts, as long as the process that wrote it runs - by now it may have become the app.
    """
    answers: list[Health | None] = []
    # A resolver that hangs and a server that trickles know no timeout of a socket.
    asking = threading.Thread(target=lambda: answers.append(_ask(loaded, timeout_s)), daemon=True)
    asking.start()
    asking.join(timeout_s)
    if not answers:
        address = loaded.settings.health_address
        return Health(False, "unknown", f"{address} does not answer within {timeout_s:g} s", "http")
    return answers[0] or _from_file(loaded)


def _ask(loaded: settings.Loaded, timeout_s: float) -> Health | None:
    """What the process says; None where it cannot be this app's bootstrapd that answers."""
    host, port = settings.host_and_port(loaded.settings.health_address)
    connection = http.client.HTTPConnection(_ANY.get(host, host), port, timeout=timeout_s)
    try:
        connection.request("GET", "/healthz")
        document = json.loads(connection.getresponse().read())
        if document["serviceId"] != loaded.app.name:
            return None
        stage: dict[str, Any] = document["checks"]["bootstrap:stage"][0]
        return Health(document["status"] != "fail", stage["phase"], stage["output"], "http")
    except TimeoutError:
        reason = f"{loaded.settings.health_address} does not answer within {timeout_s:g} s"
        return Health(False, "unknown", reason, "http")
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return None
    finally:
        connection.close()


def _from_file(loaded: settings.Loaded) -> Health:
    path = statusfile.path(loaded)
    document = statusfile.read(path)
    if document is None:
        reason = (
            f"nothing of app {loaded.app.name} listens on {loaded.settings.health_address}, and "
            f"there is no status file {path}"
        )
        return Health(False, "unknown", reason, "none")
    phase, reason = str(document.get("phase")), str(document.get("reason"))
    gone = statusfile.gone(document)
    if gone is not None:
        return Health(False, phase, f"{path} says {phase}, but {gone}", "file")
    return Health(phase == "ready", phase, reason, "file")

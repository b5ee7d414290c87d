"""Is this app ready? Asked of the running process, or of what it left; never of a database."""

import http.client
import json
import threading
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from bootstrap import redact, settings, statusfile
from bootstrap.errors import SettingsError

# What listens on these is reached on the loopback.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is translated, not bound to


@dataclass(frozen=True)
class Health:
    """Whether the app may run, why or why not, and who said so: the process, its file, the app."""

    ready: bool
    phase: str
    reason: str
    source: Literal["http", "file", "app", "none"]


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


def app(url: str, timeout_s: float = 1.0) -> str | None:
    """What is wrong with the app that answers at this `http://` URL; None where it is well.

    It is well with any status under 400, within `timeout_s` seconds. Raises SettingsError for
    another URL.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise SettingsError(f"--url: wanted http://host:port/path, found {redact.url(url)!r}")
    answers: list[str | None] = []
    asking = threading.Thread(
        target=lambda: answers.append(_status(parts, url, timeout_s)), daemon=True
    )
    asking.start()
    asking.join(timeout_s)
    return answers[0] if answers else f"{url} does not answer within {timeout_s:g} s"


def _status(parts: SplitResult, url: str, timeout_s: float) -> str | None:
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout_s)
    try:
        connection.request("GET", parts._replace(scheme="", netloc="").geturl() or "/")
        status = connection.getresponse().status
        return f"{url} answers {status}" if status >= 400 else None
    except TimeoutError:
        return f"{url} does not answer within {timeout_s:g} s"
    except (OSError, http.client.HTTPException) as error:
        return f"{url} does not answer: {error}"
    finally:
        connection.close()


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

"""The identity pin: a deployment knows its database, and stops before another one.

A database carries a random identity. The state directory remembers it: one for the deployment
where the state directory was named by somebody, else one for each address.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from bootstrap import database, journal, settings
from bootstrap.errors import IdentityError

NEW = "new"


def check(
    loaded: settings.Loaded, sight: database.Sight, record: journal.Journal | None = None
) -> None:
    """Raise IdentityError unless this is the database that is known or accepted by name.

    With a `record`, one that is accepted is a warning there.
    """
    expected, source = _expected(loaded)
    if expected is None or expected == sight.identity:
        return
    if loaded.settings.accept_identity == (sight.identity or NEW):
        if record is not None:
            record.event(
                "identity_accepted",
                f"{loaded.target.identity} takes the place of database {expected}, as accepted",
                level="warning",
            )
        return
    found = f"database {sight.identity}" if sight.identity else _unknown(sight)
    raise IdentityError(
        f"expected database {expected} (from {source}) at {loaded.target.identity}, found {found}; "
        "point the settings at the right database, or if this one is meant: "
        f"--accept-identity {sight.identity or NEW}",
        expected=expected,
        found=sight.identity,
    )


def known(loaded: settings.Loaded) -> dict[str, Any]:
    """What the state directory remembers of this app; empty where there is nothing."""
    try:
        content = json.loads(_path(loaded).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def was_on_postgres(loaded: settings.Loaded) -> str | None:
    """The PostgreSQL target that this deployment has been on, if any."""
    databases = known(loaded).get("databases", {})
    return next(
        (place for place, entry in databases.items() if entry["dialect"] == "postgresql"), None
    )


def remember(loaded: settings.Loaded, identity: str, record: journal.Journal) -> None:
    """Write the identity to the state directory; one that cannot be written to is a warning."""
    content = known(loaded)
    databases = content.get("databases", {})
    entry = {"identity": identity, "dialect": loaded.target.dialect}
    if databases.get(loaded.target.identity) == entry and content.get("identity") == identity:
        return
    document = {
        "identity": identity,
        "databases": {**databases, loaded.target.identity: entry},
    }
    path = _path(loaded)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        record.event(
            "pin_not_kept",
            f"cannot keep the identity in {path}: {error.strerror}; set BOOTSTRAPD_STATE_DIR to a "
            f"folder that stays, or BOOTSTRAPD_EXPECT_IDENTITY={identity}",
            level="warning" if loaded.deployment else "debug",
        )


def _expected(loaded: settings.Loaded) -> tuple[str | None, str]:
    if loaded.settings.expect_identity:
        return loaded.settings.expect_identity, "BOOTSTRAPD_EXPECT_IDENTITY"
    content = known(loaded)
    if loaded.deployment:
        return content.get("identity"), str(_path(loaded))
    entry = content.get("databases", {}).get(loaded.target.identity, {})
    return entry.get("identity"), str(_path(loaded))


def _path(loaded: settings.Loaded) -> Path:
    return loaded.state_dir / loaded.app.name / "pin.json"


def _unknown(sight: database.Sight) -> str:
    return "an empty database" if not sight.tables else "a database without an identity"

"""agentpane's storage for tests, its tables made from the models, and rows to begin with."""

from typing import Any

from bootstrap import target
from bootstrap.apps.agentpane import models
from bootstrap.apps.agentpane.storage import Storage, connect


def storage(url: str) -> Storage:
    """Storage on an empty database, in which all tables are made."""
    where = target.parse(url)
    if where.path is not None:
        where.path.touch()
    made = Storage(connect(where))
    models.Base.metadata.create_all(made.client.engine, checkfirst=False)
    return made


def project(storage: Storage, name: str = "demo") -> models.Project:
    """A project; its path is made from its name."""
    return storage.projects.create({"name": name, "path": f"/srv/{name}"})


def session(storage: Storage, **values: Any) -> models.Session:
    """A session of a project of its own, unless `project_id` says another one."""
    owner = values.get("project_id") or project(storage).id
    return storage.sessions.create({"url": "/sessions/1", **values, "project_id": owner})

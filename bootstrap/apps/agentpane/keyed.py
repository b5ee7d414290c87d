"""Tables whose rows come by a key of the user's: written whether they are there or not."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql, sqlite

from bootstrap import models as shared
from bootstrap.apps.agentpane import models
from bootstrap.apps.agentpane.repositories import Rows

Insert = postgresql.Insert | sqlite.Insert


class Settings(Rows[models.Setting]):
    """Settings: any JSON value under a key in dot notation, such as `editor.theme`."""

    model = models.Setting
    newest = "updated_at"

    def value(self, key: str, default: Any = None) -> Any:
        """The value under this key."""
        found = self.get(key)
        return default if found is None else _parsed(found.value)

    def values(self, prefix: str = "") -> dict[str, Any]:
        """The values under all keys that begin with `prefix`, by key."""
        rows = sa.select(models.Setting).where(
            models.Setting.key.startswith(prefix, autoescape=True)
        )
        found = self.client.read(lambda session: list(session.scalars(rows)))
        # Here and not by the database, whose order may depend on a language, and which may take
        # small and capital letters for the same.
        kept = sorted((row.key, row.value) for row in found if row.key.startswith(prefix))
        return {key: _parsed(value) for key, value in kept}

    def put(self, key: str, value: Any) -> None:
        """Keep a value under this key, in place of the one that was there."""
        row = self._named({"key": key, "value": shared.write_json(value)})
        self.client.transaction(lambda session: _upsert(session, models.Setting, row, ["key"]))


class CliSessions(Rows[models.CliSession]):
    """Sessions of command-line agents, by `session_id`."""

    model = models.CliSession

    def record(self, values: Mapping[str, Any]) -> models.CliSession:
        """Insert a session, or change these columns of the one with this `session_id`."""
        named = self._named(values)

        def work(session: orm.Session) -> models.CliSession:
            _upsert(session, models.CliSession, named, ["session_id"])
            rows = sa.select(models.CliSession).where(
                models.CliSession.session_id == named["session_id"]
            )
            return session.scalars(rows).one()

        return self.client.transaction(work)


class Templates(Rows[models.Template]):
    """Templates, and the projects that use them."""

    model = models.Template

    def assign(self, template_id: str, project_ids: Iterable[str]) -> None:
        """Have these projects use a template; those that do already go on."""
        rows = [{"template_id": template_id, "project_id": each} for each in project_ids]

        def work(session: orm.Session) -> None:
            for row in rows:
                _upsert(session, models.TemplateProject, row, list(row))

        self.client.transaction(work)

    def unassign(self, template_id: str, project_id: str) -> bool:
        """Whether the project used the template; now it does not."""
        used = models.TemplateProject
        return (
            self.client.execute(
                sa.delete(used).where(
                    used.template_id == template_id, used.project_id == project_id
                )
            )
            > 0
        )

    def projects(self, template_id: str) -> list[models.Project]:
        """The projects that use a template, by name."""
        used = models.TemplateProject
        page = (
            sa.select(models.Project)
            .join(used, used.project_id == models.Project.id)
            .where(used.template_id == template_id)
        )
        found = self.client.read(lambda session: list(session.scalars(page)))
        return sorted(found, key=lambda project: (project.name, project.id))


def _upsert(
    session: orm.Session, model: type[models.Base], row: Mapping[str, Any], key: list[str]
) -> None:
    """Insert a row, or change the one with the same key to it."""
    changes: dict[str, Any] = {name: value for name, value in row.items() if name not in key}
    on_postgres = session.get_bind().dialect.name == "postgresql"
    statement: Insert = postgresql.insert(model) if on_postgres else sqlite.insert(model)
    statement = statement.values(**row)
    if changes:
        changes["updated_at"] = models.utc_now()
        statement = statement.on_conflict_do_update(index_elements=key, set_=changes)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=key)
    session.execute(statement)


def _parsed(text: str) -> Any:
    """The value that a JSON text stands for; text that another program stored is no error."""
    try:
        return shared.read_json(text)
    except (ValueError, RecursionError):
        return text

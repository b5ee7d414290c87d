"""The repositories of godel, one a table."""

from bootstrap.apps.godel import models
from bootstrap.repository import Repository


class Agents(Repository[models.Agent]):
    """Agents."""

    model = models.Agent


class Teams(Repository[models.Team]):
    """Teams."""

    model = models.Team


class Workflows(Repository[models.Workflow]):
    """Workflows."""

    model = models.Workflow


class Events(Repository[models.Event]):
    """Events."""

    model = models.Event

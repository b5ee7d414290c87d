"""What holds whatever env.py says, to whichever command of Alembic."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from alembic.runtime.environment import EnvironmentContext

from . import guard, observe

if TYPE_CHECKING:
    from .project import Project

OWN_SCHEMA = "bootstrapd"


def prepare(project: Project) -> None:
    """See to it whenever env.py configures Alembic."""
    plain = EnvironmentContext.configure

    def configure(environment: Any, connection: Any = None, **given: Any) -> None:
        given["transaction_per_migration"] = True
        if not project.postgres:
            given["transactional_ddl"] = True
        given["include_name"] = _all_but_bootstrapds(given.get("include_name"))
        if connection is not None:
            guard.check_database(project, connection)
        guard.check_version_table(project, connection, given)
        if project.observed:
            given["on_version_apply"] = observe.callbacks(project, given.get("on_version_apply"))
        plain(environment, connection=connection, **given)
        _announce_autocommit(project, environment.get_context())

    EnvironmentContext.configure = configure  # type: ignore[method-assign, assignment]
    _let_nest()


def _let_nest() -> None:
    """An app that upgrades itself when it is imported runs env.py within env.py.

    The inner run takes `alembic.context` away at its end; the outer one still needs it.
    """
    under_way: list[EnvironmentContext] = []
    enter, leave = EnvironmentContext.__enter__, EnvironmentContext.__exit__

    def entered(environment: Any) -> Any:
        under_way.append(environment)
        return enter(environment)

    def left(environment: Any, *error: Any) -> None:
        leave(environment, *error)
        under_way.pop()
        if under_way:
            under_way[-1]._install_proxy()

    EnvironmentContext.__enter__ = entered  # type: ignore[method-assign]
    EnvironmentContext.__exit__ = left  # type: ignore[method-assign]


def is_external(context: Any) -> bool:
    """Whether env.py has begun a transaction around all revisions."""
    return not context.as_sql and bool(context._in_external_transaction)


def _all_but_bootstrapds(include: Any) -> Any:
    """The filter of an env.py, which may compare all schemas, less the schema of our record."""

    def included(name: Any, kind: str, parents: Any) -> bool:
        if kind == "schema" and name == OWN_SCHEMA:
            return False
        return include is None or bool(include(name, kind, parents))

    return included


def _announce_autocommit(project: Project, context: Any) -> None:
    """Have the parent note that a revision leaves its transaction, before it does."""
    plain = context.autocommit_block

    @contextlib.contextmanager
    def announced() -> Iterator[None]:
        if is_external(context):
            raise RuntimeError(
                "autocommit_block() cannot work inside the transaction that env.py has begun; let "
                "env.py use engine.connect() in place of engine.begin()"
            )
        if project.observed:
            observe.tell(project, context.connection, outside=True)
        project.step.leave_transaction()
        with plain():
            yield
        project.step.reenter_transaction()

    context.autocommit_block = announced

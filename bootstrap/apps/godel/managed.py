"""The repositories of what godel has beside its document: access, sessions, budgets, worktrees."""

import builtins
import datetime
import decimal
import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from bootstrap import budgets
from bootstrap import models as shared
from bootstrap.apps.godel import enums, models, views
from bootstrap.client import Client, Tables
from bootstrap.repository import Repository

ViewRow = dict[str, Any]


class Managed(Tables):
    """These tables by name, over one client."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.users = Users(client)
        self.api_keys = ApiKeys(client)
        self.sessions = Sessions(client)
        self.budgets = Budgets(client)
        self.worktrees = Worktrees(client)
        self.todos = Todos(client)


class Users(Repository[models.User]):
    """Users."""

    model = models.User

    def find_by_email(self, email: str) -> models.User | None:
        """The active user with this address."""
        columns = self.table.c
        wanted = sa.select(models.User).where(columns.email == email, columns.is_active)
        return self.client.read(lambda session: session.scalar(wanted))

    def logged_in(self, id_: str) -> models.User | None:
        """Note that the user logged in just now."""
        return self.update(id_, {"last_login_at": shared.now()})

    def deactivate(self, id_: str) -> models.User | None:
        """Let the user log in no more."""
        return self.update(id_, {"is_active": False})


class ApiKeys(Repository[models.ApiKey]):
    """Keys of programs."""

    model = models.ApiKey

    def issue(
        self,
        name: str,
        *,
        scopes: Sequence[str] = ("read",),
        user_id: str | None = None,
        expires_at: datetime.datetime | None = None,
    ) -> tuple[str, models.ApiKey]:
        """A new key and its row. The key is nowhere else: the row has its SHA-256."""
        key = secrets.token_urlsafe(32)
        values = {
            "key_hash": _hash(key),
            "name": name,
            "scopes": builtins.list(scopes),
            "user_id": user_id,
            "expires_at": expires_at,
        }
        return key, self.create(values)

    def valid(self, key: str) -> models.ApiKey | None:
        """The row of a key that lets in, now noted as used; None for any other."""
        columns = self.table.c
        lets_in = (
            columns.key_hash == _hash(key),
            columns.is_active,
            ~columns.is_revoked,
            columns.expires_at.is_(None) | (columns.expires_at > shared.now()),
        )
        use = sa.update(self.table).where(*lets_in).values(last_used_at=shared.now())
        row = sa.select(models.ApiKey).where(columns.key_hash == _hash(key))

        def work(session: orm.Session) -> models.ApiKey | None:
            used = session.execute(use.returning(columns.id)).first()
            return session.scalar(row) if used else None

        return self.client.transaction(work)

    def revoke(self, id_: str) -> bool:
        """Whether a key was revoked by this."""
        columns = self.table.c
        revoke = sa.update(self.table).where(columns.id == id_, ~columns.is_revoked)
        return self.client.execute(revoke.values(is_revoked=True, revoked_at=shared.now())) > 0


class Sessions(Repository[models.Session]):
    """Sessions."""

    model = models.Session

    def find_live(self, id_: str) -> models.Session | None:
        """The session, unless it has expired."""
        expires_at = self.table.c.expires_at
        live = expires_at.is_(None) | (expires_at > shared.now())
        wanted = sa.select(models.Session).where(self.key == id_, live)
        return self.client.read(lambda session: session.scalar(wanted))

    def delete_expired(self) -> int:
        """How many sessions went, which were those that had expired."""
        return self.client.execute(
            sa.delete(self.table).where(self.table.c.expires_at <= shared.now())
        )


class Budgets(Repository[models.Budget]):
    """Budgets."""

    model = models.Budget

    def find_by_scope(
        self, scope_type: enums.BudgetScopeType, scope_id: str
    ) -> models.Budget | None:
        """The one budget of this scope."""
        columns = self.table.c
        wanted = sa.select(models.Budget).where(
            columns.scope_type == scope_type, columns.scope_id == scope_id
        )
        return self.client.read(lambda session: session.scalar(wanted))

    def consume(self, id_: str, tokens: int, cost: decimal.Decimal | float) -> bool:
        """Whether the budget had both to give, and then they are taken; else it stays as it is.

        As `bootstrap.budgets.consumption`.
        """
        take = budgets.consumption(self.table, id_, tokens, cost)
        return take is not None and self.client.execute(take) > 0


class Worktrees(Repository[models.Worktree]):
    """Worktrees."""

    model = models.Worktree

    def touch(self, id_: str) -> models.Worktree | None:
        """Note that something happened in it just now."""
        return self.update(id_, {"last_activity": shared.now()})

    def cleaned(self, id_: str) -> models.Worktree | None:
        """Note that its folder is gone."""
        return self.update(id_, {"status": "cleaned", "cleaned_up_at": shared.now()})

    def list_stale(self, *, limit: int = 100) -> builtins.list[ViewRow]:
        """Those that are active and in which nothing happened for an hour, longest first."""
        view = views.WORKTREE_STATUS
        stale = sa.select(view).where(view.c.is_stale).order_by(view.c.last_activity, view.c.id)
        return self.client.query(stale.limit(limit))


class Todos(Repository[models.Todo]):
    """What sessions have to do."""

    model = models.Todo

    def set_status(self, id_: str, status: enums.TodoStatus) -> models.Todo | None:
        """Change the status; what is completed gets the time of it, what is not loses it."""
        completed_at = shared.now() if status == "completed" else None
        return self.update(id_, {"status": status, "completed_at": completed_at})

    def list_open(self, session_id: str, *, limit: int = 100) -> builtins.list[models.Todo]:
        """What a session has yet to do or is doing: the most urgent first, then the oldest."""
        columns = self.table.c
        page = (
            sa.select(models.Todo)
            .where(columns.session_id == session_id)
            .where(columns.status.in_(("pending", "in_progress")))
            .order_by(columns.priority.desc(), columns.created_at, columns.id)
            .limit(limit)
        )
        return self.client.read(lambda session: builtins.list(session.scalars(page)))

    def summary(self, session_id: str) -> ViewRow | None:
        """How much there is in each status, as the view `todo_summary`."""
        view = views.TODO_SUMMARY
        return self.client.query_one(sa.select(view).where(view.c.session_id == session_id))


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()

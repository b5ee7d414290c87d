"""Who may use godel: people and programs."""

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bootstrap import models
from bootstrap.apps.godel import enums
from bootstrap.apps.godel.models import base


class User(base.Base):
    """Somebody who logs in. The hash is that of the password."""

    __tablename__ = "users"

    id: Mapped[str] = base.uuid_key()
    email: Mapped[str] = mapped_column(String(255))
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[enums.UserRole] = mapped_column(String(50), server_default="user")
    is_active: Mapped[bool] = mapped_column(Boolean, server_default=sa.true())
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", models.JSON, server_default="{}")
    created_at: Mapped[datetime.datetime] = base.made()
    updated_at: Mapped[datetime.datetime] = base.updated()
    last_login_at: Mapped[datetime.datetime | None] = mapped_column(models.Time)

    __table_args__ = (
        UniqueConstraint("email", name="users_email_key"),
        base.one_of("role", enums.UserRole, "users_role_check"),
        Index("idx_users_email", "email"),
        Index("idx_users_is_active", "is_active"),
        Index("idx_users_role", "role"),
    )


class ApiKey(base.Base):
    """A program's key, known by its hash alone; it outlives its user."""

    __tablename__ = "api_keys"

    id: Mapped[str] = base.uuid_key()
    key_hash: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(255))
    scopes: Mapped[list[Any]] = mapped_column(models.JSON, server_default='["read"]')
    rate_limit: Mapped[int] = mapped_column(Integer, server_default=sa.text("100"))
    is_active: Mapped[bool] = mapped_column(Boolean, server_default=sa.true())
    is_revoked: Mapped[bool] = mapped_column(Boolean, server_default=sa.false())
    revoked_at: Mapped[datetime.datetime | None] = mapped_column(models.Time)
    user_id: Mapped[str | None] = mapped_column(
        models.UUID, ForeignKey("users.id", name="api_keys_user_id_fkey", ondelete="SET NULL")
    )
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", models.JSON, server_default="{}")
    created_at: Mapped[datetime.datetime] = base.made()
    updated_at: Mapped[datetime.datetime] = base.updated()
    expires_at: Mapped[datetime.datetime | None] = mapped_column(models.Time)
    last_used_at: Mapped[datetime.datetime | None] = mapped_column(models.Time)

    __table_args__ = (
        UniqueConstraint("key_hash", name="api_keys_key_hash_key"),
        base.partial_index(
            "idx_api_keys_active_valid",
            "is_active",
            "is_revoked",
            "expires_at",
            where="is_active AND NOT is_revoked",
            sqlite_where="is_active = 1 AND is_revoked = 0",
        ),
        Index("idx_api_keys_created_at", created_at.desc()),
        base.partial_index("idx_api_keys_expires_at", "expires_at", where="expires_at IS NOT NULL"),
        Index("idx_api_keys_is_active", "is_active"),
        Index("idx_api_keys_is_revoked", "is_revoked"),
        Index("idx_api_keys_key_hash", "key_hash"),
        Index("idx_api_keys_user_id", "user_id"),
    )

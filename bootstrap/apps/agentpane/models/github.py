"""What GitHub has given agentpane access to."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, true
from sqlalchemy.orm import Mapped, mapped_column

from bootstrap.apps.agentpane import enums
from bootstrap.apps.agentpane.models.base import Base, Created, Id, OneOf, Updated


class GithubInstallation(Base):
    """The app installed in an account."""

    __tablename__ = "github_installations"

    id: Mapped[Id]
    installation_id: Mapped[str] = mapped_column(unique=True)
    account_login: Mapped[str]
    account_type: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="active")
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]


class GithubToken(Base):
    """An encrypted token of a user."""

    __tablename__ = "github_tokens"

    id: Mapped[Id]
    encrypted_token: Mapped[str]
    token_type: Mapped[enums.GithubTokenType] = mapped_column(
        OneOf(enums.GITHUB_TOKEN_TYPE), server_default="pat"
    )
    scopes: Mapped[str | None]
    github_login: Mapped[str | None]
    github_id: Mapped[str | None]
    is_valid: Mapped[bool | None] = mapped_column(server_default=true())
    last_validated_at: Mapped[datetime | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]


class RepositoryConfig(Base):
    """What a repository of an installation configures."""

    __tablename__ = "repository_configs"

    id: Mapped[Id]
    installation_id: Mapped[str] = mapped_column(
        ForeignKey("github_installations.id", ondelete="CASCADE")
    )
    owner: Mapped[str]
    repo: Mapped[str]
    config: Mapped[dict[str, Any] | None]
    synced_at: Mapped[datetime | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]

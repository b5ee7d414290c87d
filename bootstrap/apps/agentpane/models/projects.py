"""Projects, and what is set for all of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, true
from sqlalchemy.orm import Mapped, mapped_column

from bootstrap.apps.agentpane.models.base import Base, Created, Id, Updated


class Project(Base):
    """A folder with a repository, in which agents work."""

    __tablename__ = "projects"

    id: Mapped[Id]
    name: Mapped[str]
    path: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]
    config: Mapped[dict[str, Any] | None]
    max_concurrent_agents: Mapped[int | None] = mapped_column(server_default="3")
    github_owner: Mapped[str | None]
    github_repo: Mapped[str | None]
    config_path: Mapped[str | None] = mapped_column(server_default=".claude")
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]
    github_installation_id: Mapped[str | None] = mapped_column(
        ForeignKey("github_installations.id")
    )
    sandbox_config_id: Mapped[str | None] = mapped_column(ForeignKey("sandbox_configs.id"))


class Setting(Base):
    """JSON under a key in dot notation, kept as text on both databases."""

    __tablename__ = "settings"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    updated_at: Mapped[Updated]


class ApiKey(Base):
    """The encrypted key of a service."""

    __tablename__ = "api_keys"

    id: Mapped[Id]
    service: Mapped[str] = mapped_column(unique=True)
    encrypted_key: Mapped[str]
    masked_key: Mapped[str]
    is_valid: Mapped[bool | None] = mapped_column(server_default=true())
    last_validated_at: Mapped[datetime | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]

"""Terraform registries, and the modules read from them."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from bootstrap.apps.agentpane import enums
from bootstrap.apps.agentpane.models.base import Base, Created, Id, OneOf, Updated


class TerraformRegistry(Base):
    """A registry of an organisation; its token is under a key of the settings."""

    __tablename__ = "terraform_registries"

    id: Mapped[Id]
    name: Mapped[str]
    org_name: Mapped[str]
    token_setting_key: Mapped[str]
    status: Mapped[enums.TerraformRegistryStatus] = mapped_column(
        OneOf(enums.TERRAFORM_REGISTRY_STATUSES), server_default="active"
    )
    last_synced_at: Mapped[datetime | None]
    sync_error: Mapped[str | None]
    module_count: Mapped[int | None] = mapped_column(server_default="0")
    sync_interval_minutes: Mapped[int | None]
    next_sync_at: Mapped[datetime | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]


class TerraformModule(Base):
    """A module of a registry. No foreign key holds the two together."""

    __tablename__ = "terraform_modules"
    __table_args__ = (
        Index("idx_tf_modules_registry", "registry_id"),
        Index("idx_tf_modules_name", "name"),
        Index("idx_tf_modules_provider", "provider"),
    )

    id: Mapped[Id]
    registry_id: Mapped[str]
    name: Mapped[str]
    namespace: Mapped[str]
    provider: Mapped[str]
    version: Mapped[str]
    source: Mapped[str]
    description: Mapped[str | None]
    readme: Mapped[str | None]
    inputs: Mapped[list[Any] | None]
    outputs: Mapped[list[Any] | None]
    dependencies: Mapped[list[Any] | None]
    published_at: Mapped[datetime | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]

"""Sandboxes: how they are made, those that there are, and the terminals in them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint, false, text, true
from sqlalchemy.orm import Mapped, mapped_column

from bootstrap.apps.agentpane import enums
from bootstrap.apps.agentpane.models.base import Base, Created, Id, OneOf, Updated


class SandboxConfig(Base):
    """How a sandbox is made. `cpu_cores` may be a fraction here."""

    __tablename__ = "sandbox_configs"

    id: Mapped[Id]
    name: Mapped[str]
    description: Mapped[str | None]
    type: Mapped[enums.SandboxType] = mapped_column(
        OneOf(enums.SANDBOX_TYPES), server_default="docker"
    )
    is_default: Mapped[bool | None] = mapped_column(server_default=false())
    base_image: Mapped[str] = mapped_column(server_default="node:22-slim")
    memory_mb: Mapped[int] = mapped_column(server_default="4096")
    cpu_cores: Mapped[float] = mapped_column(server_default="2")
    max_processes: Mapped[int] = mapped_column(server_default="256")
    timeout_minutes: Mapped[int] = mapped_column(server_default="60")
    volume_mount_path: Mapped[str | None]
    kube_config_path: Mapped[str | None]
    kube_context: Mapped[str | None]
    kube_namespace: Mapped[str | None] = mapped_column(server_default="agentpane-sandboxes")
    network_policy_enabled: Mapped[bool | None] = mapped_column(server_default=true())
    allowed_egress_hosts: Mapped[list[str] | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Updated]


class SandboxInstance(Base):
    """The sandbox of a project."""

    __tablename__ = "sandbox_instances"

    id: Mapped[Id]
    project_id: Mapped[str] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), unique=True
    )
    container_id: Mapped[str]
    status: Mapped[enums.SandboxStatus] = mapped_column(
        OneOf(enums.SANDBOX_STATUS), server_default="stopped"
    )
    image: Mapped[str]
    memory_mb: Mapped[int]
    cpu_cores: Mapped[int]
    idle_timeout_minutes: Mapped[int]
    volume_mounts: Mapped[list[Any] | None] = mapped_column(server_default=text("'[]'"))
    env: Mapped[dict[str, Any] | None]
    error_message: Mapped[str | None]
    created_at: Mapped[Created]
    last_activity_at: Mapped[Created]
    stopped_at: Mapped[datetime | None]
    updated_at: Mapped[Updated]


class SandboxTmuxSession(Base):
    """A terminal in a sandbox."""

    __tablename__ = "sandbox_tmux_sessions"
    __table_args__ = (
        UniqueConstraint("sandbox_id", "session_name", name="sandbox_session_unique"),
    )

    id: Mapped[Id]
    sandbox_id: Mapped[str] = mapped_column(ForeignKey("sandbox_instances.id", ondelete="CASCADE"))
    session_name: Mapped[str]
    task_id: Mapped[str | None] = mapped_column(ForeignKey("tasks.id", ondelete="SET NULL"))
    window_count: Mapped[int] = mapped_column(server_default="1")
    attached: Mapped[bool] = mapped_column(server_default=false())
    created_at: Mapped[Created]
    last_activity_at: Mapped[Created]

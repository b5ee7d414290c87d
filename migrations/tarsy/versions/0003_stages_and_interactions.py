"""Stages of a session, and what was said to models and tools in them; they go with the session."""

import sqlalchemy as sa
from alembic import op

from bootstrap import models

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stage_executions",
        sa.Column("execution_id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String()),
        sa.Column("stage_id", sa.String(), nullable=False),
        sa.Column("stage_index", sa.Integer(), nullable=False),
        sa.Column("stage_name", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("started_at_us", sa.BigInteger()),
        sa.Column("completed_at_us", sa.BigInteger()),
        sa.Column("duration_ms", sa.Integer()),
        sa.Column("stage_output", models.JSON),
        sa.Column("error_message", sa.String()),
        _to_session("stage_executions"),
        sa.PrimaryKeyConstraint("execution_id", name="pk_stage_executions"),
    )
    op.create_index("ix_stage_executions_session_id", "stage_executions", ["session_id"])
    op.create_index("ix_stage_executions_stage_index", "stage_executions", ["stage_index"])
    op.create_table(
        "llm_interactions",
        sa.Column("interaction_id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String()),
        sa.Column("stage_execution_id", sa.String()),
        sa.Column("timestamp_us", sa.BigInteger()),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("error_message", sa.String()),
        sa.Column("model_name", sa.String(), nullable=False),
        sa.Column("provider", sa.String()),
        sa.Column("temperature", sa.Double()),
        sa.Column("conversation", models.JSON),
        sa.Column("input_tokens", sa.Integer()),
        sa.Column("output_tokens", sa.Integer()),
        sa.Column("total_tokens", sa.Integer()),
        _to_session("llm_interactions"),
        _to_stage("llm_interactions"),
        sa.PrimaryKeyConstraint("interaction_id", name="pk_llm_interactions"),
    )
    op.create_table(
        "mcp_communications",
        sa.Column("communication_id", sa.String(), nullable=False),
        sa.Column("step_description", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String()),
        sa.Column("stage_execution_id", sa.String()),
        sa.Column("timestamp_us", sa.BigInteger()),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("error_message", sa.String()),
        sa.Column("server_name", sa.String(), nullable=False),
        sa.Column("communication_type", sa.String(), nullable=False),
        sa.Column("tool_name", sa.String()),
        sa.Column("tool_arguments", models.JSON),
        sa.Column("tool_result", models.JSON),
        sa.Column("available_tools", models.JSON),
        sa.Column("start_time_us", sa.BigInteger()),
        sa.Column("end_time_us", sa.BigInteger()),
        _to_session("mcp_communications"),
        _to_stage("mcp_communications"),
        sa.PrimaryKeyConstraint("communication_id", name="pk_mcp_communications"),
    )
    for table in ("llm_interactions", "mcp_communications"):
        for column in ("session_id", "stage_execution_id", "timestamp_us"):
            op.create_index(f"ix_{table}_{column}", table, [column])


def downgrade() -> None:
    op.drop_table("mcp_communications")
    op.drop_table("llm_interactions")
    op.drop_table("stage_executions")


def _to_session(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["session_id"],
        ["alert_sessions.session_id"],
        name=f"fk_{table}_session_id",
        ondelete="CASCADE",
    )


def _to_stage(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["stage_execution_id"],
        ["stage_executions.execution_id"],
        name=f"fk_{table}_stage_execution_id",
        ondelete="CASCADE",
    )

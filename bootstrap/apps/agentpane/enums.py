"""The values that agentpane's columns may have, in one place for both databases.

The program holds them, not the database: a table may have values of a later version.
"""

from typing import Literal, get_args

TaskColumn = Literal["backlog", "queued", "in_progress", "waiting_approval", "verified"]
TaskPriority = Literal["high", "medium", "low"]
LastAgentStatus = Literal["completed", "cancelled", "error", "turn_limit", "planning"]
AgentType = Literal["task", "conversational", "background"]
AgentStatus = Literal["idle", "starting", "planning", "running", "paused", "error", "completed"]
ToolStatus = Literal["pending", "running", "complete", "error"]
WorktreeStatus = Literal["creating", "active", "merging", "removing", "removed", "error"]
SessionStatus = Literal["idle", "initializing", "active", "paused", "closing", "closed", "error"]
SessionFinalStatus = Literal["success", "failed", "cancelled"]
PlanSessionStatus = Literal["active", "waiting_user", "completed", "cancelled"]
CliSessionStatus = Literal["working", "waiting_for_approval", "waiting_for_input", "idle"]
SandboxType = Literal["docker", "devcontainer", "kubernetes"]
SandboxStatus = Literal["stopped", "creating", "running", "idle", "stopping", "error"]
MarketplaceStatus = Literal["active", "syncing", "error"]
TemplateScope = Literal["org", "project"]
TemplateStatus = Literal["active", "syncing", "error", "disabled"]
WorkflowStatus = Literal["draft", "published", "archived"]
TerraformRegistryStatus = Literal["active", "syncing", "error"]
GithubTokenType = Literal["pat", "oauth"]

TASK_COLUMNS: tuple[TaskColumn, ...] = get_args(TaskColumn)
TASK_PRIORITIES: tuple[TaskPriority, ...] = get_args(TaskPriority)
LAST_AGENT_STATUS: tuple[LastAgentStatus, ...] = get_args(LastAgentStatus)
AGENT_TYPES: tuple[AgentType, ...] = get_args(AgentType)
AGENT_STATUS: tuple[AgentStatus, ...] = get_args(AgentStatus)
TOOL_STATUS: tuple[ToolStatus, ...] = get_args(ToolStatus)
WORKTREE_STATUS: tuple[WorktreeStatus, ...] = get_args(WorktreeStatus)
SESSION_STATUS: tuple[SessionStatus, ...] = get_args(SessionStatus)
SESSION_FINAL_STATUS: tuple[SessionFinalStatus, ...] = get_args(SessionFinalStatus)
PLAN_SESSION_STATUS: tuple[PlanSessionStatus, ...] = get_args(PlanSessionStatus)
CLI_SESSION_STATUS: tuple[CliSessionStatus, ...] = get_args(CliSessionStatus)
SANDBOX_TYPES: tuple[SandboxType, ...] = get_args(SandboxType)
SANDBOX_STATUS: tuple[SandboxStatus, ...] = get_args(SandboxStatus)
MARKETPLACE_STATUSES: tuple[MarketplaceStatus, ...] = get_args(MarketplaceStatus)
TEMPLATE_SCOPES: tuple[TemplateScope, ...] = get_args(TemplateScope)
TEMPLATE_STATUSES: tuple[TemplateStatus, ...] = get_args(TemplateStatus)
WORKFLOW_STATUSES: tuple[WorkflowStatus, ...] = get_args(WorkflowStatus)
TERRAFORM_REGISTRY_STATUSES: tuple[TerraformRegistryStatus, ...] = get_args(TerraformRegistryStatus)
GITHUB_TOKEN_TYPE: tuple[GithubTokenType, ...] = get_args(GithubTokenType)

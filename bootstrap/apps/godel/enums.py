"""What a column of godel may hold, where that is one word of a list. Checks hold each to it."""

from typing import Literal

AgentStatus = Literal["pending", "running", "paused", "completed", "failed", "blocked", "killed"]
AgentLifecycleState = Literal[
    "initializing",
    "spawning",
    "running",
    "pausing",
    "paused",
    "resuming",
    "completing",
    "failed",
    "cleaning_up",
    "destroyed",
]
EventEntityType = Literal["agent", "task", "system"]
EventSeverity = Literal["debug", "info", "warning", "error", "critical"]
BudgetScopeType = Literal["team", "agent", "project"]
BudgetCurrency = Literal["USD", "EUR", "GBP", "CAD"]
UserRole = Literal["admin", "user", "readonly"]
PiProviderType = Literal[
    "anthropic", "openai", "google", "groq", "cerebras", "ollama", "kimi", "minimax"
]
PiHealthStatus = Literal["healthy", "degraded", "unhealthy"]
PiSessionStatus = Literal["initializing", "active", "paused", "completed", "failed", "terminated"]
WorktreeCleanupPolicy = Literal["immediate", "on_completion", "on_failure", "manual", "scheduled"]
WorktreeStatus = Literal["active", "stale", "cleaning", "cleaned", "failed"]
ConversationRole = Literal["user", "assistant", "system", "tool"]
OpenclawHealthStatus = Literal["healthy", "degraded", "unhealthy"]
RoutingStrategy = Literal[
    "cost_optimized", "capability_matched", "fallback_chain", "round_robin", "weighted"
]
TodoStatus = Literal["pending", "in_progress", "completed", "cancelled", "blocked"]

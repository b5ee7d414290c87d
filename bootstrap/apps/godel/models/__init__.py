"""The tables of godel, one set of models for both databases."""

from bootstrap.apps.godel import triggers
from bootstrap.apps.godel.models.access import ApiKey, User
from bootstrap.apps.godel.models.base import Base
from bootstrap.apps.godel.models.conversations import ConversationNode, ConversationTree
from bootstrap.apps.godel.models.document import Agent, Event, Resource, Team, Workflow
from bootstrap.apps.godel.models.fleet import (
    Budget,
    DefinedWorkflow,
    LoggedEvent,
    ManagedAgent,
    ManagedTeam,
    Placement,
    Session,
    WorkflowExecution,
)
from bootstrap.apps.godel.models.pi import PiInstance, PiSession, Todo, Worktree
from bootstrap.apps.godel.models.routing import AgentRole, OpenclawInstance, ProviderRoutingRule

__all__ = [
    "Agent",
    "AgentRole",
    "ApiKey",
    "Base",
    "Budget",
    "ConversationNode",
    "ConversationTree",
    "DefinedWorkflow",
    "Event",
    "LoggedEvent",
    "ManagedAgent",
    "ManagedTeam",
    "OpenclawInstance",
    "PiInstance",
    "PiSession",
    "Placement",
    "ProviderRoutingRule",
    "Resource",
    "Session",
    "Team",
    "Todo",
    "User",
    "Workflow",
    "WorkflowExecution",
    "Worktree",
]

triggers.attach(Base.metadata)

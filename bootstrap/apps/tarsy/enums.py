"""The words that tarsy's columns hold. The program keeps to them; the tables do not check."""

from enum import StrEnum


class SessionStatus(StrEnum):
    """How far the processing of an alert is."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    PAUSED = "paused"
    CANCELING = "canceling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more will happen to the session."""
        return self in TERMINAL


TERMINAL = frozenset(
    (
        SessionStatus.COMPLETED,
        SessionStatus.FAILED,
        SessionStatus.CANCELLED,
        SessionStatus.TIMED_OUT,
    )
)
ACTIVE = frozenset(SessionStatus) - TERMINAL


class StageStatus(StrEnum):
    """How far one stage is."""

    PENDING = "pending"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    PARTIAL = "partial"


class ParallelType(StrEnum):
    """How a stage runs beside others."""

    SINGLE = "single"
    MULTI_AGENT = "multi_agent"
    REPLICA = "replica"


class IterationStrategy(StrEnum):
    """How an agent comes to its answer."""

    REACT = "react"
    REACT_STAGE = "react-stage"
    REACT_FINAL_ANALYSIS = "react-final-analysis"
    NATIVE_THINKING = "native-thinking"
    SYNTHESIS = "synthesis"
    SYNTHESIS_NATIVE_THINKING = "synthesis-native-thinking"


class InteractionType(StrEnum):
    """What a language model was called for."""

    INVESTIGATION = "investigation"
    SUMMARIZATION = "summarization"
    FINAL_ANALYSIS = "final_analysis"
    FORCED_CONCLUSION = "forced_conclusion"
    FINAL_ANALYSIS_SUMMARY = "final_analysis_summary"


class CommunicationType(StrEnum):
    """What a tool server was asked."""

    TOOL_LIST = "tool_list"
    TOOL_CALL = "tool_call"

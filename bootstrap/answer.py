"""What a probe answers, and what each answer means for the wait."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from bootstrap import redact

if TYPE_CHECKING:
    from bootstrap.knock import Door

State = Literal["ready", "not_yet", "refused"]
ErrorClass = Literal[
    "none",
    "connection_refused",
    "dns",
    "unreachable",
    "timeout",
    "closed",
    "starting_up",
    "shutting_down",
    "too_many_connections",
    "out_of_resources",
    "no_backend",
    "standby",
    "loading",
    "busy",
    "master_down",
    "locked",
    "authentication",
    "not_authorized",
    "missing_database",
    "tls",
    "not_postgres",
    "not_redis",
    "server_error",
    "missing_folder",
    "permission",
    "not_a_file",
    "not_a_database",
    "corrupt",
    "disk_full",
    "io_error",
]


class Meaning(NamedTuple):
    """One error class: what it means for the wait, how a message says it, what to do about it.

    `says` follows the target's identity, with `{login}` for who was refused; `hint` ends the
    message, with the target's `{setting}` and `{identity}`. A refusal that is `lasting` is not
    tried again: nothing that sets a database up changes it.
    """

    state: State
    says: str
    hint: str
    lasting: bool = False


_SILENT = "is not accepting connections yet"
_NOT_READY = "is not ready yet"
_CLOSED_FILE = "cannot be opened"
_MORE_TIME = "see its log, or give it more time with BOOTSTRAPD_WAIT_TIMEOUT_S"
_PLACE = "correct host and port in {setting}"
_NETWORK = f"check the network between here and there, or {_PLACE}"

# Only what passes without anybody's correction deserves patience.
MEANINGS: Mapping[ErrorClass, Meaning] = {
    "none": Meaning("ready", "is ready", ""),
    # Nobody is there.
    "connection_refused": Meaning("not_yet", _SILENT, f"start it, or {_PLACE}"),
    "dns": Meaning("not_yet", _SILENT, "start what has this name, or correct it in {setting}"),
    "unreachable": Meaning("not_yet", _SILENT, _NETWORK),
    "timeout": Meaning("not_yet", _SILENT, _NETWORK),
    "closed": Meaning("not_yet", _SILENT, f"see its log, or {_PLACE}"),
    # Somebody is there, but not for us at the moment.
    "starting_up": Meaning("not_yet", _SILENT, _MORE_TIME),
    "shutting_down": Meaning("not_yet", _SILENT, "start it again"),
    "too_many_connections": Meaning("not_yet", _SILENT, "end idle clients, or raise its limit"),
    "out_of_resources": Meaning("not_yet", _SILENT, "see its log, its memory and its disk"),
    "no_backend": Meaning("not_yet", _SILENT, "see the logs of this pooler and of its server"),
    "standby": Meaning("not_yet", _NOT_READY, "promote it, or name the primary in {setting}"),
    "loading": Meaning("not_yet", _NOT_READY, _MORE_TIME),
    "busy": Meaning("not_yet", _NOT_READY, "end the script that it runs: SCRIPT KILL"),
    "master_down": Meaning("not_yet", _NOT_READY, "start the master that it follows"),
    "locked": Meaning("not_yet", _NOT_READY, "end the process that holds it: fuser {identity}"),
    # It answers, and will answer the same again.
    "authentication": Meaning("refused", "answers but refuses {login}", "check {setting}"),
    "not_authorized": Meaning(
        "refused", "answers but does not let {login} in", "allow it there, or check {setting}"
    ),
    "missing_database": Meaning(
        "refused", "answers but has no such database", "create it, or correct {setting}"
    ),
    "tls": Meaning(
        "refused",
        "answers but TLS with it fails",
        "check its certificate, and the TLS options in {setting}",
    ),
    "not_postgres": Meaning("refused", "is no PostgreSQL server", _PLACE),
    "not_redis": Meaning("refused", "is no Redis server", _PLACE),
    "server_error": Meaning("refused", "answers but refuses", "see its log, and check {setting}"),
    # The file is not one, or not ours: that does not change by itself.
    "missing_folder": Meaning(
        "refused", _CLOSED_FILE, "make the folder, or correct {setting}", lasting=True
    ),
    "permission": Meaning(
        "refused",
        _CLOSED_FILE,
        "give this user the right to it, or correct {setting}",
        lasting=True,
    ),
    "not_a_file": Meaning("refused", _CLOSED_FILE, "name a file in {setting}", lasting=True),
    "not_a_database": Meaning(
        "refused", "is no SQLite database", "correct {setting}", lasting=True
    ),
    # It may be a copy that is being written, a disk that is being cleared, a share that comes back.
    "corrupt": Meaning("refused", "is damaged", "restore it from a backup"),
    "disk_full": Meaning("refused", _CLOSED_FILE, "free some space on its disk"),
    "io_error": Meaning("refused", "cannot be read", "check its disk"),
}


class Answer(NamedTuple):
    """What one probe found. `detail` is the cause in the server's own words, safe to print."""

    error_class: ErrorClass = "none"
    detail: str = ""
    facts: Mapping[str, Any] = {}

    @property
    def state(self) -> State:
        """Ready, worth another try, or final."""
        return MEANINGS[self.error_class].state


def answer(error_class: ErrorClass, detail: str = "", **facts: Any) -> Answer:
    """An answer without secrets, its detail worded to stand inside a sentence."""
    detail = detail.rstrip(".")
    if detail[1:2].islower():
        detail = detail[0].lower() + detail[1:]
    return Answer(error_class, redact.text(detail), facts)


class Prober(Protocol):
    """Asks one target. Only one probe of it runs at a time."""

    @property
    def name(self) -> Literal["postgres", "redis", "sqlite"]:
        """What is asked, as messages call it."""

    @property
    def identity(self) -> str:
        """Where it is, safe to print."""

    @property
    def setting(self) -> str:
        """The setting to correct where the target is refused."""

    def probe(self, timeout_s: float) -> Answer:
        """Ask once, and answer within `timeout_s` seconds.

        Raises SettingsError where no server could help.
        """

    def doors(self) -> "Sequence[Door]":
        """Where it will listen, as far as the last probe found out; nothing for a file."""

    def close(self) -> None:
        """Let go of everything, and of what a probe in another thread is about to open."""

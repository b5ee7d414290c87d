"""How something runs bootstrapd: by which verb, and what it becomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

# Those that come to an end, beside `run` without a command.
_ENDING = ("wait", "migrate", "seed", "validate", "plan", "lint", "move", "snapshot", "rollback")
VERBS = ("run", "serve", *_ENDING)


@dataclass(frozen=True)
class Daemon:
    """`verb` is unknown where only the image knows it; `command` tells that an app is started."""

    verb: str | None
    command: bool
    flags: Mapping[str, str]

    @property
    def ends(self) -> bool:
        """Whether it comes to an end by itself."""
        return self.verb is not None and self.verb != "serve" and not self.command


def within(command: Sequence[str]) -> Daemon | None:
    """How a command runs bootstrapd, if it does."""
    for place, word in enumerate(command):
        module = word == "bootstrap" and place and command[place - 1] == "-m"
        if PurePosixPath(word).name == "bootstrapd" or module:
            return read(command[place + 1 :])
    return None


def read(arguments: Sequence[str]) -> Daemon:
    """What these arguments of bootstrapd say."""
    words = list(arguments)
    before = words[: words.index("--")] if "--" in words else words
    verb = next((word for word in before if word in VERBS), None)
    flags = {}
    for place, word in enumerate(before):
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            after = before[place + 1] if place + 1 < len(before) else ""
            flags[name] = value if equals else after
    return Daemon(verb, len(words) > len(before) + 1, flags)

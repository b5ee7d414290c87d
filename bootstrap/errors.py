"""The ways in which a bring-up fails: one class an exit code, one runbook a class.

A message says what was attempted, what was found and what to do next. It names the target by its
identity, never by its URL.
"""

from typing import ClassVar


class BootstrapdError(Exception):
    """Anything that ends a run on purpose.

    `facts` are further machine-readable details; they stand beside the message in every JSON
    report. `passing` tells `serve` that trying the whole way again later may help.
    """

    exit_code: ClassVar[int]
    slug: ClassVar[str]
    passing: ClassVar[bool] = False

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __str__(self) -> str:
        return f"{self.message} (runbook: {self.slug})"


class SettingsError(BootstrapdError):
    """The settings or the call are wrong."""

    exit_code = 2
    slug = "settings"


class RefusedError(BootstrapdError):
    """The server answers but refuses: password, missing database, TLS."""

    exit_code = 3
    slug = "refused"


class MigrationError(BootstrapdError):
    """A migration failed."""

    exit_code = 4
    slug = "migrate"


class DriftError(BootstrapdError):
    """The schema is not what it should be."""

    exit_code = 5
    slug = "drift"


class SeedError(BootstrapdError):
    """Seeding failed."""

    exit_code = 6
    slug = "seed"


class IdentityError(BootstrapdError):
    """This is another database than the one known."""

    exit_code = 7
    slug = "identity"


class AheadError(BootstrapdError):
    """The database is ahead of this release, or has diverged."""

    exit_code = 8
    slug = "ahead"


class LockError(BootstrapdError):
    """The migration lock was not got in time."""

    exit_code = 9
    slug = "lock"
    passing = True


class WaitTimeoutError(BootstrapdError):
    """The target was not ready before the deadline."""

    exit_code = 124
    slug = "timeout"
    passing = True


class Terminated(BaseException):
    """A signal asked this process to end; the exit code is 128 plus its number, as in shells."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


ALL: tuple[type[BootstrapdError], ...] = (
    SettingsError,
    RefusedError,
    MigrationError,
    DriftError,
    SeedError,
    IdentityError,
    AheadError,
    LockError,
    WaitTimeoutError,
)

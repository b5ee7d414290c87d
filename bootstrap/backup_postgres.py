"""A backup of PostgreSQL: what pg_dump writes in its own compressed format."""

from collections.abc import Callable
from pathlib import Path

from bootstrap import pgtools, settings, target


class Dump:
    """Dumps one database, and restores such dumps."""

    suffix = ".dump"

    def __init__(self, loaded: settings.Loaded, server: str) -> None:
        self._loaded = loaded
        self._programs = pgtools.find(loaded, server)
        self.tool = f"pg_dump {self._programs.version}"

    def write(self, path: Path, tick: Callable[[], None]) -> None:
        """Dump the whole database, our own record with it, as it is at this moment."""
        where = self._loaded.target
        limits = self._loaded.settings
        # Of several hosts a standby may lag behind.
        source = pgtools.conninfo(
            where, application_name="bootstrapd backup", target_session_attrs="primary"
        )
        self._run(
            where,
            "pg_dump",
            "--format=custom",
            "--no-password",
            f"--lock-wait-timeout={limits.statement_timeout_ms}",
            f"--file={path}",
            f"--dbname={source}",
            tick=tick,
        )

    def verify(self, path: Path, tick: Callable[[], None]) -> None:
        """Read the list of what is in it, then all of it."""
        where = self._loaded.target
        self._run(where, "pg_restore", "--list", path, tick=tick)
        self._run(where, "pg_restore", "--file=/dev/null", path, tick=tick)

    def restore(self, path: Path, into: target.Target, tick: Callable[[], None]) -> None:
        """Restore it into an empty database, all of it owned by the role that logs in."""
        self._run(
            into,
            "pg_restore",
            "--exit-on-error",
            "--no-owner",
            "--no-privileges",
            "--no-publications",
            "--no-subscriptions",
            "--no-security-labels",
            "--no-tablespaces",
            "--no-password",
            f"--dbname={pgtools.conninfo(into, application_name='bootstrapd rehearsal')}",
            path,
            tick=tick,
        )

    def _run(
        self, where: target.Target, name: str, *arguments: str | Path, tick: Callable[[], None]
    ) -> None:
        argv = self._programs.argv(name, *arguments)
        pgtools.run(argv, settings.for_program(where), tick)

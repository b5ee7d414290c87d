"""The command `bootstrapd` as a child process, with nothing of this session's environment."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    """How a command ended. `exit_code` is negative where a signal ended it."""

    command: str
    exit_code: int
    stdout: str
    stderr: str

    def expect(self, exit_code: int) -> "Result":
        """This result, if it ended with `exit_code`; otherwise fail with all that it wrote."""
        assert self.exit_code == exit_code, str(self)
        return self

    def json(self) -> Any:
        """The one JSON document that stdout holds; anything else on stdout is an error."""
        try:
            return json.loads(self.stdout)
        except json.JSONDecodeError as error:
            raise AssertionError(f"stdout is not one JSON document ({error}): {self}") from None

    def __str__(self) -> str:
        return (
            f"{self.command}: exit code {self.exit_code}\n"
            f"--- stdout\n{self.stdout}--- stderr\n{self.stderr}---"
        )


class Running:
    """A command that runs in its own process group, its output in files."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path, out: Path) -> None:
        self._command = shlex.join(argv)
        self._stdout, self._stderr = out / "stdout", out / "stderr"
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self._process = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def stdout(self) -> str:
        """What it has written to stdout so far."""
        return self._stdout.read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        """What it has written to stderr so far."""
        return self._stderr.read_text(encoding="utf-8")

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def signal(self, signum: signal.Signals) -> None:
        """Send a signal to the process itself, as a supervisor does."""
        self._process.send_signal(signum)

    def wait(self, timeout: float = 60.0) -> Result:
        """Its result when it has ended; fails when it has not in `timeout` seconds."""
        try:
            exit_code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {timeout:g} s: {self._shown()}") from None
        return Result(self._command, exit_code, self.stdout, self.stderr)

    def wait_for(self, text: str, timeout: float = 30.0) -> None:
        """Return when stdout or stderr holds `text`; fail when it ends or time is up before."""
        deadline = time.monotonic() + timeout
        while True:
            ended = self.poll() is not None
            if text in self.stderr or text in self.stdout:
                return
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"never said {text!r}: {self._shown()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """End it at once with all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def _shown(self) -> Result:
        return Result(self._command, self._process.poll() or 0, self.stdout, self.stderr)


class Command:
    """Starts commands, each with a clean environment; a factory for the fixtures `run` and `start`.

    Without `cwd` a command runs in one fresh folder that the test's commands share, so that the
    state of one is there for the next. A string is split as a shell would.
    """

    def __init__(self, folder: Path) -> None:
        self.cwd = folder / "cwd"
        self._folder = folder
        self._home = folder / "home"
        self._started: list[Running] = []
        self.cwd.mkdir()
        self._home.mkdir()

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """A clean environment with these variables added."""
        paths = (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))
        return {
            "PATH": os.pathsep.join(paths),
            "HOME": str(self._home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            **(env or {}),
        }

    def start(
        self,
        args: str | Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        python: Sequence[str | Path] = (sys.executable, "-m", "bootstrap"),
    ) -> Running:
        """Start `bootstrapd ARGS` and return at once; what still runs when the test ends is killed.

        `python` is the command before ARGS.
        """
        words = shlex.split(args) if isinstance(args, str) else args
        argv = [str(word) for word in (*python, *words)]
        out = self._folder / f"run{len(self._started)}"
        out.mkdir()
        running = Running(argv, self.environment(env), cwd or self.cwd, out)
        self._started.append(running)
        return running

    def run(
        self,
        args: str | Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 60.0,
        python: Sequence[str | Path] = (sys.executable, "-m", "bootstrap"),
    ) -> Result:
        """Run `bootstrapd ARGS` to its end; fails when it takes over `timeout` seconds."""
        return self.start(args, env=env, cwd=cwd, python=python).wait(timeout)

    def close(self) -> None:
        """Kill what still runs."""
        for running in self._started:
            running.kill()

"""Measures commands in turn, A B A B ..., so that a machine's changing speed hits both alike."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import cli


@dataclass(frozen=True)
class Call:
    """A command, and what to do before each of its runs."""

    argv: Sequence[str | Path]
    cwd: Path
    env: Mapping[str, str]
    before: Callable[[], None] = lambda: None

    def seconds(self) -> float:
        """One run's wall-clock time; it must exit 0."""
        self.before()
        began_s = time.perf_counter()
        subprocess.run(
            [str(word) for word in self.argv],
            cwd=self.cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        return time.perf_counter() - began_s


def environment(command: cli.Command, **more: str) -> dict[str, str]:
    """The clean environment of the tests, with byte code kept as an installed package has it."""
    env = command.environment(more)
    env.pop("PYTHONDONTWRITEBYTECODE")
    return env


def bootstrapd(*words: str) -> list[str]:
    """`bootstrapd WORDS` from this checkout."""
    return [sys.executable, "-m", "bootstrap", *words]


def ratio(title: str, ours: Call, peer: Call, *, runs: int, wanted: float) -> float:
    """The median of ours/peer over `runs` pairs, after one pair to warm up; printed."""
    for call in (ours, peer):
        call.seconds()
    pairs = [(ours.seconds(), peer.seconds()) for _ in range(runs)]
    ratios = [one / other for one, other in pairs]
    found = statistics.median(ratios)
    say(
        f"{title}: {found:.2f} times the peer (wanted: at most {wanted:g}; {min(ratios):.2f} to "
        f"{max(ratios):.2f} over {runs} pairs; medians "
        f"{statistics.median(one for one, _ in pairs):.3f} s and "
        f"{statistics.median(other for _, other in pairs):.3f} s)"
    )
    return found


def say(line: str) -> None:
    """Print a figure where `pytest -s` shows it, with the machine's load beside it."""
    sys.stdout.write(f"\n{line} [load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores]\n")

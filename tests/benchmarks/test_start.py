"""What a start costs when nothing is to be done, and how soon the app runs when something is."""

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks import measure
from tests.support import cli
from tests.support.postgres import Server, Servers

pytestmark = pytest.mark.benchmark

BARE = (
    "import os, psycopg; psycopg.connect(os.environ['DATABASE_URL']).execute('select 1').fetchone()"
)


def test_a_start_with_nothing_to_do_costs_little_more_than_connecting(
    command: cli.Command, database18: str, tmp_path: Path
) -> None:
    env = measure.environment(command, DATABASE_URL=database18)
    ours = measure.Call(measure.bootstrapd("run", "-q", "--", "true"), tmp_path, env)
    bare = measure.Call([sys.executable, "-c", BARE], tmp_path, env)
    found = measure.ratio("no-op run to bare psycopg", ours, bare, runs=20, wanted=2)
    assert found > 0


def test_fifty_runs_at_once_end_with_the_first(
    command: cli.Command, server18: Server, tmp_path: Path
) -> None:
    def together(count: int) -> float:
        url = server18.create_database()
        env = measure.environment(command, DATABASE_URL=url)
        folder = tmp_path / url.rpartition("/")[2]
        folder.mkdir()
        began_s = time.perf_counter()
        runs = [
            subprocess.Popen(
                measure.bootstrapd("run", "-q", "--json"),
                cwd=folder,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for _ in range(count)
        ]
        outputs = [run.communicate()[0] for run in runs]
        took_s = time.perf_counter() - began_s
        assert [run.returncode for run in runs] == [0] * count
        assert sum('"changed": true' in output for output in outputs) == 1
        server18.drop_database(url)
        return took_s

    together(1)
    pairs = [(together(50), together(1)) for _ in range(5)]
    ratios = sorted(fifty_s / single_s for fifty_s, single_s in pairs)
    fifty_s, single_s = (statistics.median(each) for each in zip(*pairs, strict=True))
    bare_s = _bare_together(50, command, server18, tmp_path)
    measure.say(
        f"50 runs at once: the last ends after {statistics.median(ratios):.1f} times a single run "
        f"(wanted: at most 3; {ratios[0]:.1f} to {ratios[-1]:.1f} over 5 pairs; medians "
        f"{fifty_s:.2f} s and {single_s:.2f} s); 50 bare psycopg scripts at once take {bare_s:.2f} "
        f"s on this machine, {bare_s / single_s:.1f} times"
    )


def _bare_together(count: int, command: cli.Command, server: Server, folder: Path) -> float:
    url = server.create_database()
    env = measure.environment(command, DATABASE_URL=url)
    began_s = time.perf_counter()
    runs = [
        subprocess.Popen([sys.executable, "-c", BARE], cwd=folder, env=env) for _ in range(count)
    ]
    assert [run.wait() for run in runs] == [0] * count
    took_s = time.perf_counter() - began_s
    server.drop_database(url)
    return took_s


def test_the_app_starts_soon_after_a_late_server(
    command: cli.Command, servers: Servers, tmp_path: Path
) -> None:
    server = servers.new(18)
    url = server.create_database()
    server.stop()
    env = measure.environment(command, DATABASE_URL=url)
    app = "import time; print(time.time())"
    waiting = subprocess.Popen(
        measure.bootstrapd("run", "-q", "--", sys.executable, "-c", app),
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(5)
    server.start()
    accepting_s = time.time()
    printed, _ = waiting.communicate()
    assert waiting.returncode == 0
    delay_s = float(printed) - accepting_s
    measure.say(
        f"from PostgreSQL accepting connections after 5 s, an empty database, to the app's first "
        f"instruction: {delay_s:.2f} s (wanted: at most 1.5)"
    )


def test_serve_stays_small(
    start: Callable[..., cli.Running], run: Callable[..., cli.Result], database18: str
) -> None:
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_HEALTH_ADDRESS": "127.0.0.1:0"}
    serving = start("serve", env=env)
    serving.wait_for("is ready at")
    status = Path(f"/proc/{serving.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    measure.say(f"serve when ready: {int(found[1]) / 1024:.0f} MB resident (wanted: at most 100)")

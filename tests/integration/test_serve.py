"""`serve` stays, watches and says how it is, on real databases with real outages (D1-D4, D9)."""

import json
import re
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap import app, revisions, target
from tests.support.cli import Result, Running
from tests.support.postgres import Server
from tests.support.projects import Project
from tests.support.proxy import Proxy

Run = Callable[..., Result]
Start = Callable[..., Running]


class Serving:
    """A `serve` on a free port, with quick looks at the database."""

    def __init__(self, start: Start, args: str = "", **kwargs: object) -> None:
        env = kwargs.pop("env", {})
        assert isinstance(env, dict)
        self.env = {
            "BOOTSTRAPD_HEALTH_ADDRESS": "127.0.0.1:0",
            "BOOTSTRAPD_WATCH_INTERVAL_S": "0.2",
            "BOOTSTRAPD_WATCH_TIMEOUT_S": "1",
            **env,
        }
        self.process = start(f"serve {args}", env=self.env, **kwargs)
        self.process.wait_for("health is served on http://")
        found = re.search(r"http://(\S+)", self.process.stderr)
        assert found is not None
        self.address = found[1]

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def comes_to(self, path: str, code: int, text: str = "", within_s: float = 20) -> str:
        """The body, once `path` answers `code` with `text` in it."""
        deadline = time.monotonic() + within_s
        while True:
            found, body = self.get(path)
            if found == code and text in body:
                return body
            assert time.monotonic() < deadline, f"{path}: {found} {body}\n{self.process.stderr}"
            time.sleep(0.05)


def test_ready_lost_and_ready_again_by_itself(
    start: Start, proxy: Callable[..., Proxy], server18: Server, database18: str
) -> None:
    between = proxy(server18)
    serving = Serving(start, env={"DATABASE_URL": between.url(database18)})
    serving.comes_to("/readyz", 200)
    assert serving.get("/startupz")[0] == 200

    between.refuse()
    between.cut()
    serving.comes_to("/readyz", 503, "connection refused")
    assert serving.get("/livez") == (200, "ok\n")
    assert serving.get("/startupz")[0] == 200

    between.forward()
    serving.comes_to("/readyz", 200)

    between.deaf()
    serving.comes_to("/readyz", 503, "did not answer within 1 s")
    assert serving.get("/livez")[0] == 200
    between.forward()
    serving.comes_to("/readyz", 200)


def test_the_listener_is_up_before_the_database(
    start: Start, proxy: Callable[..., Proxy], server18: Server, database18: str
) -> None:
    between = proxy(server18)
    between.refuse()
    serving = Serving(start, env={"DATABASE_URL": between.url(database18)})
    assert serving.get("/livez")[0] == 200
    assert serving.get("/startupz")[0] == 503
    body = serving.comes_to("/readyz?verbose", 503, "[-]wait")
    assert "secret" not in body
    between.forward()
    serving.comes_to("/readyz", 200)
    assert serving.get("/startupz")[0] == 200


def test_a_replaced_database_is_noticed(
    start: Start, server18: Server, database18: str, run: Run
) -> None:
    serving = Serving(start, env={"DATABASE_URL": database18})
    serving.comes_to("/readyz", 200)
    params = target.parse(database18).params
    name, user = params["dbname"], params["user"]
    server18.admin(f'drop database "{name}" with (force)')
    server18.admin(f'create database "{name}" owner "{user}"')
    serving.comes_to("/readyz", 503, "is another database: expected")


def test_pending_revisions_make_it_unready_until_somebody_migrates(
    start: Start, run: Run, database_url: str
) -> None:
    serving = Serving(start, env={"DATABASE_URL": database_url})
    serving.comes_to("/readyz", 200)
    run("rollback 0001", env={"DATABASE_URL": database_url}).expect(0)
    graph = revisions.read(app.shipped_migrations("godel"))
    pending = len(graph.pending(["0001"]))
    wanted = f"schema is at 0001, this release wants {graph.heads[0]}: {pending} pending"
    serving.comes_to("/readyz", 503, wanted)
    _, body = serving.get("/metrics")
    assert f"bootstrapd_pending_revisions {pending}.0" in body
    run("migrate", env={"DATABASE_URL": database_url}).expect(0)
    serving.comes_to("/readyz", 200)


def test_ahead_it_stays_ready_while_its_release_is_recent_enough(
    start: Start, run: Run, either_url: str, project: Callable[..., Project], tmp_path: Path
) -> None:
    newer = project(revisions=1, models=False)
    older = shutil.copytree(newer.path, tmp_path / "older")
    env = {"DATABASE_URL": either_url, "BOOTSTRAPD_RELEASE": "1.3.0"}
    serving = Serving(start, env=env, cwd=older)
    serving.comes_to("/readyz", 200)
    file = newer.revision("0002")
    file.write_text(f"{file.read_text()}\n\ncompatible_with = '1.3.0'\n")
    newest = {**env, "BOOTSTRAPD_RELEASE": "1.5.0"}
    run("run", env=newest, cwd=newer.path).expect(0)
    note = "the database is ahead of this release, which can run on it"
    serving.comes_to("/readyz?verbose", 200, f"[+]migrate ok ({note})")
    assert json.loads(serving.get("/healthz")[1])["status"] == "warn"

    restarted = Serving(start, env=env, cwd=older)
    restarted.comes_to("/readyz?verbose", 200, f"[+]migrate ok ({note})")
    newer.revision("0003")
    run("run", env=newest, cwd=newer.path).expect(0)
    for each in (serving, restarted):
        body = each.comes_to("/readyz", 503, "which this release of shop does not have")
        assert "start release 1.5.0 or newer" in body
    run("rollback 0001", env=newest, cwd=newer.path).expect(0)
    for each in (serving, restarted):
        each.comes_to("/readyz", 200)
    assert json.loads(serving.get("/healthz")[1])["status"] == "pass"


def test_without_migrating_itself_it_waits_for_others(
    start: Start, run: Run, database18: str
) -> None:
    serving = Serving(start, env={"DATABASE_URL": database18, "BOOTSTRAPD_MIGRATE": "false"})
    serving.comes_to("/readyz", 503)
    assert run("status --json", env={"DATABASE_URL": database18}).json()["state"] == "empty"
    run("run", env={"DATABASE_URL": database18}).expect(0)
    serving.comes_to("/readyz", 200)


def test_a_failed_migration_stays_visible_until_it_is_mended(
    start: Start, run: Run, database18: str, project: Callable[..., Project]
) -> None:
    made = project(revisions=["op.create_table('good', sa.Column('id', sa.Integer))"])
    bad = made.revision("0002", upgrade="op.execute('no such statement')")
    serving = Serving(start, env={"DATABASE_URL": database18}, cwd=made.path)
    serving.comes_to("/readyz", 503, "syntax error")
    assert serving.get("/livez")[0] == 200
    assert serving.get("/startupz")[0] == 503
    body = json.loads(serving.get("/healthz")[1])
    assert (body["status"], body["checks"]["bootstrap:stage"][0]["runbook"]) == ("fail", "migrate")
    attempts = run("status --json", env={"DATABASE_URL": database18}, cwd=made.path).json()[
        "attempts"
    ]
    assert [attempt["result"] for attempt in attempts] == ["failed", "done"]

    bad.write_text(bad.read_text().replace("no such statement", "select 1"))
    run("migrate", env={"DATABASE_URL": database18}, cwd=made.path).expect(0)

    serving.comes_to("/readyz", 200)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_it_finishes_the_revision_under_way(
    start: Start,
    run: Run,
    database18: str,
    project: Callable[..., Project],
    signum: signal.Signals,
) -> None:
    slow = "op.execute('select pg_sleep(2)')\nop.create_table('slow', sa.Column('id', sa.Integer))"
    made = project(revisions=[slow, "op.create_table('next', sa.Column('id', sa.Integer))"])
    serving = Serving(start, "-v", env={"DATABASE_URL": database18}, cwd=made.path)
    serving.comes_to("/readyz", 503, "this release wants")
    wait_until_asleep(run, database18, made)

    serving.process.signal(signum)

    serving.comes_to("/readyz", 503, "asked to end by signal")
    serving.process.wait().expect(0)
    found = run("status --json", env={"DATABASE_URL": database18}, cwd=made.path).expect(0).json()
    assert (found["state"], found["current"]) == ("behind", ["0001"])
    # The lock is free at once.
    run("migrate", env={"DATABASE_URL": database18, "BOOTSTRAPD_LOCK_WAIT_S": "0"}, cwd=made.path)
    assert run("status --json", env={"DATABASE_URL": database18}, cwd=made.path).json()[
        "state"
    ] == ("current")


def test_a_revision_that_outlives_the_grace_is_rolled_back(
    start: Start, run: Run, database18: str, project: Callable[..., Project]
) -> None:
    slow = "op.create_table('half', sa.Column('id', sa.Integer))\nop.execute('select pg_sleep(60)')"
    made = project(revisions=[slow])
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_GRACE_S": "0.5"}
    running = start("run", env=env, cwd=made.path)
    running.wait_for("this release wants")
    wait_until_asleep(run, database18, made)
    running.signal(signal.SIGTERM)
    running.wait(15).expect(143)
    found = run("status --json", env=env, cwd=made.path).expect(0).json()
    assert (found["current"], found["attempts"][0]["result"]) == ([], "interrupted")


def wait_until_asleep(run: Run, url: str, made: Project) -> None:
    """Return when the revision under way is in its sleep, as the ledger of attempts shows."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        attempts = run("status --json", env={"DATABASE_URL": url}, cwd=made.path).json()["attempts"]
        if attempts and attempts[0]["result"] == "running":
            return
    raise AssertionError("no attempt is running")


def test_a_taken_port_is_one_clear_error(start: Start, run: Run) -> None:
    serving = Serving(start)
    env = {"BOOTSTRAPD_HEALTH_ADDRESS": serving.address}
    result = run("serve", env=env).expect(2)
    assert (
        f"cannot serve health on {serving.address}: the port is taken; free it, or set "
        "BOOTSTRAPD_HEALTH_ADDRESS to another host:port"
    ) in result.stderr

"""Servers that are slow or die: nobody is told too early, and all comes back by itself."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import processes
from tests.support import stack as stacks
from tests.support.stack import EVENTUALLY_S, Stack, eventually

pytestmark = [pytest.mark.container, pytest.mark.timeout(600)]

Make = Callable[..., Stack]


def kill_postgres(stack: Stack) -> None:
    """As the kernel would when memory runs out; `docker kill` would be the operator's wish."""
    os.kill(stack.container("postgres")["State"]["Pid"], signal.SIGKILL)


def address(stack: Stack) -> tuple[str, str]:
    """The name of the network that PostgreSQL is in, and its address there."""
    networks = stack.container("postgres")["NetworkSettings"]["Networks"]
    ((name, network),) = networks.items()
    return name, network["IPAddress"]


def sleeps(stack: Stack) -> bool:
    """Whether a session of the app's role sleeps in the server."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    return stack.sql(count) != "0"


def up_meanwhile(stack: Stack, meanwhile: Callable[[], None]) -> None:
    """`docker compose up --wait`, which must succeed whatever happens meanwhile."""
    with subprocess.Popen(
        ["docker", "compose", "up", "--wait"],
        cwd=stack.folder,
        env={**os.environ, **stack.variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        meanwhile()
        output, _ = process.communicate(timeout=2 * EVENTUALLY_S)
    assert process.returncode == 0, output + stack.logs()


# -- slow ------------------------------------------------------------------------------------------


def test_a_first_start_that_takes_long_is_never_healthy_early(stack: Make) -> None:
    ours = stack()
    (ours.folder / "postgres" / "initdb" / "05-slow.sh").write_text("sleep 10\n")
    ours.script("secrets")
    ours.compose("up", "--detach", "postgres")
    on_the_socket = 0
    while True:
        postgres = ours.container("postgres")
        complete = "PostgreSQL init process complete" in ours.logs("postgres")
        if postgres["State"]["Health"]["Status"] != "starting":
            break
        probe = ["docker", "exec", postgres["Id"], "pg_isready", "--quiet"]
        on_the_socket += subprocess.run(probe).returncode == 0 and not complete
        time.sleep(0.2)
    assert postgres["State"]["Health"]["Status"] == "healthy"
    assert complete
    # A check on the socket would have been glad all this time.
    assert on_the_socket > 10


def test_redis_is_not_healthy_while_it_reads_what_it_has_kept(stack: Make) -> None:
    ours = stack()
    ours.up("redis")
    keys = "".join(f"SET key:{number} {'x' * 1000}\n" for number in range(400))
    script = "{ printf 'AUTH app '; cat /run/secrets/redis_password; echo; cat; } | redis-cli"
    as_app = ("exec", "-T", "redis", "sh", "-c", script)
    assert ours.compose(*as_app, stdin=keys).stdout.split() == ["OK"] * 401
    # As one file, during whose reading it answers.
    admin = ("exec", "-T", "redis", "sh", "/usr/local/lib/stack/admin.sh")
    ours.compose(*admin, "BGREWRITEAOF")
    eventually(
        lambda: "aof_rewrite_in_progress:0" in ours.compose(*admin, "INFO persistence").stdout,
        "the end of the rewriting",
    )
    ours.compose("stop", "redis")
    # Each key takes 20 ms, and whoever asks meanwhile is answered that it is loading.
    file = ours.folder / "redis" / "start.sh"
    slow = "--key-load-delay 20000 --loading-process-events-interval-bytes 1024"
    file.write_text(file.read_text().replace('"$@"', f'"$@" {slow}'))
    ours.compose("up", "--detach", "redis")
    content_with_less = 0
    while True:
        redis = ours.container("redis")
        answer = ours.compose(*as_app, stdin="DBSIZE\n", expect=None).stdout
        if redis["State"]["Health"]["Status"] != "starting":
            break
        ping = subprocess.run(
            ["docker", "exec", redis["Id"], "redis-cli", "ping"], capture_output=True
        )
        content_with_less += ping.returncode == 0 and "LOADING" in answer
    assert redis["State"]["Health"]["Status"] == "healthy"
    assert answer.split() == ["OK", "400"]
    # A mere ping would have been glad all this time.
    assert content_with_less > 3


def test_a_first_start_that_is_killed_begins_anew(stack: Make) -> None:
    ours = stack()
    slow = ours.folder / "postgres" / "initdb" / "05-slow.sh"
    slow.write_text("[ -e /tmp/again ] || sleep 60\n")
    ours.script("secrets")
    ours.compose("up", "--detach", "postgres")
    eventually(lambda: "running /docker-entrypoint-initdb.d/05" in ours.logs("postgres"), "script")
    slow.write_text("")
    kill_postgres(ours)
    ours.up("postgres")
    assert "the first start did not come to its end; starting over" in ours.logs("postgres")
    assert ours.sql("SELECT count(*) FROM pg_roles WHERE rolname IN ('godel', 'monitor')") == "2"


# -- elsewhere -------------------------------------------------------------------------------------


def test_a_server_that_is_back_at_another_address_is_found_behind_the_pooler(stack: Make) -> None:
    ours = stack(
        COMPOSE_PROFILES="pooler",
        APP_POSTGRES_HOST="pgbouncer",
        PORT_POOLER=str(processes.free_port()),
    )
    ours.up()
    network, before = address(ours)
    ours.compose("stop", "postgres")
    # The first one to come gets the address that has become free.
    taker = stacks.run(
        *("docker", "run", "--rm", "--detach", "--network", network),
        *("--entrypoint", "sleep", stacks.DAEMON, "infinity"),
    ).stdout.strip()
    try:
        ours.compose("start", "postgres")
        assert address(ours)[1] != before
        eventually(lambda: ours.ask("/health").status == 200, "the app at the new address")
    finally:
        stacks.run("docker", "rm", "--force", taker)
    assert ours.ask("/health").body == {"status": "pass", "database": "pgbouncer:5432/godel"}


# -- killed ----------------------------------------------------------------------------------------


SEEDS = """
import sqlalchemy as sa


def seeds(connection):
    connection.execute(sa.text("INSERT INTO item VALUES (1)"))
    connection.execute(sa.text("SELECT pg_sleep(4)"))
    return {"item": {"inserted": 1, "present": 0}}
"""
OWN_APP = {
    "srv/shop/bootstrapd.toml": """
[apps.shop]
alembic = "alembic.ini"
seeds = "shop_seeds:seeds"
""",
    "srv/shop/alembic.ini": "[alembic]\nscript_location = migrations\n",
    "srv/shop/shop_seeds.py": SEEDS,
    "srv/shop/migrations/env.py": """
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
""",
    "srv/shop/migrations/versions/0001_item.py": """
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.execute("CREATE TABLE item (id integer PRIMARY KEY)")


def downgrade():
    op.execute("DROP TABLE item")
""",
}


def test_an_app_of_ones_own_whose_server_dies_while_it_seeds(stack: Make, tmp_path: Path) -> None:
    image = stacks.release(tmp_path / "shop", OWN_APP, "WORKDIR /srv/shop")
    ours = stack(
        DAEMON_IMAGE=image,
        APP_IMAGE=image,
        BOOTSTRAPD_APP="shop",
        BOOTSTRAPD_VALIDATE="none",
        APP_COMMAND="run -- python -m http.server --directory /tmp 7373",
        APP_HEALTH_URL="http://127.0.0.1:7373/",
    )
    ours.script("secrets")

    def kill_it() -> None:
        eventually(lambda: bool(_running(ours, "bootstrap")), "bootstrap")
        eventually(lambda: sleeps(ours), "the seeds")
        kill_postgres(ours)

    up_meanwhile(ours, kill_it)
    assert ours.sql("SELECT count(*) FROM item") == "1"
    assert ours.ask("/").status == 200
    ours.up()
    assert ours.sql("SELECT count(*) FROM item") == "1"


def _running(stack: Stack, service: str) -> list[str]:
    return [
        each["Id"]
        for each in stack.containers()
        if each["Config"]["Labels"]["com.docker.compose.service"] == service
        and each["State"]["Running"]
    ]

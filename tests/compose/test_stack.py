"""The whole stack: up with one command, again and again, closed to those who should not enter."""

import json
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support import docs
from tests.support import stack as stacks
from tests.support.stack import Stack, leaks, run

pytestmark = [pytest.mark.container, pytest.mark.timeout(600)]

Make = Callable[..., Stack]


def test_it_is_up_with_one_command_and_the_second_time_too(shared: Stack) -> None:
    assert shared.ask("/health").status == 200
    again = shared.up()
    assert "Error" not in again.stderr
    assert shared.states() == {
        "postgres": ("running", "healthy"),
        "redis": ("running", "healthy"),
        "bootstrap": ("exited", 0),
        "app": ("running", "healthy"),
        "health": ("running", "healthy"),
        "backup": ("running", "healthy"),
    }
    assert "ready: postgres:5432/godel is ready at 0022 (nothing was pending)" in shared.logs(
        "bootstrap"
    )


def test_what_was_written_is_there_after_down_and_up(stack: Make) -> None:
    ours = stack()
    ours.up()
    assert ours.ask("/api/agents", {"task": "stays"}).status == 200
    as_app(ours, "SET here still")
    ours.compose("--profile", "*", "down", "--remove-orphans")
    ours.up()
    assert [agent["task"] for agent in ours.ask("/api/agents").body] == ["stays"]
    assert as_app(ours, "GET here") == ["OK", "still"]


def as_app(stack: Stack, command: str) -> list[str]:
    """What Redis answers to the app's user: to its login, and to this command."""
    script = "{ printf 'AUTH app '; cat /run/secrets/redis_password; echo; cat; } | redis-cli"
    return stack.compose("exec", "-T", "redis", "sh", "-c", script, stdin=command).stdout.split()


def test_health_and_metrics_are_served_beside_the_app(shared: Stack) -> None:
    assert shared.ask("/readyz", port="HEALTH").status == 200
    assert "bootstrapd_ready 1.0" in shared.ask("/metrics", port="HEALTH").body


def test_the_apps_role_owns_its_database_and_is_no_superuser(shared: Stack) -> None:
    roles = "SELECT rolname, rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolcanlogin"
    assert set(shared.sql(roles).splitlines()) == {
        "postgres|t|t|t",
        "godel|f|f|f",
        "monitor|f|f|f",
    }
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    assert shared.sql(owner) == "godel"


def test_nobody_enters_over_tcp_without_a_password(shared: Stack) -> None:
    rules = "SELECT DISTINCT auth_method FROM pg_hba_file_rules WHERE type <> 'local'"
    assert shared.sql(rules) == "scram-sha-256"
    stored = "SELECT count(*) FROM pg_authid WHERE rolcanlogin AND rolpassword NOT LIKE 'SCRAM%'"
    assert shared.sql(stored) == "0"
    for words in ("PING", "AUTH default x", "AUTH app x"):
        answer = shared.compose("exec", "-T", "redis", "redis-cli", *words.split()).stdout
        assert re.match("NOAUTH|WRONGPASS|AUTH failed: WRONGPASS", answer), answer


def test_redis_keeps_what_it_is_told(shared: Stack) -> None:
    def admin(command: str) -> str:
        script = "/usr/local/lib/stack/admin.sh"
        return shared.compose("exec", "-T", "redis", "sh", script, command).stdout

    assert admin("CONFIG GET appendonly").split() == ["appendonly", "yes"]
    assert admin("CONFIG GET maxmemory").split() == ["maxmemory", str(256 * 1024 * 1024)]
    assert admin("CONFIG GET maxmemory-policy").split() == ["maxmemory-policy", "noeviction"]


def test_containers_have_no_more_rights_than_they_need(shared: Stack) -> None:
    for container in shared.containers():
        service = container["Config"]["Labels"]["com.docker.compose.service"]
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert not host["Privileged"], service
        for bindings in (host["PortBindings"] or {}).values():
            assert [binding["HostIp"] for binding in bindings] == ["127.0.0.1"], service
        if service in ("bootstrap", "app", "health"):
            assert container["Config"]["User"] == "10001:10001"


# -- secrets ---------------------------------------------------------------------------------------


def test_no_secret_is_seen_from_outside_the_files(shared: Stack) -> None:
    passwords = shared.passwords()
    seen = shared.seen()
    assert len(passwords) == 8
    assert len(seen) > 20
    assert leaks(passwords, seen) == {}


def test_doctor_finds_no_fault_in_what_runs(shared: Stack) -> None:
    doctor = (sys.executable, "-m", "bootstrap", "doctor")
    looked = shared.run(*doctor, env={"PYTHONPATH": str(docs.ROOT)})
    assert looked.stdout == (
        f"compose.yml, project {shared.name} (6 containers): 0 errors, 0 warnings, 0 allowed\n"
    )


def test_secrets_are_made_once_and_closed_to_others(stack: Make) -> None:
    ours = stack()
    assert ours.script("secrets").stdout.count("made ./secrets/") == 8
    assert oct(ours.secrets.stat().st_mode)[-3:] == "700"
    before = {path.name: path.read_bytes() for path in ours.secrets.iterdir()}
    assert {len(text) for name, text in before.items() if name.endswith("password")} == {32}
    assert len(set(before.values())) == 8
    assert ours.script("secrets").stdout == ""
    assert {path.name: path.read_bytes() for path in ours.secrets.iterdir()} == before
    (ours.secrets / "redis_password").chmod(0o644)
    (ours.secrets / "redis_password").write_text("")
    assert ours.script("secrets", expect=1).stderr == (
        "secrets: ./secrets/redis_password is empty; write the password into it, or delete it to "
        "have one made\n"
    )


# -- two on one engine -----------------------------------------------------------------------------


def test_two_stacks_live_side_by_side(shared: Stack, stack: Make) -> None:
    other = stack(POSTGRES_DB="other", POSTGRES_USER="o.ther")
    other.up()
    marker = f"only in {other.name}"
    assert other.ask("/api/agents", {"task": marker}).status == 200
    assert marker not in json.dumps(shared.ask("/api/agents").body)
    other.compose("--profile", "*", "down", "--volumes", "--timeout", "0")
    assert shared.ask("/health").status == 200


def test_a_stack_is_deleted_only_by_its_name(stack: Make) -> None:
    ours = stack()
    ours.up("redis")
    refused = ours.script("clean", stdin="yes\n", expect=1)
    assert refused.stderr == (f"clean: nothing was deleted: wanted '{ours.name}', found 'yes'\n")
    assert f"  {ours.name}_redis_data" in refused.stdout
    assert len(ours.containers()) == 1
    ours.script("clean", stdin=f"{ours.name}\n")
    assert ours.containers() == []
    volumes = run("docker", "volume", "ls", "--quiet", "--filter", f"name={ours.name}").stdout
    assert volumes == ""
    assert (ours.secrets / "postgres_password").exists()


# -- the image -------------------------------------------------------------------------------------


def test_the_image_is_small_and_says_what_it_is(daemon_image: str) -> None:
    (image,) = json.loads(run("docker", "image", "inspect", daemon_image).stdout)
    (base,) = json.loads(run("docker", "image", "inspect", stacks.BARE_PYTHON).stdout)
    above_mb = (image["Size"] - base["Size"]) / 1e6
    print(f"the image has {above_mb:.0f} MB above its Python")
    assert above_mb < 130
    assert image["Config"]["User"] == "10001:10001"
    assert image["Config"]["StopSignal"] == "SIGTERM"
    assert image["Config"]["Healthcheck"]["Test"] == ["CMD", "bootstrapd", "healthcheck"]
    labels = image["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "bootstrapd"
    assert labels["org.opencontainers.image.version"] == "0.1.0"


def test_the_image_works_without_a_shell_a_network_or_a_place_to_write(daemon_image: str) -> None:
    argv = ["docker", "run", "--rm", "--read-only", "--network=none", "--cap-drop=ALL"]
    shown = subprocess.run([*argv, daemon_image, "apps"], capture_output=True, text=True)
    assert shown.stdout.startswith("godel "), shown.stderr
    nothing = subprocess.run([*argv, daemon_image, "healthcheck"], capture_output=True, text=True)
    assert nothing.returncode == 1
    assert nothing.stdout == (
        "not ready: nothing of app godel listens on 127.0.0.1:7374, and there is no status file "
        "/var/lib/bootstrapd/godel/status.json (none)\n"
    )


def test_no_module_is_compiled_anew_at_each_start(daemon_image: str) -> None:
    look = """
import os, sys
import alembic.command, bootstrap.apps.godel, bootstrap.cli, bootstrap.pipeline, bootstrap.serve
import psycopg, redis, sqlalchemy.orm, starlette.applications, uvicorn
cached = {name: getattr(module.__spec__, "cached", None) for name, module in sys.modules.items()}
print(len(cached), [name for name, path in cached.items() if path and not os.path.exists(path)])
"""
    argv = ["docker", "run", "--rm", "--read-only", "--network=none", "--entrypoint=python"]
    count, missing = run(*argv, daemon_image, "-c", look).stdout.split(maxsplit=1)
    assert int(count) > 500
    assert missing == "[]\n"

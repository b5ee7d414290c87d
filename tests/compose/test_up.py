"""What `make up` says when it cannot."""

import socket
from collections.abc import Callable

import pytest

from tests.support.stack import Stack

pytestmark = [pytest.mark.container, pytest.mark.timeout(600)]

Make = Callable[..., Stack]


def test_a_profile_that_there_is_not_is_refused(stack: Make) -> None:
    ours = stack(COMPOSE_PROFILES="health,metrics")
    assert ours.script("up", expect=1).stderr == (
        "up: COMPOSE_PROFILES: there is no profile 'metrics'; wanted some of: backup, health, "
        "monitoring, pooler, tools\n"
    )
    assert ours.containers() == []


def test_without_an_engine_it_says_so(stack: Make) -> None:
    ours = stack()
    ours.script("secrets")
    failed = ours.script("up", expect=1, env={"DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert "Cannot connect to the Docker daemon at unix:///nowhere/docker.sock" in failed.stderr


def test_a_port_that_is_taken_is_named_and_how_to_take_another(stack: Make) -> None:
    ours = stack()
    ours.script("secrets")
    with socket.create_server(("127.0.0.1", ours.ports["REDIS"])):
        failed = ours.script("up", expect=1).stderr
    start = failed.index("\nup: redis was not started: ")
    told = failed[start:].split("\n\n")[0].splitlines()
    assert str(ours.ports["REDIS"]) in told[1]
    assert "address already in use" in told[1]
    assert told[2:] == ["    PORT_... in compose/.env names another port, see compose/env.example"]
    ours.up("redis")


def test_what_does_not_come_up_is_shown_with_its_last_words(stack: Make) -> None:
    ours = stack(BOOTSTRAPD_APP="nonesuch", POSTGRES_DB="shop")
    ours.script("secrets")
    failed = ours.script("up", expect=1).stderr
    last_words = failed[failed.index("\nup: ") :]
    assert last_words.startswith("\nup: bootstrap exited with 2; it said last:\n")
    assert last_words.endswith(
        "      BOOTSTRAPD_APP: there is no app 'nonesuch'; known are godel, agentpane, tarsy, "
        "business_os, dash (runbook: settings)\n"
    )
    ours.variables["BOOTSTRAPD_APP"] = "godel"
    ours.script("up")
    assert ours.ask("/health").status == 200

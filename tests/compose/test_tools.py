"""The profiles of tools and monitoring, with the real programs."""

import base64
import functools
import http.client
import http.cookiejar
import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import processes
from tests.support import stack as stacks
from tests.support.stack import FOLDER, Stack

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

Make = Callable[..., Stack]
DEADLINE_S = 120.0


def eventually(ask: Callable[[], Any], what: str) -> Any:
    """What `ask` returns, as soon as that is something."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := ask()):
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.3)
    return found


# -- tools -----------------------------------------------------------------------------------------


def test_pgadmin_and_redis_commander_show_the_servers_to_who_logs_in(stack: Make) -> None:
    ports = {f"PORT_{name}": str(processes.free_port()) for name in ("PGADMIN", "REDIS_COMMANDER")}
    ours = stack(
        COMPOSE_PROFILES="tools",
        PGADMIN_IMAGE=stacks.stand_in("pgadmin"),
        REDIS_COMMANDER_IMAGE=stacks.stand_in("redis-commander"),
        **ports,
    )
    ours.up()
    ours.up()

    # pgAdmin: the login page, the login, and the server that it was told of.
    place = f"http://127.0.0.1:{ports['PORT_PGADMIN']}"
    browser = urllib.request.build_opener(
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    )
    page = browser.open(f"{place}/login", timeout=30).read().decode()
    assert "pgAdmin 4" in page
    (token,) = set(re.findall(r'csrfToken[": ]+"([^"]+)"', page))
    form = {
        "email": "admin@example.org",
        "password": (ours.secrets / "pgadmin_password").read_text(),
        "csrf_token": token,
        "internal_button": "Login",
    }
    answer = browser.open(
        f"{place}/authenticate/login", urllib.parse.urlencode(form).encode(), timeout=30
    )
    assert "/browser" in answer.url
    groups = json.loads(browser.open(f"{place}/browser/nodes/", timeout=30).read())["data"]
    (group,) = (each["_id"] for each in groups if each["_type"] == "server_group")
    servers = json.loads(browser.open(f"{place}/browser/server/nodes/{group}/", timeout=30).read())
    assert [server["label"] for server in servers["data"]] == ["the stack"]

    # Redis Commander: nobody gets in without the login; with it, it is connected.
    def commander(path: str, password: str | None) -> tuple[int, str]:
        port = int(ports["PORT_REDIS_COMMANDER"])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {}
        if password is not None:
            login = base64.b64encode(f"admin:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {login}"
        connection.request("GET", path, headers=headers)
        answered = connection.getresponse()
        text = answered.read().decode()
        connection.close()
        return answered.status, text

    password = (ours.secrets / "redis_commander_password").read_text()
    assert commander("/", None)[0] == 401
    assert commander("/", "not the one")[0] == 401
    status, page = commander("/", password)
    assert (status, "Redis Commander" in page) == (200, True)
    status, connections = commander("/apiv2/connections", password)
    if status == 404:
        status, connections = commander("/connections", password)
    assert status == 200
    assert "the stack" in connections or "redis" in connections

    inspected = json.dumps(ours.containers())
    for secret in ours.secrets.iterdir():
        if not secret.name.startswith(".") and secret.name.endswith("password"):
            assert secret.read_text() not in inspected


# -- monitoring ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def watched(daemon_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with Prometheus, quick enough for a test. Of Grafana there is only the dashboard."""
    made = Stack(
        tmp_path_factory.mktemp("stack"),
        COMPOSE_PROFILES="monitoring",
        BOOTSTRAPD_WATCH_INTERVAL_S="1",
        PROMETHEUS_IMAGE=stacks.stand_in("prometheus"),
        POSTGRES_EXPORTER_IMAGE=stacks.stand_in("postgres-exporter"),
        REDIS_EXPORTER_IMAGE=stacks.stand_in("redis-exporter"),
        PORT_PROMETHEUS=str(processes.free_port()),
    )
    (made.folder / "compose.no-grafana.yml").write_text(
        "services:\n  grafana:\n    profiles: !override [never]\n"
    )
    made.variables["COMPOSE_FILE"] = "compose.yml:compose.no-grafana.yml"
    for name in ("prometheus.yml", "rules.yml"):
        path = made.folder / "prometheus" / name
        path.write_text(re.sub(r"(_interval|for): \d+[sm]", r"\1: 3s", path.read_text()))
    try:
        made.up()
        yield made
    finally:
        made.close()


def prometheus(stack: Stack, path: str, **query: str) -> Any:
    place = f"http://127.0.0.1:{stack.variables['PORT_PROMETHEUS']}/api/v1/{path}"
    with urllib.request.urlopen(f"{place}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
        return json.load(answer)["data"]


def result(stack: Stack, query: str) -> Any:
    return prometheus(stack, "query", query=query)["result"]


def test_prometheus_scrapes_all_and_knows_the_rules(watched: Stack) -> None:
    watched.up()

    def all_up() -> bool:
        targets = prometheus(watched, "targets")["activeTargets"]
        jobs = {target["labels"]["job"] for target in targets if target["health"] == "up"}
        return jobs == {"bootstrapd", "postgres", "redis", "prometheus"}

    eventually(all_up, "four targets that are up")
    for metric in ("bootstrapd_ready", "pg_up", "redis_up"):
        (found,) = eventually(functools.partial(result, watched, metric), metric)
        assert found["value"][1] == "1", metric
    rules = [rule for group in prometheus(watched, "rules")["groups"] for rule in group["rules"]]
    assert len(rules) == 12
    eventually(
        lambda: all(
            rule["health"] == "ok"
            for group in prometheus(watched, "rules")["groups"]
            for rule in group["rules"]
        ),
        "rules that can be evaluated",
    )


def test_each_panel_of_the_dashboard_has_something_to_show(watched: Stack) -> None:
    dashboard = json.loads((FOLDER / "grafana" / "dashboards" / "bootstrapd.json").read_text())
    queries = {
        target["expr"]: panel["title"]
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }
    assert len(queries) > 12
    for query, title in queries.items():
        # Where no try to reach a server failed there is no such series.
        if "attempts_total" in query:
            assert prometheus(watched, "query", query=query)["resultType"] == "vector"
            continue
        eventually(
            functools.partial(result, watched, query),
            f"{title}: {query}",
        )


def test_alerts_fire_when_postgresql_is_gone_and_end_when_it_is_back(watched: Stack) -> None:
    def firing() -> set[str]:
        return {
            alert["labels"]["alertname"]
            for alert in prometheus(watched, "alerts")["alerts"]
            if alert["state"] == "firing"
        }

    eventually(lambda: not firing(), "quiet")
    watched.compose("stop", "postgres")
    wanted = {"DatabaseNotReady", "PostgresDown"}
    eventually(lambda: wanted <= firing(), f"{wanted} firing")
    watched.compose("start", "postgres")
    eventually(lambda: not firing(), "quiet again")

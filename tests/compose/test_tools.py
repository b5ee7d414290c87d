"""All profiles at once, and those of tools and monitoring with the real programs."""

import functools
import http.client
import http.cookiejar
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import processes
from tests.support import stack as stacks
from tests.support.stack import FOLDER, Stack, eventually, leaks

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

PROFILES = ("health", "tools", "pooler", "monitoring", "backup")


# -- all of them -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def everything(daemon_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with all profiles, its monitoring quick enough for a test, without Grafana."""
    images = {
        f"{name.replace('-', '_').upper()}_IMAGE": stacks.stand_in(name)
        for name in (
            *("prometheus", "postgres-exporter", "redis-exporter"),
            *("pgadmin", "redis-commander"),
        )
    }
    services = ("POOLER", "PGADMIN", "REDIS_COMMANDER", "PROMETHEUS")
    made = Stack(
        tmp_path_factory.mktemp("stack"),
        COMPOSE_PROFILES=",".join(PROFILES),
        APP_POSTGRES_HOST="pgbouncer",
        BOOTSTRAPD_WATCH_INTERVAL_S="1",
        **{f"PORT_{name}": str(processes.free_port()) for name in services},
        **images,
    )
    # There is nothing to make a Grafana from; its dashboard is asked of Prometheus below.
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


def test_up_succeeds_again_with_all_profiles_and_with_each(everything: Stack) -> None:
    services = set(everything.compose("config", "--services").stdout.split())
    for profiles in (",".join(PROFILES), "", *PROFILES):
        everything.up(env={"COMPOSE_PROFILES": profiles})
    states = everything.states()
    assert states.pop("bootstrap") == ("exited", 0)
    assert states == dict.fromkeys(services - {"bootstrap"}, ("running", "healthy"))
    assert len(states) == 11
    assert everything.ask("/health").body == {"status": "pass", "database": "pgbouncer:5432/godel"}


def test_no_program_of_any_profile_shows_a_secret(everything: Stack) -> None:
    passwords = everything.passwords()
    seen = everything.seen()
    assert len(passwords) == 8
    assert len(seen) > 50
    assert leaks(passwords, seen) == {}


# -- tools -----------------------------------------------------------------------------------------


class PgAdmin:
    """A browser that has logged in to pgAdmin."""

    def __init__(self, stack: Stack) -> None:
        self._place = f"http://127.0.0.1:{stack.variables['PORT_PGADMIN']}"
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._browser = urllib.request.build_opener(cookies)
        self._password = (stack.secrets / "pgadmin_password").read_text()

    def log_in(self) -> str:
        """The address of the page that the login leads to."""
        page = self._open("/login").decode()
        (token,) = set(re.findall(r'csrfToken": "([^"]+)"', page))
        form = {
            "email": "admin@example.org",
            "password": self._password,
            "csrf_token": token,
            "internal_button": "Login",
        }
        data = urllib.parse.urlencode(form).encode()
        with self._browser.open(f"{self._place}/authenticate/login", data, timeout=30) as answer:
            found = str(urllib.parse.urlsplit(answer.url).path)
        ((header, value),) = re.findall(
            r"csrf_token_header'\] = '([^']+)'.*?csrf_token'\] = '([^']+)'",
            self._open("/browser/js/utils.js").decode(),
            re.DOTALL,
        )
        self._browser.addheaders.append((header, value))
        return found

    def ask(self, path: str, **form: str) -> tuple[int, Any]:
        """Its status and document for a path below /browser; POST where there is a form."""
        try:
            return 200, json.loads(self._open(f"/browser/{path}", **form))
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def _open(self, path: str, **form: str) -> bytes:
        data = urllib.parse.urlencode(form).encode() if form else None
        with self._browser.open(f"{self._place}{path}", data, timeout=30) as answer:
            found: bytes = answer.read()
        return found


def test_pgadmin_connects_who_logs_in_to_the_server_it_was_told_of(everything: Stack) -> None:
    pgadmin = PgAdmin(everything)
    assert pgadmin.log_in() == "/browser/"
    (group,) = pgadmin.ask("nodes/")[1]["data"]
    (server,) = pgadmin.ask(f"server/nodes/{group['_id']}/")[1]["result"]
    assert (server["label"], server["host"], server["username"]) == (
        *("the stack", "postgres", "godel"),
    )
    place = f"{group['_id']}/{server['_id']}"
    status, refused = pgadmin.ask(f"server/connect/{place}", password="not the one")
    assert status == 401
    assert "password authentication failed for user" in refused["result"]["errmsg"]
    password = (everything.secrets / "postgres_password").read_text()
    status, connected = pgadmin.ask(f"server/connect/{place}", password=password)
    assert (status, connected["info"]) == (200, "Server connected.")
    databases = pgadmin.ask(f"database/nodes/{place}/")[1]["data"]
    assert "godel" in {database["label"] for database in databases}


def test_redis_commander_shows_redis_to_who_logs_in(everything: Stack) -> None:
    def ask(path: str, token: str = "", **form: str) -> tuple[int, str]:
        port = int(everything.variables["PORT_REDIS_COMMANDER"])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urllib.parse.urlencode(form) or None
        connection.request("POST" if body else "GET", path, body, headers)
        answered = connection.getresponse()
        text = answered.read().decode()
        connection.close()
        return answered.status, text

    status, page = ask("/")
    assert (status, "<title>Redis Commander: Home</title>" in page) == (200, True)
    assert ask("/connections")[0] == 401
    assert ask("/apiv2/server/info")[0] == 401
    assert ask("/signin", username="admin", password="not the one") == (200, '{"ok":false}')
    password = (everything.secrets / "redis_commander_password").read_text()
    token = json.loads(ask("/signin", username="admin", password=password)[1])["bearerToken"]
    (connection,) = json.loads(ask("/connections", token)[1])["connections"]
    assert connection["label"] == "the stack"
    (server,) = json.loads(ask("/apiv2/server/info", token)[1])["data"]
    assert {"key": "Redis mode", "value": "standalone"} in server["info"]


# -- monitoring ------------------------------------------------------------------------------------


def prometheus(stack: Stack, path: str, **query: str) -> Any:
    place = f"http://127.0.0.1:{stack.variables['PORT_PROMETHEUS']}/api/v1/{path}"
    with urllib.request.urlopen(f"{place}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
        return json.load(answer)["data"]


def result(stack: Stack, query: str) -> Any:
    return prometheus(stack, "query", query=query)["result"]


def test_prometheus_scrapes_all_and_knows_the_rules(everything: Stack) -> None:
    def all_up() -> bool:
        targets = prometheus(everything, "targets")["activeTargets"]
        jobs = {target["labels"]["job"] for target in targets if target["health"] == "up"}
        return jobs == {"bootstrapd", "postgres", "redis", "prometheus"}

    eventually(all_up, "four targets that are up")
    for metric in ("bootstrapd_ready", "pg_up", "redis_up"):
        (found,) = eventually(functools.partial(result, everything, metric), metric)
        assert found["value"][1] == "1", metric
    rules = [rule for group in prometheus(everything, "rules")["groups"] for rule in group["rules"]]
    assert len(rules) == 12
    eventually(
        lambda: all(
            rule["health"] == "ok"
            for group in prometheus(everything, "rules")["groups"]
            for rule in group["rules"]
        ),
        "rules that can be evaluated",
    )


def test_each_panel_of_the_dashboard_has_something_to_show(everything: Stack) -> None:
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
            assert prometheus(everything, "query", query=query)["resultType"] == "vector"
            continue
        eventually(
            functools.partial(result, everything, query),
            f"{title}: {query}",
        )


def test_alerts_fire_when_servers_are_gone_and_end_when_they_are_back(everything: Stack) -> None:
    def firing() -> set[str]:
        return {
            alert["labels"]["alertname"]
            for alert in prometheus(everything, "alerts")["alerts"]
            if alert["state"] == "firing"
        }

    eventually(lambda: not firing(), "quiet")
    everything.compose("stop", "postgres", "redis")
    wanted = {"DatabaseNotReady", "PostgresDown", "RedisDown"}
    eventually(lambda: wanted <= firing(), f"{wanted} firing")
    everything.compose("start", "postgres", "redis")
    eventually(lambda: not firing(), "quiet again")

    # Each is asked again within its interval; until then `up --wait` would find it as it was.
    def well() -> bool:
        if everything.ask("/health").status != 200:
            return False
        states = everything.states()
        return {states[name] for name in states if name != "bootstrap"} == {("running", "healthy")}

    eventually(well, "healthy again")

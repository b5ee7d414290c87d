"""What starts before what: one-shots, conditions, poolers."""

import re
from collections.abc import Iterator, Mapping

from bootstrap.doctor import finding
from bootstrap.doctor.daemon import Daemon
from bootstrap.doctor.finding import Edit, Finding
from bootstrap.doctor.nodes import Node
from bootstrap.doctor.service import Service
from bootstrap.doctor.stack import Stack

_COMPLETED = "service_completed_successfully"
_BRINGING_UP = ("run", "migrate")
_TOOLS = re.compile(
    r"exporter|pgadmin|adminer|commander|redisinsight|grafana|prometheus|backup|pghero|wal-g"
)


def check(stack: Stack) -> Iterator[Finding]:
    """Every fault of order."""
    bootstraps = _bootstraps(stack)
    early = list(_early(stack, bootstraps))
    yield from early
    for each in stack.services.values():
        if each.is_one_shot or _is_waited_for(stack, each):
            yield from _restart(each)
            # An app that is to wait for it is told of already.
            if not (early and each.name in bootstraps):
                yield from _alone(stack, each)
        yield from _conditions(stack, each)
        yield from _pooler(stack, each)


def _bootstraps(stack: Stack) -> dict[str, Service]:
    """The services in which bootstrapd brings the database up and ends."""
    return {
        name: each
        for name, each in stack.services.items()
        if each.daemon is not None and each.daemon.ends and each.daemon.verb in _BRINGING_UP
    }


def _is_waited_for(stack: Stack, each: Service) -> bool:
    return any(other.conditions.get(each.name) == _COMPLETED for other in stack.services.values())


def _restart(each: Service) -> Iterator[Finding]:
    node = each.node.get("restart")
    if node is not None and node.text in ("always", "unless-stopped"):
        edit = finding.put(node, "restart: on-failure")
        yield finding.at("one-shot-restart", node, each.name, f"restart: {node.text}", edit)


def _alone(stack: Stack, each: Service) -> Iterator[Finding]:
    """Compose counts the end of a one-shot as its aim where any service of the call says so."""
    others = [other for other in stack.services.values() if other.name != each.name]
    adopters = [other for other in others if other.conditions.get(each.name) == _COMPLETED]
    for profile in sorted(each.profiles) or [""]:
        chosen = {profile} - {""}
        if any(_starts(other, chosen) for other in adopters):
            continue
        staying = [
            other
            for other in others
            if _starts(other, chosen) and not other.is_one_shot and (not profile or other.profiles)
        ]
        if not staying:
            # Nobody brings that up to stay: it is for `docker compose run`.
            continue
        within = f" in profile {profile}" if profile else ""
        by = next((other for other in staying if other.kind == "other"), staying[0])
        yield finding.at(
            "one-shot-alone",
            each.node,
            each.name,
            f"no service{within} waits for it with {_COMPLETED}",
            depend(by, each.name, _COMPLETED),
        )
        return


def _starts(each: Service, chosen: set[str]) -> bool:
    return not each.profiles or bool(each.profiles & chosen)


def depend(each: Service, on: str, condition: str) -> Edit:
    """The service's depends_on with this condition in it."""
    conditions = {**each.conditions, on: condition}
    lines = ["depends_on:"]
    for name, wanted in conditions.items():
        lines += [f"  {name}:", f"    condition: {wanted}"]
    return finding.put_in(each.node, "depends_on", *lines)


def _early(stack: Stack, bootstraps: Mapping[str, Service]) -> Iterator[Finding]:
    """Apps that can start before bootstrapd has ended."""
    servers = {name for name, each in stack.services.items() if each.kind in ("postgres", "pooler")}
    for name, each in stack.services.items():
        if each.daemon is not None or each.kind != "other" or each.is_one_shot or _is_tool(each):
            continue
        if not (_talks_to(each, servers) or set(each.conditions) & {*bootstraps, *servers}):
            continue
        beside = [
            one for one in bootstraps.values() if not one.profiles or one.profiles & each.profiles
        ]
        if not beside or _waits(stack, name, set()):
            continue
        wanted = beside[0].name
        condition = each.conditions.get(wanted)
        found = f"it waits for {wanted} with {condition}"
        yield finding.at(
            "app-before-bootstrap",
            each.node.get("depends_on", wanted) or each.node.get("depends_on") or each.node,
            name,
            found if condition else f"it does not wait for {wanted}",
            depend(each, wanted, _COMPLETED),
        )


def _is_tool(each: Service) -> bool:
    image = each.image.text if each.image else ""
    official = each.image is not None and each.image.kind != "other"
    return official or bool(_TOOLS.search(f"{each.name} {image}"))


def _talks_to(each: Service, servers: set[str]) -> bool:
    for name, node in each.environment.items():
        text = node.text or ""
        if (
            name.upper().endswith(("HOST", "HOSTNAME", "SERVER"))
            and text.partition(":")[0] in servers
        ):
            return True
        if any(re.search(rf"(?:@|//){re.escape(server)}(?=[:/?,]|$)", text) for server in servers):
            return True
    return False


def _waits(stack: Stack, name: str, seen: set[str]) -> bool:
    """Whether a service, or one that it waits for, waits until bootstrapd has done its work."""
    if name in seen:
        return False
    seen.add(name)
    for other, condition in stack.services[name].conditions.items():
        each = stack.services.get(other)
        if each is None:
            continue
        if each.daemon is not None:
            if condition == _done(each.daemon):
                return True
        elif _waits(stack, other, seen):
            return True
    return False


def _done(how: Daemon) -> str | None:
    """The condition that holds once the database is up; None for verbs that do not see to it."""
    if how.ends:
        return _COMPLETED if how.verb in _BRINGING_UP else None
    return "service_healthy"


def _conditions(stack: Stack, each: Service) -> Iterator[Finding]:
    for name, condition in each.conditions.items():
        other = stack.services.get(name)
        if other is None or condition != "service_started":
            continue
        if other.daemon is not None and other.is_one_shot:
            continue
        if other.is_one_shot:
            wanted = _COMPLETED
        elif other.kind in ("postgres", "redis") or other.health is not None:
            wanted = "service_healthy"
        else:
            continue
        node = each.node.get("depends_on", name) or each.node
        # bootstrapd waits by itself, but not for ever.
        why = "its deadline runs while the other is still being made" if each.daemon else ""
        yield finding.at(
            "dependency-condition",
            node,
            each.name,
            f"depends_on: {name}",
            depend(each, name, wanted),
            why=why,
        )


def _pooler(stack: Stack, each: Service) -> Iterator[Finding]:
    if each.daemon is None or each.value("BOOTSTRAPD_DIRECT_URL"):
        return
    if each.value("BOOTSTRAPD_MIGRATE") == "false":
        return
    if "BOOTSTRAPD_DIRECT_URL_FILE" in each.environment or "--direct-url" in each.daemon.flags:
        return
    poolers = {name for name, other in stack.services.items() if other.kind == "pooler"}
    given = each.daemon.flags.get("--database-url", "")
    for name, node in each.environment.items():
        if name in ("DATABASE_URL", "POSTGRES_HOST") or name.endswith("DATABASE_URL"):
            text = node.text or ""
            hosts = [text.partition(":")[0], *re.findall(r"(?:@|//)([^@:/?,]+)", text)]
            through = poolers & set(hosts)
            if through:
                yield _through(stack, each, node, f"{name} leads to {min(through)}")
                return
    for pooler in poolers & set(re.findall(r"(?:@|//)([^@:/?,]+)", given)):
        yield _through(stack, each, each.node, f"--database-url leads to {pooler}")


def _through(stack: Stack, each: Service, node: Node, found: str) -> Finding:
    server = next(
        (other.name for other in stack.services.values() if other.kind == "postgres"), "db"
    )
    value = f"postgresql://USER@{server}:5432/DATABASE"
    environment = each.node.get("environment")
    if environment is None:
        edit = finding.add(each.node, "environment:", f"  BOOTSTRAPD_DIRECT_URL: {value}")
    elif any(entry.dash for entry in environment.entries.values()):
        edit = finding.add(environment, f"- BOOTSTRAPD_DIRECT_URL={value}")
    else:
        edit = finding.add(environment, f"BOOTSTRAPD_DIRECT_URL: {value}")
    return finding.at("pooler", node, each.name, found, edit)

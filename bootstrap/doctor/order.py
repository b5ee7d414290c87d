"""What starts before what: one-shots, conditions, poolers."""

import re
from collections.abc import Iterator, Mapping

from bootstrap.doctor import finding
from bootstrap.doctor.finding import Edit, Finding
from bootstrap.doctor.nodes import Node
from bootstrap.doctor.service import Service
from bootstrap.doctor.stack import Stack

_COMPLETED = "service_completed_successfully"
_TOOLS = re.compile(
    r"exporter|pgadmin|adminer|commander|redisinsight|grafana|prometheus|backup|pghero|metabase|wal-g"
)


def check(stack: Stack) -> Iterator[Finding]:
    """Every fault of order."""
    early = dict(_early(stack))
    yield from (found for _, found in early.values())
    bootstraps = {name for names, _ in early.values() for name in names}
    for each in stack.services.values():
        if each.is_one_shot or _is_waited_for(stack, each):
            yield from _restart(each)
            if each.name not in bootstraps:
                yield from _alone(stack, each)
        yield from _conditions(stack, each)
        yield from _pooler(stack, each)


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


def _early(stack: Stack) -> Iterator[tuple[str, tuple[set[str], Finding]]]:
    """Apps that can start before bootstrapd has ended, by name."""
    services = stack.services
    bootstraps = {
        name: each
        for name, each in services.items()
        if each.daemon is not None and each.is_one_shot and each.daemon.verb in ("run", "migrate")
    }
    serving = {
        name for name, each in services.items() if each.daemon and each.daemon.verb == "serve"
    }
    if not bootstraps:
        return
    servers = {name for name, each in services.items() if each.kind in ("postgres", "pooler")}
    for name, each in services.items():
        if each.daemon is not None or each.kind != "other" or each.is_one_shot or _is_tool(each):
            continue
        if not (_talks_to(each, servers) or set(each.conditions) & {*bootstraps, *servers}):
            continue
        if _waits(services, name, set(bootstraps), serving, set()):
            continue
        bootstrap = next(
            (
                one
                for one in bootstraps.values()
                if not one.profiles or one.profiles & each.profiles
            ),
            None,
        )
        if bootstrap is None:
            continue
        node = each.node.get("depends_on", bootstrap.name) or each.node.get("depends_on")
        shown = each.conditions.get(bootstrap.name)
        found = (
            f"it waits for {bootstrap.name} with {shown}"
            if shown
            else (f"it does not wait for {bootstrap.name}")
        )
        yield (
            name,
            (
                set(bootstraps),
                finding.at(
                    "app-before-bootstrap",
                    node or each.node,
                    name,
                    found,
                    depend(each, bootstrap.name, _COMPLETED),
                ),
            ),
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


def _waits(
    services: Mapping[str, Service],
    name: str,
    bootstraps: set[str],
    serving: set[str],
    seen: set[str],
) -> bool:
    """Whether a service, or one that it waits for, waits for the end of bootstrapd."""
    if name in seen or name not in services:
        return False
    seen.add(name)
    for other, condition in services[name].conditions.items():
        if other in bootstraps and condition == _COMPLETED:
            return True
        if other in serving and condition == "service_healthy":
            return True
        if other not in bootstraps and _waits(services, other, bootstraps, serving, seen):
            return True
    return False


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

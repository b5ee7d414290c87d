"""Health checks that say healthy too early, or give up too soon."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from bootstrap.doctor import finding, shell
from bootstrap.doctor.finding import Finding
from bootstrap.doctor.parts import Health
from bootstrap.doctor.service import Service
from bootstrap.doctor.stack import Stack
from bootstrap.options import SPECS

_ASKS = ("pg_isready", "psql")
_PING = re.compile(r"((?:redis|valkey)-cli\b[^|;&)`]*?\bping\b)", re.IGNORECASE)
_READINESS = re.compile(
    r"/(?:readyz|healthz|startupz)\b|bootstrapd\S* healthcheck|\bbootstrap healthcheck"
)
_CHECKS = {
    "postgres": '["CMD-SHELL", "pg_isready -h 127.0.0.1 -U \\"$${POSTGRES_USER:-postgres}\\""]',
    "redis": '["CMD-SHELL", "redis-cli ping | grep -q PONG"]',
}


def check(stack: Stack) -> Iterator[Finding]:
    """Every flaw of health checks."""
    for each in stack.services.values():
        if each.health is not None:
            yield from _socket(each, each.health)
            yield from _ping(each, each.health)
            yield from _liveness(each, each.health)
        yield from _budget(stack, each)
        yield from _none(stack, each)


def deadline_s(each: Service) -> float:
    """How long the bootstrapd of a service waits, in seconds."""
    spec = SPECS["BOOTSTRAPD_WAIT_TIMEOUT_S"]
    flag = each.daemon.flags.get(spec.flag) if each.daemon else None
    given = flag or each.value("BOOTSTRAPD_WAIT_TIMEOUT_S")
    try:
        return float(given) if given else float(str(spec.default))
    except ValueError:
        return float(str(spec.default))


def _test(line: str) -> str:
    """A test by a line of shell."""
    escaped = line.replace("$", "$$")
    return f"test: {json.dumps(['CMD-SHELL', escaped], ensure_ascii=False)}"


def _socket(each: Service, health: Health) -> Iterator[Finding]:
    for command in shell.simple_commands(health.argv):
        names = [PurePosixPath(word.lstrip("$(`")).name for word in command]
        place = next((names.index(name) for name in _ASKS if name in names), None)
        if place is None:
            continue
        host = _host(command[place + 1 :])
        if host is None:
            given = [
                word.partition("=")[2] for word in command[:place] if word.startswith("PGHOST=")
            ]
            host = given[0] if given else each.value("PGHOST")
        if host and not host.startswith("/"):
            continue
        line = re.sub(
            rf"\b({names[place]})\b(?:\s+(?:-h\s*|--host[= ])/\S*)?",
            r"\1 -h 127.0.0.1",
            health.words,
            count=1,
        )
        yield finding.at(
            "socket-check",
            health.test,
            each.name,
            f"test: {health.words}",
            finding.put(health.test, _test(line)),
        )
        return


def _host(arguments: Sequence[str]) -> str | None:
    for place, word in enumerate(arguments):
        after = arguments[place + 1] if place + 1 < len(arguments) else ""
        if word in ("-h", "--host"):
            return after
        if word.startswith("--host="):
            return word.partition("=")[2]
        if re.fullmatch(r"-h.+", word):
            return word[2:]
        value = after if word in ("-d", "--dbname") else word
        if match := re.search(r"://(?:[^@/\s]*@)?([^:/?\s]+)|\bhost(?:addr)?=(\S+)", value):
            return match[1] or match[2]
    return None


def _ping(each: Service, health: Health) -> Iterator[Finding]:
    text = health.words
    asked = _PING.search(text)
    if asked is None or "pong" in text.lower() or re.search(r"\s-e\s", asked[0]):
        return
    line = _PING.sub(r"\1 | grep -q PONG", text, count=1)
    public = _without_password(text)
    edit = finding.put(health.test, _test(line)) if public == text else None
    how = "" if edit else "redis-cli ping | grep -q PONG, with the password in REDISCLI_AUTH"
    yield finding.at("ping-check", health.test, each.name, f"test: {public}", edit, instead=how)


def _without_password(text: str) -> str:
    return re.sub(r"(\s(?:-a|--pass)[= ]?)\S+", r"\1***", text)


def _liveness(each: Service, health: Health) -> Iterator[Finding]:
    labels = each.node.get("labels")
    label = labels.get("autoheal") if labels is not None else None
    if label is not None and label.text == "true" and _READINESS.search(health.words):
        yield finding.at(
            "liveness", label, each.name, f"autoheal with {health.words}", finding.remove(label)
        )


def _budget(stack: Stack, each: Service) -> Iterator[Finding]:
    health = each.health
    if health is None:
        return
    if each.daemon is not None:
        waits = {each.name: deadline_s(each)}
    else:
        waits = {
            other.name: deadline_s(other)
            for other in stack.services.values()
            if other.daemon is not None and other.conditions.get(each.name) == "service_healthy"
        }
    wanted_s = max(waits.values(), default=0.0)
    if health.budget_s < wanted_s:
        who = max(waits, key=lambda name: waits[name])
        by = "bootstrapd" if who == each.name else f"bootstrapd in {who}"
        edit = finding.put_in(health.node, "start_period", f"start_period: {wanted_s:g}s")
        yield finding.at(
            "health-budget",
            health.node,
            each.name,
            f"{health.start_period_s:g} s + {health.interval_s:g} s * {health.retries} = "
            f"{health.budget_s:g} s, and {by} waits {wanted_s:g} s",
            edit,
        )


def _none(stack: Stack, each: Service) -> Iterator[Finding]:
    if each.kind not in _CHECKS or each.health is not None:
        return
    if each.image is None or not (each.image.official or each.kind == "redis"):
        return
    for other in stack.services.values():
        if other.conditions.get(each.name) == "service_healthy":
            lines = (
                "healthcheck:",
                f"  test: {_CHECKS[each.kind]}",
                "  interval: 2s",
                "  start_period: 60s",
            )
            yield finding.at(
                "no-health-check",
                each.node,
                each.name,
                f"{other.name} waits for service_healthy",
                finding.put_in(each.node, "healthcheck", *lines),
            )
            return

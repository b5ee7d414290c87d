"""Probes of Kubernetes that kill a migration, and what else is plain to see in a manifest."""

import re
from collections.abc import Iterator

from bootstrap.doctor import daemon, finding, image, images, parts, passwords, shell
from bootstrap.doctor.finding import Finding
from bootstrap.doctor.nodes import Node
from bootstrap.options import SPECS

_MANIFEST = re.compile(r"^(?:apiVersion|kind):", re.MULTILINE)
_READINESS = re.compile(r"/(?:readyz|healthz|startupz)\b|\bhealthcheck\b")
# Kubernetes' own: how often a probe asks, and how often it may fail.
_PERIOD_S, _FAILURES = 10.0, 3


def is_manifest(text: str) -> bool:
    """Whether a text is for Kubernetes, and not for compose."""
    return len(set(_MANIFEST.findall(text))) == 2


def check(documents: list[Node]) -> Iterator[Finding]:
    """Every fault of the containers that run bootstrapd."""
    for document in documents:
        for node in document.walk():
            for key in ("initContainers", "containers"):
                listed = node.get(key)
                for each in listed.items if listed is not None else ():
                    yield from _container(each)


def _container(each: Node) -> Iterator[Finding]:
    name = each.said("name") or ""
    node, given = each.get("image"), each.said("image")
    if node is not None and given:
        trouble = images.floats(image.read(given))
        if trouble is not None and trouble[0] == "error":
            yield finding.at("floating-tag", node, name, f"image: {given}", why=trouble[1])
    listed = each.get("env")
    environment = listed.items if listed is not None else ()
    for entry in environment:
        secret = passwords.secret(entry.said("name") or "", entry.said("value") or "")
        if secret is not None:
            yield finding.at(
                "password-in-environment",
                entry,
                name,
                secret.shown,
                why="whoever may read the manifest or the pod reads it",
                instead="valueFrom a secretKeyRef, or a file of a mounted secret",
            )
    words = (*shell.words(each.get("command")), *shell.words(each.get("args")))
    if daemon.within(words) is not None:
        values = {entry.said("name"): entry.said("value") for entry in environment}
        yield from _probes(each, name, values.get("BOOTSTRAPD_WAIT_TIMEOUT_S"))


def _probes(each: Node, name: str, deadline: str | None) -> Iterator[Finding]:
    probe = each.get("livenessProbe")
    if probe is not None:
        asks = " ".join(
            [
                probe.said("httpGet", "path") or "",
                *shell.words(probe.get("exec", "command")),
            ]
        ).strip()
        if _READINESS.search(asks):
            path = probe.get("httpGet", "path")
            edit = finding.put(path, "path: /livez") if path is not None else None
            yield finding.at("liveness", path or probe, name, f"livenessProbe asks {asks}", edit)
    wanted_s = parts.seconds(deadline, float(str(SPECS["BOOTSTRAPD_WAIT_TIMEOUT_S"].default)))
    probe = each.get("startupProbe")
    if probe is not None:
        period_s = parts.seconds(probe.said("periodSeconds"), _PERIOD_S)
        failures = parts.seconds(probe.said("failureThreshold"), _FAILURES)
        first_s = parts.seconds(probe.said("initialDelaySeconds"), 0.0)
        budget_s = first_s + period_s * failures
        if budget_s < wanted_s:
            threshold = f"failureThreshold: {wanted_s / period_s + 1:.0f}"
            yield finding.at(
                "health-budget",
                probe,
                name,
                f"{first_s:g} s + {period_s:g} s * {failures:g} = {budget_s:g} s, and bootstrapd "
                f"waits {wanted_s:g} s",
                finding.put_in(probe, "failureThreshold", threshold),
                why="the probe gives up and the container is killed, while bootstrapd is still "
                "within its deadline",
            )

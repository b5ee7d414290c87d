"""`doctor` finds the faults of manifests, and is silent about the one that the README shows."""

from pathlib import Path

import pytest

from bootstrap.doctor import examine, finding
from bootstrap.doctor.report import Report
from tests.support import docs

SOUND = (
    "apiVersion: v1\nkind: Pod\n"
    + docs.block(docs.README.read_text(encoding="utf-8"), "kubernetes").text
)
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      containers:
        - name: bootstrapd
          image: shop:1.4.0
          command: [/opt/bin/bootstrapd, serve]
          env:
            - {name: BOOTSTRAPD_WAIT_TIMEOUT_S, value: "120"}
          startupProbe:
            httpGet: {path: /startupz, port: 7374}
            periodSeconds: 5
            failureThreshold: 30
          livenessProbe:
            exec:
              command: [test, -e, /run/alive]
"""


def look(text: str, folder: Path) -> Report:
    file = folder / "pod.yaml"
    file.write_text(text)
    report = Report()
    examine.files([file], {}, report)
    return report


def test_nothing_is_found_where_no_fault_is(tmp_path: Path) -> None:
    assert look(SOUND, tmp_path).findings == []
    assert look(DEPLOYMENT, tmp_path).findings == []
    assert look(f"{SOUND}---\n{DEPLOYMENT}", tmp_path).findings == []


@pytest.mark.parametrize(
    ("text", "old", "new", "rule", "found", "mends"),
    [
        (
            SOUND,
            "{path: /livez, port: 7374}",
            "\n          path: /readyz\n          port: 7374",
            "liveness",
            "livenessProbe asks /readyz",
            True,
        ),
        (
            DEPLOYMENT,
            "[test, -e, /run/alive]",
            "[bootstrapd, healthcheck]",
            "liveness",
            "livenessProbe asks bootstrapd healthcheck",
            False,
        ),
        (
            DEPLOYMENT,
            "failureThreshold: 30",
            "failureThreshold: 20",
            "health-budget",
            "0 s + 5 s * 20 = 100 s, and bootstrapd waits 120 s",
            True,
        ),
        (
            DEPLOYMENT,
            "            failureThreshold: 30\n",
            "",
            "health-budget",
            "0 s + 5 s * 3 = 15 s, and bootstrapd waits 120 s",
            True,
        ),
        (
            DEPLOYMENT,
            '{name: BOOTSTRAPD_WAIT_TIMEOUT_S, value: "120"}',
            "{name: DB_PASSWORD, value: correct-horse}",
            "password-in-environment",
            "DB_PASSWORD: ***",
            False,
        ),
        (DEPLOYMENT, "shop:1.4.0", "shop:latest", "floating-tag", "image: shop:latest", False),
    ],
)
def test_each_fault_is_found_and_nothing_else(
    text: str, old: str, new: str, rule: str, found: str, mends: bool, tmp_path: Path
) -> None:
    assert old in text
    text = text.replace(old, new, 1)
    (only,) = look(text, tmp_path).findings
    assert (only.rule, only.found) == (rule, found)
    assert "correct-horse" not in repr(only)
    if mends:
        (edit,) = only.edits
        assert look(finding.applied(text, edit), tmp_path).findings == []


def test_a_consent_holds_for_the_file(tmp_path: Path) -> None:
    text = DEPLOYMENT.replace("shop:1.4.0", "shop:latest")
    report = look(f"{text}# bootstrapd: allow floating-tag, because it is for a demo\n", tmp_path)
    assert report.findings == []
    assert [each.reason for each in report.allowed] == ["it is for a demo"]

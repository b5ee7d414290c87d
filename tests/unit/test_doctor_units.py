"""`doctor` finds each planted fault of systemd units, and says which lines would mend it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from bootstrap.doctor import examine, finding
from bootstrap.doctor.report import Report
from tests.support import docs

SERVE = """\
[Unit]
Description=The database of the shop
After=network-online.target

[Service]
Type=notify
ExecStart=/opt/shop/bin/bootstrapd serve
LoadCredential=database_url:/etc/shop/database_url
Environment=DATABASE_URL_FILE=%d/database_url
Environment="BOOTSTRAPD_WAIT_TIMEOUT_S=120" MODE=fast
TimeoutStartSec=30
KillMode=mixed
TimeoutStopSec=30
Restart=on-failure
"""
ONCE = """\
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/opt/shop/bin/python -m bootstrap \\
    run --timeout 100
TimeoutStartSec=5min
"""
APP = """\
[Unit]
Description=The shop
After=network-online.target bootstrapd.service
Requires=bootstrapd.service

[Service]
ExecStart=/opt/shop/bin/gunicorn shop:app
"""
SOUND = {"bootstrapd.service": SERVE, "once.service": ONCE, "shop.service": APP}


@dataclass(frozen=True)
class Fault:
    rule: str
    unit: str
    old: str
    new: str
    line: int
    found: str
    mends: bool = True


FAULTS = {
    "serve as a simple service": Fault(
        "unit-type", "bootstrapd.service", "Type=notify", "Type=simple", 6, "Type=simple"
    ),
    "serve without a type": Fault(
        "unit-type", "bootstrapd.service", "Type=notify\n", "", 6, "Type=simple"
    ),
    "run of an app as a oneshot": Fault(
        "unit-type",
        "once.service",
        "run --timeout 100",
        "run --timeout 100 -- gunicorn shop:app",
        2,
        "Type=oneshot",
    ),
    "a oneshot killed too early": Fault(
        "unit-timeout",
        "once.service",
        "TimeoutStartSec=5min",
        "TimeoutStartSec=1min 30s",
        6,
        "TimeoutStartSec=1min 30s, and bootstrapd waits 100 s",
    ),
    "stopped too early": Fault(
        "stop-grace",
        "bootstrapd.service",
        "TimeoutStopSec=30",
        "TimeoutStopSec=5",
        13,
        "TimeoutStopSec=5",
    ),
    "only the first process is killed": Fault(
        "unit-kill",
        "bootstrapd.service",
        "KillMode=mixed",
        "KillMode=process",
        12,
        "KillMode=process",
    ),
    "a oneshot that is started again": Fault(
        "one-shot-restart",
        "once.service",
        "TimeoutStartSec=5min",
        "TimeoutStartSec=5min\nRestart=always",
        7,
        "Restart=always",
    ),
    "an app that needs nothing": Fault(
        "unit-order",
        "shop.service",
        "Requires=bootstrapd.service\n",
        "",
        1,
        "Requires= of bootstrapd.service missing",
    ),
    "an app that comes after nothing": Fault(
        "unit-order",
        "shop.service",
        " bootstrapd.service\nRequires=bootstrapd.service",
        "",
        1,
        "After= and Requires= of bootstrapd.service missing",
    ),
    "a password": Fault(
        "password-in-environment",
        "bootstrapd.service",
        "MODE=fast",
        "MODE=fast POSTGRES_PASSWORD=correct-horse",
        10,
        "Environment=POSTGRES_PASSWORD=***",
    ),
    "a password in a URL": Fault(
        "password-in-environment",
        "shop.service",
        "[Service]\n",
        "[Service]\nEnvironment=DATABASE_URL=postgresql://shop:correct-horse@db/shop\n",
        7,
        "Environment=DATABASE_URL=postgresql://shop:***@db/shop",
    ),
    "a password in a command": Fault(
        "password-in-command",
        "bootstrapd.service",
        "bootstrapd serve",
        "bootstrapd serve --database-url postgresql://shop:correct-horse@db/shop",
        7,
        "ExecStart=/opt/shop/bin/bootstrapd serve --database-url postgresql://shop:***@db/shop",
        mends=False,
    ),
    "a consent without use": Fault(
        "consent",
        "shop.service",
        "[Service]\n",
        "[Service]\n# bootstrapd: allow unit-order, because it was once\n",
        7,
        "# bootstrapd: allow unit-order, because it was once",
        mends=False,
    ),
}


def look(units: dict[str, str], folder: Path) -> Report:
    paths = []
    for name, text in units.items():
        paths.append(folder / name)
        paths[-1].write_text(text)
    report = Report()
    examine.files(paths, {}, report)
    return report


def test_nothing_is_found_where_no_fault_is(tmp_path: Path) -> None:
    assert look(SOUND, tmp_path).findings == []


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_at_its_line_and_nothing_else(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    assert fault.old in SOUND[fault.unit]
    units = {**SOUND, fault.unit: SOUND[fault.unit].replace(fault.old, fault.new, 1)}
    report = look(units, tmp_path)
    assert [
        (each.rule, Path(each.place).name, each.line, each.found) for each in report.findings
    ] == [(fault.rule, fault.unit, fault.line, fault.found)]
    assert "correct-horse" not in repr(report)
    if fault.mends:
        (found,) = report.findings
        for edit in sorted(found.edits, key=lambda each: each.first, reverse=True):
            units[fault.unit] = finding.applied(units[fault.unit], edit)
        assert look(units, tmp_path).findings == []


def test_a_consent_holds_for_its_unit(tmp_path: Path) -> None:
    note = "# bootstrapd: allow unit-type, because nothing comes after it\n"
    serve = SERVE.replace("Type=notify\n", note)
    report = look({"bootstrapd.service": serve}, tmp_path)
    assert report.findings == []
    assert [(each.finding.rule, each.reason) for each in report.allowed] == [
        ("unit-type", "nothing comes after it")
    ]


def test_drop_ins_count(tmp_path: Path) -> None:
    folder = tmp_path / "bootstrapd.service.d"
    folder.mkdir()
    (folder / "override.conf").write_text(
        "[Service]\nType=simple\nEnvironment=POSTGRES_PASSWORD=correct-horse\nKillMode=none\n"
    )
    (folder / "later.conf").write_text("[Service]\nKillMode=process\n")
    found = look({"bootstrapd.service": SERVE}, tmp_path).findings
    assert [(each.rule, Path(each.place).name, each.line, each.subject) for each in found] == [
        ("unit-type", "override.conf", 2, "bootstrapd.service"),
        ("password-in-environment", "override.conf", 3, "bootstrapd.service"),
        ("unit-kill", "override.conf", 4, "bootstrapd.service"),
    ]
    note = "# bootstrapd: allow unit-type, because nothing comes after it\n"
    report = look({"bootstrapd.service": note + SERVE}, tmp_path)
    assert [each.finding.rule for each in report.allowed] == ["unit-type"]


GATED = """\
[Service]
ExecStartPre=/opt/shop/bin/bootstrapd run
ExecStart=/opt/shop/bin/gunicorn shop:app
"""


def test_a_bring_up_before_the_app_has_the_time_that_it_may_take(tmp_path: Path) -> None:
    assert look({"shop.service": GATED, "once.service": ONCE}, tmp_path).findings == []
    text = GATED.replace("run\n", "run --timeout 300\n")
    (found,) = look({"shop.service": text}, tmp_path).findings
    assert (found.rule, found.found) == (
        "unit-timeout",
        "TimeoutStartSec=90, and bootstrapd waits 300 s",
    )
    (edit,) = found.edits
    assert look({"shop.service": finding.applied(text, edit)}, tmp_path).findings == []


def test_the_unit_of_the_readme_is_sound(tmp_path: Path) -> None:
    page = docs.README.read_text(encoding="utf-8")
    assert look({"shop.service": docs.block(page, "systemd").text}, tmp_path).findings == []


def test_an_app_alone_is_nobodys_to_judge(tmp_path: Path) -> None:
    app = APP.replace(" bootstrapd.service\nRequires=bootstrapd.service", "")
    assert look({"shop.service": app}, tmp_path).findings == []

"""`doctor` finds each planted fault of a compose file, and says which lines would mend it."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bootstrap.doctor import examine, finding
from bootstrap.doctor.report import Report
from tests.support.doctor import FAULTS, GOOD, compatible, line_of, plant, plant_all


def look(text: str, folder: Path, environ: Mapping[str, str] | None = None) -> Report:
    """The report on a compose file with this text."""
    file = folder / "compose.yaml"
    file.write_text(text)
    report = Report()
    examine.files([file], environ or {}, report)
    return report


def shown(report: Report) -> list[tuple[str, int | None, str]]:
    return [(each.rule, each.line, each.severity) for each in report.findings]


def test_nothing_is_found_where_no_fault_is(tmp_path: Path) -> None:
    assert look(GOOD, tmp_path).findings == []


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_at_its_line_and_nothing_else(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    text = plant(GOOD, fault)
    report = look(text, tmp_path)
    assert shown(report) == [(fault.rule, line_of(text, fault), fault.severity)]
    assert "correct-horse" not in repr(report)


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.mends])
def test_the_lines_that_are_given_mend_it(name: str, tmp_path: Path) -> None:
    text = plant(GOOD, FAULTS[name])
    (found,) = look(text, tmp_path).findings
    assert found.edits
    # From the end, so that no edit moves the lines of another.
    for edit in sorted(found.edits, key=lambda each: each.first, reverse=True):
        assert edit.first
        text = finding.applied(text, edit)
    assert look(text, tmp_path).findings == []


@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(names=st.sets(st.sampled_from(sorted(FAULTS)), min_size=2, max_size=8))
def test_faults_beside_each_other_are_all_found(names: set[str], tmp_path: Path) -> None:
    assume(compatible(names))
    text = plant_all(names)
    found = shown(look(text, tmp_path))
    faults = [FAULTS[name] for name in names]
    for fault in faults:
        assert (fault.rule, line_of(text, fault), fault.severity) in found
    assert {rule for rule, _, _ in found} <= {fault.rule for fault in faults}

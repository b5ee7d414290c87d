"""`doctor` has nothing to say about the stack that the project ships, whatever is laid over it."""

import itertools
from pathlib import Path

import pytest

from bootstrap.doctor import examine
from bootstrap.doctor.report import Report

FOLDER = Path(__file__).parents[2] / "compose"
BASE = FOLDER / "compose.yml"
OVERLAYS = sorted(FOLDER.glob("compose.*.yml"))
CHOICES = [
    chosen
    for count in range(len(OVERLAYS) + 1)
    for chosen in itertools.combinations(OVERLAYS, count)
]


def _name(chosen: tuple[Path, ...]) -> str:
    return "+".join(path.name for path in (BASE, *chosen))


@pytest.mark.parametrize("chosen", CHOICES, ids=_name)
def test_nothing_is_found_in_our_own_files(chosen: tuple[Path, ...]) -> None:
    report = Report()
    examine.files([BASE, *chosen], {}, report)
    assert report.findings == []
    assert report.allowed == []

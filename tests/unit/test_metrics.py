"""The metrics: whole, documented, and named as Prometheus wants it."""

import re
from collections.abc import Callable, Iterator

import pytest
from prometheus_client import parser
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics

from bootstrap import __version__, errors, journal, metrics

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
# The base units that promtool's linter wants, as far as they concern us.
NO_BASE_UNIT = re.compile(r"_(milli|micro|nano)?(minutes|hours|days|milliseconds|percent|bits)\b")


@pytest.fixture
def record() -> journal.Journal:
    record = journal.Journal(clock=lambda: 1_800_000_000.0)
    record.set(app="godel", target="db:5432/godel", release="1.2.3")
    return record


@pytest.fixture
def full(record: journal.Journal) -> journal.Journal:
    """A journal in which every metric has something to say."""
    for error_class in ("dns", "connection_refused", "connection_refused"):
        record.attempt(error_class)
    record.set(
        wait_s=2.5,
        lock_s=0.25,
        durations_s={"wait": 2.5, "migrate": 4.0},
        revisions=("0003", "a1"),
        heads=("0005",),
        pending=2,
        findings=({"object": "index a"},),
        fallback=True,
    )
    record.ready("ready")
    return record


def text(record: journal.Journal, accept: str = "") -> str:
    body, _ = metrics.exposition(metrics.registry(record), accept)
    return body.decode()


def families(record: journal.Journal) -> list[Metric]:
    return list(parser.text_string_to_metric_families(text(record)))


def samples(record: journal.Journal) -> dict[str, float]:
    return {
        sample.name
        + "".join(f"{{{label}={value}}}" for label, value in sorted(sample.labels.items())): (
            sample.value
        )
        for family in families(record)
        for sample in family.samples
    }


def test_every_sample_of_a_full_journal(full: journal.Journal) -> None:
    phases = {
        f"bootstrapd_phase{{phase={phase}}}": float(phase == "ready")
        for phase in ("starting", "ready", "failed", "lost", "stopping")
    }
    stages = {
        f"bootstrapd_stage{{stage={stage}}}": float(stage == "ready") for stage in journal.STAGES
    }
    assert samples(full) == {
        "bootstrapd_ready": 1.0,
        **phases,
        **stages,
        "bootstrapd_stage_duration_seconds{stage=wait}": 2.5,
        "bootstrapd_stage_duration_seconds{stage=migrate}": 4.0,
        "bootstrapd_attempts_total{error_class=dns}": 1.0,
        "bootstrapd_attempts_total{error_class=connection_refused}": 2.0,
        "bootstrapd_wait_seconds": 2.5,
        "bootstrapd_lock_wait_seconds": 0.25,
        "bootstrapd_revision_info{head=0005}{revision=0003, a1}": 1.0,
        "bootstrapd_pending_revisions": 2.0,
        "bootstrapd_findings": 1.0,
        "bootstrapd_fallback": 1.0,
        "bootstrapd_last_success_timestamp_seconds": 1_800_000_000.0,
        f"bootstrapd_build_info{{app=godel}}{{release=1.2.3}}{{version={__version__}}}": 1.0,
    }


def test_what_is_not_known_yet_is_absent(record: journal.Journal) -> None:
    found = samples(record)
    assert "bootstrapd_pending_revisions" not in found
    assert "bootstrapd_last_success_timestamp_seconds" not in found
    assert found["bootstrapd_ready"] == 0.0


def test_exactly_one_stage_and_one_phase_are_set(record: journal.Journal) -> None:
    for stage in journal.STAGES:
        record.set(stage=stage)
        found = samples(record)
        assert [name for name in found if name.startswith("bootstrapd_stage{") and found[name]] == [
            f"bootstrapd_stage{{stage={stage}}}"
        ]
    record.failed(errors.LockError("held"))
    found = samples(record)
    assert [name for name in found if name.startswith("bootstrapd_phase{") and found[name]] == [
        "bootstrapd_phase{phase=failed}"
    ]


def test_a_scrape_shows_the_journal_as_it_is_then(record: journal.Journal) -> None:
    registry = metrics.registry(record)
    assert b"\nbootstrapd_ready 0.0\n" in metrics.exposition(registry, "")[0]
    record.ready("ready")
    assert b"\nbootstrapd_ready 1.0\n" in metrics.exposition(registry, "")[0]
    record.lost("gone", "timeout")
    assert b"\nbootstrapd_ready 0.0\n" in metrics.exposition(registry, "")[0]


def test_two_journals_know_nothing_of_each_other(full: journal.Journal) -> None:
    assert samples(journal.Journal())["bootstrapd_ready"] == 0.0
    assert samples(full)["bootstrapd_ready"] == 1.0


def documented() -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Name, labels and type of each line of the table in the module's docstring."""
    row = re.compile(r"^\| `(\w+)(?:\{([\w,]+)\})?` +\| (\w+) +\| .+ \|$", re.MULTILINE)
    for name, labels, kind in row.findall(metrics.__doc__ or ""):
        yield name, tuple(sorted(labels.split(","))) if labels else (), kind


def test_the_table_in_the_module_is_what_is_served(full: journal.Journal) -> None:
    served = {
        (sample.name, tuple(sorted(sample.labels)), family.type)
        for family in families(full)
        for sample in family.samples
    }
    assert sorted(served) == sorted(documented())


def test_names_are_as_promtool_wants_them(full: journal.Journal) -> None:
    for family in families(full):
        for sample in family.samples:
            assert re.fullmatch(r"bootstrapd_[a-z][a-z0-9_]*", sample.name)
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert not sample.name.endswith(("_count", "_sum", "_bucket"))
            assert not NO_BASE_UNIT.search(sample.name)
            assert family.type not in sample.name
        assert family.documentation.endswith(".")


def test_the_other_form_of_prometheus_is_valid_too(full: journal.Journal) -> None:
    parse: Callable[[str], Iterator[Metric]] = openmetrics.text_string_to_metric_families
    found = list(parse(text(full, OPENMETRICS)))
    assert {sample.name for family in found for sample in family.samples} == {
        sample.name for family in families(full) for sample in family.samples
    }


def test_labels_are_escaped(record: journal.Journal) -> None:
    record.set(revisions=('odd "name"\\\n',))
    assert 'bootstrapd_revision_info{head=""' in text(record)
    found = [name for name in samples(record) if name.startswith("bootstrapd_revision_info")]
    assert found == ['bootstrapd_revision_info{head=}{revision=odd "name"\\\n}']

"""What Prometheus can scrape, drawn from the journal's status at the moment of the scrape.

| metric                                       | type    | meaning                                |
|----------------------------------------------|---------|----------------------------------------|
| `bootstrapd_ready`                           | gauge   | 1 while the app may run on it          |
| `bootstrapd_phase{phase}`                    | gauge   | 1 for the present phase, else 0        |
| `bootstrapd_stage{stage}`                    | gauge   | 1 for the present stage, else 0        |
| `bootstrapd_stage_duration_seconds{stage}`   | gauge   | how long it took when it last ended    |
| `bootstrapd_attempts_total{error_class}`     | counter | failed tries to reach the servers      |
| `bootstrapd_wait_seconds`                    | gauge   | time spent waiting for the servers     |
| `bootstrapd_lock_wait_seconds`               | gauge   | time spent waiting for the lock        |
| `bootstrapd_revision_info{revision,head}`    | gauge   | 1; what is there, what is wanted       |
| `bootstrapd_pending_revisions`               | gauge   | still to be applied; absent if unknown |
| `bootstrapd_findings`                        | gauge   | differences that validation found      |
| `bootstrapd_fallback`                        | gauge   | 1 if SQLite stands in for PostgreSQL   |
| `bootstrapd_last_success_timestamp_seconds`  | gauge   | when all was last well; else absent    |
| `bootstrapd_build_info{app,release,version}` | gauge   | 1; `version` is that of bootstrapd     |
"""

from collections.abc import Iterator, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from bootstrap import __version__, journal


def registry(record: journal.Journal) -> CollectorRegistry:
    """A registry with the metrics of this journal alone."""
    made = CollectorRegistry(auto_describe=False)
    made.register(_Collector(record))
    return made


def exposition(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """The metrics in the form that the `Accept` header asks for, and its content type."""
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Collector(Collector):
    def __init__(self, record: journal.Journal) -> None:
        self._record = record

    def collect(self) -> Iterator[Metric]:
        status = self._record.status
        yield _gauge("ready", "Whether the app may run on the database.", status.phase == "ready")
        yield _labelled(
            "phase",
            "The present phase of the bring-up.",
            "phase",
            {phase: phase == status.phase for phase in get_args(journal.Phase)},
        )
        yield _labelled(
            "stage",
            "The present stage of the bring-up.",
            "stage",
            {stage: stage == status.stage for stage in journal.STAGES},
        )
        yield _labelled(
            "stage_duration_seconds",
            "How long a stage took when it last ended.",
            "stage",
            status.durations_s,
        )
        attempts = CounterMetricFamily(
            "bootstrapd_attempts",
            "Failed tries to reach the servers, by the class of the error.",
            labels=("error_class",),
        )
        for error_class, count in status.attempts.items():
            attempts.add_metric((error_class,), count)
        yield attempts
        yield _gauge("wait_seconds", "Time spent waiting for the servers.", status.wait_s)
        yield _gauge(
            "lock_wait_seconds", "Time spent waiting for the migration lock.", status.lock_s
        )
        yield _info(
            "revision",
            "The revisions of the database, and those that this release wants.",
            {"revision": ", ".join(status.revisions), "head": ", ".join(status.heads)},
        )
        if status.pending is not None:
            yield _gauge("pending_revisions", "Revisions to be applied yet.", status.pending)
        yield _gauge("findings", "Differences that validation found.", len(status.findings))
        yield _gauge("fallback", "Whether SQLite stands in for PostgreSQL.", status.fallback)
        if status.last_success_at is not None:
            yield _gauge(
                "last_success_timestamp_seconds",
                "When all was last found well.",
                status.last_success_at,
            )
        yield _info(
            "build",
            "What is running.",
            {"app": status.app, "release": status.release, "version": __version__},
        )


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"bootstrapd_{name}", what, value=float(value))


def _labelled(name: str, what: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"bootstrapd_{name}", what, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), float(value))
    return family


def _info(name: str, what: str, labels: Mapping[str, str]) -> Metric:
    return InfoMetricFamily(f"bootstrapd_{name}", what, value=dict(labels))

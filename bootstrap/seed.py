"""The seed stage: the app's reference rows are there; what was there already stays as it is.

And demo rows for trying things out, which only come when they are asked for.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap import child, journal, settings
from bootstrap.errors import SeedError, SettingsError
from bootstrap.journal import Progress

NARRATE_EVERY_S = 5.0


@dataclass(frozen=True)
class Seeded:
    """Rows `inserted` and `present`, a table."""

    tables: Mapping[str, Mapping[str, int]]

    @property
    def inserted(self) -> int:
        """How many rows are new, over all tables."""
        return sum(counts.get("inserted", 0) for counts in self.tables.values())

    @property
    def message(self) -> str:
        """The outcome in one sentence."""
        if not self.tables:
            return "nothing to seed"
        return "; ".join(
            f"{table}: {counts.get('inserted', 0)} inserted,"
            f" {counts.get('present', 0)} there already"
            for table, counts in self.tables.items()
        )


def seed(loaded: settings.Loaded, worker: child.Worker, record: journal.Journal) -> Seeded:
    """Insert the rows that the app declares and the database lacks, in one transaction.

    Raises SeedError; nothing of the seeds is kept then.
    """
    if not loaded.app.seeds:
        return Seeded({})
    try:
        answer = worker.call(
            "seed",
            seeds=loaded.app.seeds,
            metadata=loaded.app.metadata,
            # What a function takes for the current folder is the user's, not that of `env.py`.
            folder=str(Path.cwd()),
        )
    except child.WorkerError as error:
        raise SeedError(
            f"seeding {loaded.target.identity} from {loaded.app.seeds} failed and was rolled back: "
            f"{error.failure['message']}; mend the seeds, then run: bootstrapd seed",
            sqlstate=error.failure["sqlstate"],
        ) from error
    seeded = Seeded(answer["seeded"])
    record.set(seeded=seeded.tables)
    record.event("seeded", seeded.message, inserted=seeded.inserted)
    return seeded


@dataclass(frozen=True)
class Demo:
    """Demo rows that are asked for: `rows` in the largest tables, the same for the same `seed`.

    `exact` says for a table how many instead. Without `more` the tables must hold nothing but the
    app's reference rows.
    """

    rows: int
    exact: Mapping[str, int]
    seed: int
    more: bool


def fill(
    loaded: settings.Loaded,
    worker: child.Worker,
    record: journal.Journal,
    wanted: Demo,
    reference: Seeded,
) -> Mapping[str, int]:
    """Fill every table with demo rows, in one transaction; returns how many came into each.

    `reference` is what the app's own seeds have put there. Raises SeedError; nothing is kept then.
    """
    app, place = loaded.app, loaded.target.identity
    if loaded.settings.environment == "production":
        raise SeedError(
            f"{place} is in production: demo rows do not belong there; nothing was inserted"
        )
    if app.metadata is None:
        raise SeedError(
            f"demo rows are made from the models, and app {app.name} declares none; set metadata "
            f"in {app.declared_in}"
        )
    try:
        answer = worker.call(
            "demo",
            _Narrator(record),
            metadata=app.metadata,
            rows=wanted.rows,
            exact=dict(wanted.exact),
            seed=wanted.seed,
            more=wanted.more,
            reference={name: sum(counts.values()) for name, counts in reference.tables.items()},
        )
    except child.WorkerError as error:
        failure = error.failure
        if failure["kind"] == "UnknownTableError":
            raise SettingsError(f"--rows: {failure['message']}") from error
        if failure["kind"] == "NotEmptyError":
            raise SeedError(
                f"{place} has rows already: {failure['message']}; demo rows go into empty tables, "
                "or with --more beside what is there"
            ) from error
        raise SeedError(
            f"filling {place} with demo rows failed and was rolled back: {failure['message']}",
            sqlstate=failure["sqlstate"],
        ) from error
    made: Mapping[str, int] = answer["demo"]
    total = sum(made.values())
    record.event("filled", f"{total} demo rows in {len(made)} tables of {place}", inserted=total)
    return made


class _Narrator:
    """Turns the worker's events into progress, and into a line every few seconds."""

    def __init__(self, record: journal.Journal) -> None:
        self._record = record
        self._began_s = time.monotonic()
        self._said_s = self._began_s

    def __call__(self, event: Mapping[str, Any] | None) -> None:
        if event is None or event["event"] != "demo_progress":
            return
        now_s = time.monotonic()
        progress = Progress("rows", event["done"], event["total"], self._began_s)
        self._record.set(progress=progress)
        loud = now_s - self._said_s >= NARRATE_EVERY_S
        if loud:
            self._said_s = now_s
        eta = progress.eta_s(now_s)
        left = "" if eta is None else f", about {eta:.0f} s left"
        self._record.event(
            "progress",
            f"{progress.done} of {progress.total} demo rows, now {event['table']}{left}",
            level="info" if loud else "debug",
        )

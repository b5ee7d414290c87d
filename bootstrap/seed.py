"""The seed stage: the app's reference rows are there; what was there already stays as it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bootstrap import child, journal, settings
from bootstrap.errors import SeedError


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

"""What all parts of one move share: what was asked, what was found, how far it is."""

import contextlib
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bootstrap import database, journal, libpq, target
from bootstrap.errors import Terminated
from bootstrap.journal import Progress
from bootstrap.move import described, mapping, scan, source, verify
from bootstrap.move.asker import Asker
from bootstrap.move.findings import Findings
from bootstrap.move.mapping import Plan
from bootstrap.move.problems import Problem
from bootstrap.move.relations import Amended, Relations
from bootstrap.move.request import Request
from bootstrap.place import Place

NARRATE_EVERY_S = 5.0
DRAW_EVERY_S = 0.2


@dataclass
class Table:
    """One table on its way: how many rows were read, and what the lines to compare come to."""

    plan: Plan
    digest: verify.Digest = field(default_factory=verify.Digest)
    seen: scan.Seen = field(default_factory=scan.Seen)
    read: int = 0


class Run:
    """One move on its way."""

    def __init__(self, place: Place, request: Request, findings: Findings) -> None:
        self.place = place
        self.request = request
        self.findings = findings
        self.amended = Amended()
        self.durations_s: dict[str, float] = {}
        self.source_version = ""
        self._checked: str | None = None

    @property
    def record(self) -> journal.Journal:
        """The record."""
        return self.place.record

    @contextlib.contextmanager
    def stage(self, name: str, doing: str) -> Iterator[None]:
        """A part of the work, whose seconds add up under its name."""
        began_s = time.monotonic()
        try:
            with self.record.stage(name, doing):
                yield
        finally:
            took_s = time.monotonic() - began_s
            self.durations_s[name] = round(self.durations_s.get(name, 0.0) + took_s, 3)

    @contextlib.contextmanager
    def plans(
        self, origin: source.Source, connection: libpq.Connection, here: target.Target
    ) -> Iterator[list[Plan]]:
        """The tables to move into the schema behind `connection`; what does not fit is reported.

        `here` is the same database, which may be asked over another connection meanwhile.
        """
        _, version = database.version_table(self.place.here.app)
        self._asker = Asker(lambda: libpq.reach(here.conninfo()))
        self.source_version = origin.version
        try:
            plans, problems = mapping.plans(
                origin,
                described.tables(connection, version),
                self.request,
                self._asker,
                version_table=version,
            )
            for problem in problems:
                self.findings.add(problem)
            yield plans
        finally:
            self._asker.close()

    @contextlib.contextmanager
    def integrity(self) -> Iterator[None]:
        """Meanwhile check the file itself, on a processor that the rest leaves free.

        What this run has checked already and nobody has written to is not checked again.
        """
        path = self.request.path
        stamp = source.stamp(path)
        if stamp == self._checked:
            yield
            return
        came: list[source.Integrity | sqlite3.DatabaseError] = []

        def check() -> None:
            try:
                came.append(source.integrity(path))
            except sqlite3.DatabaseError as error:
                came.append(error)

        thread = threading.Thread(target=check, daemon=True)
        thread.start()
        yield
        thread.join()
        (found,) = came
        if isinstance(found, sqlite3.DatabaseError):
            raise found
        self._checked = stamp
        if found.left_out is not None:
            self.record.event(
                "indexes_unchecked",
                f"the indexes of {path} were not compared with its rows: {found.left_out}, which "
                "only its app adds to SQLite; the rows themselves are all looked at",
                level="warning",
            )
        for line in found.lines:
            self.findings.add(Problem("damaged", "", value=line, wanted="a sound file"))

    def examine(self, origin: source.Source, plans: Sequence[Plan]) -> Relations:
        """Ask the source about rows that do not go together."""
        relations = self.relations(origin, plans)
        counter = self.progress("steps through keys, CHECKs and references", relations.steps)
        relations.examine(counter.add)
        if relations.unjudged:
            self.record.event(
                "unjudged",
                "only the target can judge these CHECKs and unique indexes, as rows come: "
                + ", ".join(relations.unjudged),
                level="warning" if self.request.dry_run else "info",
            )
        return relations

    def relations(self, origin: source.Source, plans: Sequence[Plan]) -> Relations:
        """What asks about such rows."""
        return Relations(origin, plans, self.findings, self.amended, self._asker)

    def progress(self, what: str, total: int) -> "Counter":
        """Counts the units of a long step, and tells of it now and then."""
        return Counter(self, what, total)


class Counter:
    """How far a long step is."""

    def __init__(self, run: Run, what: str, total: int) -> None:
        self._run = run
        self._what = what
        self._total = total
        self._done = 0
        self._began_s = self._told_s = self._drawn_s = time.monotonic()

    def add(self, units: int, of: str = "") -> None:
        """So many more; raises Terminated where the run was asked to end."""
        if self._run.place.stop.is_set():
            raise Terminated(signal.SIGTERM)
        self._done += units
        state = Progress(self._what, self._done, self._total, self._began_s)
        self._run.record.set(progress=state)
        now_s = time.monotonic()
        if now_s - self._told_s < NARRATE_EVERY_S:
            if now_s - self._drawn_s >= DRAW_EVERY_S:
                self._drawn_s = now_s
                self._run.record.event("progress", str(state), level="debug")
            return
        self._told_s = now_s
        rate = self._done / (now_s - self._began_s)
        left_s = state.eta_s(now_s) or 0
        where = f" (in {of})" if of else ""
        self._run.record.event(
            "progress", f"{state}{where}, {rate:.0f} a second, about {left_s:.0f} s left"
        )

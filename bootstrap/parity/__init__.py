"""One set of revisions, two databases: what they make on SQLite and on PostgreSQL is the same.

Where the dialects cannot be the same, the difference has a name on a short list (`allowed`).
"""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bootstrap import expected, journal, plan, revisions, settings
from bootstrap.errors import DriftError
from bootstrap.parity import allowed, shape


@dataclass(frozen=True)
class Difference:
    """An object that is not the same on both; "" is one that is not there."""

    kind: shape.Kind
    object: str
    sqlite: str
    postgresql: str

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.object}: PostgreSQL has {self.postgresql or 'none'}, "
            f"SQLite has {self.sqlite or 'none'}"
        )


@dataclass(frozen=True)
class Report:
    """How two databases of one app compare.

    `same` counts the equal objects by kind, `allowed` the objects that differ in an allowed way by
    its name; `differences` are the rest. `servers` says what was compared.
    """

    app: str
    heads: tuple[str, ...]
    servers: tuple[str, str]
    same: Mapping[str, int]
    allowed: Mapping[str, tuple[str, ...]]
    differences: tuple[Difference, ...]

    def document(self) -> dict[str, Any]:
        """For machines."""
        return {
            "app": self.app,
            "heads": list(self.heads),
            "servers": list(self.servers),
            "same": dict(self.same),
            "allowed": {name: list(objects) for name, objects in self.allowed.items()},
            "differences": [vars(each) for each in self.differences],
        }

    def lines(self) -> list[str]:
        """For people."""
        same = ", ".join(
            f"{count} {shape.plural(kind, count)}" for kind, count in self.same.items()
        )
        lines = [
            f"{self.app} at {plan.listed(self.heads)}: {self.servers[0]} and {self.servers[1]}",
            f"the same: {same or 'nothing'}",
            "allowed:" if self.allowed else "allowed: nothing was needed",
        ]
        for name, objects in self.allowed.items():
            lines.append(f"  {name:<18} {len(objects):>4}  {allowed.RULES[name].why}")
        lines.append("different:" if self.differences else "different: nothing")
        lines += [f"  {difference}" for difference in self.differences]
        return lines


def report(
    loaded: settings.Loaded,
    known: revisions.Graph,
    record: journal.Journal,
    stop: threading.Event,
) -> Report:
    """Bring the revisions up on a scratch database of each kind, and compare the two.

    Raises MigrationError where a revision fails on one of them, RefusedError where no scratch
    database can be made.
    """
    with (
        expected.replayed(loaded, known, record, stop, "sqlite") as lite,
        expected.replayed(loaded, known, record, stop, "postgresql") as postgres,
    ):
        return compare(loaded, known, shape.read(lite), shape.read(postgres))


def compare(
    loaded: settings.Loaded, known: revisions.Graph, lite: shape.Shape, postgres: shape.Shape
) -> Report:
    """Sort all objects into equal, allowed and different."""
    ignored = loaded.app.version_table.rpartition(".")[2]
    same: Counter[str] = Counter()
    permitted: dict[str, list[str]] = {}
    differences = []
    # What belongs to a table or a column that one side lacks is not there either.
    alone = lite.objects.keys() ^ postgres.objects.keys()
    tables = {name for kind, name in alone if kind == "table"}
    columns = {name for kind, name in alone if kind == "column"}
    for key in sorted(lite.objects.keys() | postgres.objects.keys()):
        kind, name = key
        table = name.partition(".")[0]
        if table == ignored or (kind != "table" and table in tables):
            continue
        if kind in ("type", "default") and name in columns:
            continue
        one, other = lite.objects.get(key, ""), postgres.objects.get(key, "")
        rule = allowed.find(kind, one, other) if one != other else None
        if one == other:
            same[kind] += 1
        elif rule is not None:
            permitted.setdefault(rule, []).append(name)
        else:
            differences.append(Difference(kind, name, one, other))
    return Report(
        loaded.app.name,
        known.heads,
        (lite.server, postgres.server),
        {kind: same[kind] for kind in shape.KINDS if same[kind]},
        {name: tuple(permitted[name]) for name in allowed.RULES if name in permitted},
        tuple(differences),
    )


def drift(found: Report) -> DriftError:
    """The error for differences that nobody allowed."""
    listed = "".join(f"\n  {difference}" for difference in found.differences)
    count = len(found.differences)
    return DriftError(
        f"the revisions of app {found.app} make "
        f"{'one thing' if count == 1 else f'{count} things'} otherwise on SQLite than on "
        f"PostgreSQL:{listed}",
        **found.document(),
    )

"""The validate stage: the database is what this release's revisions, or its models, say."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bootstrap import (
    catalog,
    database,
    expected,
    findings,
    journal,
    revisions,
    settings,
)
from bootstrap.catalog import Finding
from bootstrap.errors import DriftError
from bootstrap.findings import Means

if TYPE_CHECKING:
    from bootstrap import child

# Alembic's words for differences between models and database, in the catalog's.
_KINDS: Mapping[str, catalog.Kind] = {
    "add_table": "missing-table",
    "remove_table": "extra-table",
    "add_column": "missing-column",
    "remove_column": "extra-column",
    "modify_type": "type",
    "modify_nullable": "nullability",
    "modify_default": "default",
    "modify_comment": "comment",
    "add_index": "index",
    "remove_index": "extra-index",
    "add_constraint": "key",
    "remove_constraint": "extra-key",
    "add_fk": "key",
    "remove_fk": "extra-key",
}


@dataclass(frozen=True)
class Validated:
    """By what means the database was compared, how many tables that were, and what was found.

    By the settings the `stopping` findings stop a start and the `reported` ones do not.
    """

    means: Means
    tables: int
    stopping: tuple[Finding, ...]
    reported: tuple[Finding, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that was found and is not ignored."""
        return self.stopping + self.reported

    @property
    def message(self) -> str:
        """What was compared, as a clause."""
        if self.means == "heads":
            return "revisions only"
        by = {
            "snapshot": "the snapshot of its revisions",
            "replay": "its revisions replayed",
            "models": "its models",
        }
        return f"{self.tables} table{'s' * (self.tables != 1)}, by {by[self.means]}"


def validate(
    loaded: settings.Loaded,
    base: database.Database,
    known: revisions.Graph,
    worker: "Callable[[], child.Worker]",
    record: journal.Journal,
    stop: threading.Event,
) -> Validated:
    """Compare the live schema with what is known of it: its snapshot, its revisions, its models.

    The worker is called for only if the models are all that is known.
    """
    wanted = expected.find(loaded, known, record, stop)
    if wanted is not None:
        return by_catalog(loaded, base, wanted, record)
    return by_models(loaded, base, worker(), record)


def by_catalog(
    loaded: settings.Loaded,
    base: database.Database,
    wanted: expected.Expected,
    record: journal.Journal,
) -> Validated:
    """Compare the live schema with the one expected, and look for flaws that no schema shows."""
    live = base.catalog()
    differences = catalog.compare(wanted.catalog, live)
    flaws = base.flaws(wanted.catalog, app_role=loaded.settings.app_role)
    schema = live.schema if live.dialect == "postgresql" else ""
    found = findings.placed([*differences, *flaws], schema)
    tables = sum(each.kind == "table" for each in wanted.catalog.objects)
    return _sorted(loaded, record, wanted.means, tables, found)


def by_models(
    loaded: settings.Loaded,
    base: database.Database,
    worker: "child.Worker",
    record: journal.Journal,
) -> Validated:
    """Compare the declared models with the live schema, by Alembic's own comparison."""
    from bootstrap import child

    compared = worker.ask("compare", metadata=loaded.app.metadata)
    flaws = base.flaws(None, app_role=loaded.settings.app_role)
    try:
        answer = compared()
    except child.WorkerError as error:
        raise DriftError(
            f"the models of app {loaded.app.name} could not be compared with "
            f"{loaded.target.identity}: {error.failure['message']}; check metadata in "
            f"{loaded.app.declared_in}",
            sqlstate=error.failure["sqlstate"],
        ) from error
    if answer["declared"] and answer["live"] and not answer["tables"]:
        raise _without_tables(loaded, answer["live"])
    found = (
        *(_of_models(entry) for entry in answer["findings"]),
        *flaws,
    )
    if answer["tables"]:
        return _sorted(loaded, record, "models", answer["tables"], found)
    # An empty comparison finds nothing and proves nothing.
    record.event(
        "no_models",
        f"app {loaded.app.name} declares no models, so only its revisions were checked; set "
        f"metadata in {loaded.app.declared_in}",
        level="warning",
    )
    return _sorted(loaded, record, "heads", 0, found)


def _without_tables(loaded: settings.Loaded, live: int) -> DriftError:
    """The models that were named hold no table while the database does: they were not imported."""
    app = loaded.app
    named = app.metadata or f"what env.py of app {app.name} names as target_metadata"
    return DriftError(
        f"{named} holds no table, and {loaded.target.identity} has {live}: nothing can be compared "
        "with it. The modules of the models are not imported along with it; name one that imports "
        f'them all, as in metadata = "{app.name}.models:Base.metadata" in {app.declared_in}, or do '
        "without the comparison: BOOTSTRAPD_VALIDATE=none"
    )


def judge(loaded: settings.Loaded, validated: Validated, record: journal.Journal) -> None:
    """Stop the start for the findings that the settings say, report the others."""
    if validated.stopping:
        raise drift(loaded, validated.means, validated.stopping)
    if validated.reported:
        record.event(
            "differences",
            f"{findings.count(validated.reported)} between {_wanted(loaded, validated.means)} and "
            f"{loaded.target.identity} (tolerated: BOOTSTRAPD_VALIDATE={loaded.settings.validate})"
            f"{findings.listed(validated.reported)}",
            level="warning",
            findings=[finding.document() for finding in validated.reported],
        )


def drift(loaded: settings.Loaded, means: Means, found: Sequence[Finding]) -> DriftError:
    """The error that names these findings."""
    what_to_do = (
        "write a revision for what the models want (bootstrapd new NAME), or undo what was changed "
        "by hand"
        if means == "models"
        else "undo what was changed by hand; the statements for it: bootstrapd validate --fix-sql"
    )
    return DriftError(
        f"{findings.count(found)} between {_wanted(loaded, means)} and {loaded.target.identity}"
        f"{findings.listed(found)}\n{what_to_do}",
        findings=[finding.document() for finding in found],
    )


def document(validated: Validated) -> Mapping[str, Any]:
    """The result as JSON shows it."""
    return {
        "means": validated.means,
        "tables": validated.tables,
        "findings": [finding.document() for finding in validated.findings],
    }


def _wanted(loaded: settings.Loaded, means: Means) -> str:
    of = {"snapshot": "the snapshot", "replay": "the revisions", "models": "the models"}
    return f"{of[means]} of app {loaded.app.name}" if means in of else "what is sound"


def _of_models(entry: Mapping[str, Any]) -> Finding:
    kind = _KINDS.get(entry["kind"], "comment" if "comment" in entry["kind"] else "table")
    return Finding(kind, entry["object"], entry["wanted"], entry["found"])


def _sorted(
    loaded: settings.Loaded,
    record: journal.Journal,
    means: Means,
    tables: int,
    found: Sequence[Finding],
) -> Validated:
    stopping, reported = findings.by_severity(loaded, means, found)
    for each in reported:
        if each.kind == "not-checked":
            # No finding, but nobody is to think that it was looked at.
            record.event("not_checked", f"not checked: {each}", finding=each.document())
    reported = tuple(each for each in reported if each.kind != "not-checked")
    record.set(findings=tuple(each.document() for each in (*stopping, *reported)))
    return Validated(means, tables, stopping, reported)

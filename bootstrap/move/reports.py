"""The report on a move, for people and for machines."""

import json
from collections.abc import Mapping
from typing import Any

from bootstrap import report
from bootstrap.move.problems import Problem
from bootstrap.move.request import Request, unwritable
from bootstrap.move.result import Moved, Table
from bootstrap.move.run import Run
from bootstrap.move.run import Table as Copied


def of(run: Run, tables: list[Copied], revisions: tuple[str, ...], digest: str) -> Moved:
    """What is known of a move at this point."""
    here = run.place.here
    findings = run.findings
    return Moved(
        source=str(run.request.path),
        target=run.place.identity,
        app=here.app.name,
        dry_run=run.request.dry_run,
        source_version=run.source_version,
        target_version=run.place.base.look().version,
        revisions=revisions,
        tables=tuple(
            Table(
                name=table.plan.name,
                rows=table.read,
                moved=table.digest.rows,
                digest=table.digest.text,
                bytes=table.digest.size,
            )
            for table in sorted(tables, key=lambda table: table.plan.name)
        ),
        found=dict(findings.found),
        problems=tuple(findings.first),
        actions={kind: findings.policy[kind] for kind in findings.found},
        durations_s=dict(run.durations_s),
        digest=digest,
        rejected=sum(table.read - table.digest.rows for table in tables),
        rejects=str(run.request.rejects) if run.request.rejects else None,
    )


def loaded(document: Mapping[str, Any]) -> Moved:
    """The report that the target keeps of its move."""
    known = {name: document[name] for name in Moved.__dataclass_fields__}
    known["tables"] = tuple(Table(**each) for each in document["tables"])
    known["revisions"] = tuple(document["revisions"])
    known["problems"] = tuple(_problem(each) for each in document["problems"])
    return Moved(**known)


def _problem(document: Mapping[str, Any]) -> Problem:
    return Problem(
        kind=document["class"],
        table=document["table"],
        column=document["column"] or "",
        key=document["key"],
        value=document["value"],
        wanted=document["wanted"],
        action=document["action"],
    )


def write(request: Request, moved: Moved) -> None:
    """Write the report into the file that was asked for: JSON where it is named so, else text."""
    if request.report is None:
        return
    if request.report.suffix == ".json":
        text = json.dumps(json.loads(report.dumps(moved.document())), indent=2) + "\n"
    else:
        text = "\n".join(lines(moved)) + "\n"
    try:
        request.report.write_text(text, encoding="utf-8")
    except OSError as error:
        raise unwritable("--report", request.report, error) from error


def fitting(moved: Moved) -> str:
    """What a scan that found nothing to stop for says."""
    rows = sum(table.rows for table in moved.tables)
    known = sum(moved.found.values())
    fits = f"{known} problems are dealt with" if known else "every value fits"
    return f"{rows} rows of {len(moved.tables)} tables looked at; {fits}"


def done(moved: Moved) -> str:
    """What a move that is committed says."""
    left = f", {moved.rejected} rows left out" if moved.rejected else ""
    seconds = sum(moved.durations_s.values())
    return (
        f"{moved.rows} rows of {len(moved.tables)} tables moved from {moved.source} to "
        f"{moved.target} and compared, in {seconds:.1f} s{left}"
    )


def lines(moved: Moved) -> list[str]:
    """The report as text."""
    found = [
        f"source     {moved.source} (sqlite {moved.source_version})",
        f"target     {moved.target} (postgresql {moved.target_version})",
        f"app        {moved.app} at {', '.join(moved.revisions) or 'no revision'}",
        f"digest     {moved.digest}",
        *(f"seconds    {name:<12} {seconds:>9.2f}" for name, seconds in moved.durations_s.items()),
        *(
            f"problems   {kind:<16} {count:>9} {moved.actions.get(kind, 'stop')}"
            for kind, count in moved.found.items()
        ),
    ]
    width = max((len(table.name) for table in moved.tables), default=0)
    for table in moved.tables:
        left = f" of {table.rows}" if table.rows != table.moved else ""
        found.append(f"table      {table.name:<{width}} {table.moved:>9}{left} {table.digest}")
    found += [f"problem    {problem}" for problem in moved.problems]
    return found

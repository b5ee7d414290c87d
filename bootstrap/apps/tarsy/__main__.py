"""tarsy's chores: `python -m bootstrap.apps.tarsy prune` and `check`."""

import asyncio
import dataclasses
import json
import logging
import sys

import click
import sqlalchemy as sa

from bootstrap import redact, settings
from bootstrap.apps.tarsy import history, retention
from bootstrap.errors import BootstrapdError


@click.group()
def main() -> None:
    """Chores on tarsy's history, in the database of bootstrapd's settings."""
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)


@main.command()
@click.option("--days", type=click.FloatRange(min=0), help="keep so many days of history")
@click.option("--event-hours", type=click.FloatRange(min=0), help="keep so many hours of events")
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=retention.BATCH,
    show_default=True,
    help="sessions or events a transaction",
)
@click.option("--dry-run", is_flag=True, help="only count")
@click.option("--json", "as_json", is_flag=True, help="one JSON document on stdout")
def prune(
    days: float | None, event_hours: float | None, batch: int, dry_run: bool, as_json: bool
) -> None:
    """Delete what is older than HISTORY_RETENTION_DAYS and EVENT_RETENTION_HOURS."""
    place = "history"
    try:
        own = settings.load_own(history.Settings)
        opened = history.open_history()
        if opened is None:
            click.echo("{}" if as_json else "history is switched off; nothing was deleted")
            return
        place = f"history at {opened.client.target.identity}"
        with opened:
            pruned = retention.prune(
                opened.client,
                days=own.retention_days if days is None else days,
                event_hours=own.event_retention_hours if event_hours is None else event_hours,
                batch=batch,
                dry_run=dry_run,
            )
    except BootstrapdError as error:
        _fail(str(error), error.exit_code)
    except sa.exc.SQLAlchemyError as error:
        reason = " ".join(str(error.__cause__ or error).split())
        _fail(
            f"{place} was not pruned to the end: {reason}; see where it is with: "
            "bootstrapd status --app tarsy",
            1,
        )
    document = dataclasses.asdict(pruned)
    click.echo(json.dumps(document, default=str) if as_json else pruned.message)


@main.command()
@click.option("--wait", is_flag=True, help="wait for it: 30 tries, min(2**n, 30) s between them")
def check(wait: bool) -> None:
    """Exit 0 if the history's database answers, else 1; switched off counts as success."""
    try:
        healthy = asyncio.run(_healthy(wait))
    except BootstrapdError as error:
        _fail(str(error), error.exit_code)
    sys.exit(0 if healthy else 1)


async def _healthy(wait: bool) -> bool:
    checker = history.health_checker()
    if checker is None:
        return True
    try:
        return await (checker.wait_for_database() if wait else checker.check_connection())
    finally:
        checker.close()


def _fail(message: str, exit_code: int) -> None:
    click.echo(redact.text(message).strip(), err=True)
    sys.exit(exit_code)


if __name__ == "__main__":
    main(prog_name="python -m bootstrap.apps.tarsy")

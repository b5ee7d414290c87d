"""The command `bootstrapd`: one verb a stage, the same options for all of them."""

import contextlib
import dataclasses
import gc
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click

from bootstrap import __version__, flags, journal, redact, report, settings, shown
from bootstrap import call as calling
from bootstrap.call import (
    BRINGING_UP,
    COMMON,
    MIGRATING,
    WRITING,
    Call,
    Document,
    finish,
    interruptible,
    work,
)
from bootstrap.errors import DriftError, SettingsError, Terminated

EXIT_CODES = """\b
Exit codes:
    0  done, or nothing to do
    2  settings or usage                      (runbook: settings)
    3  the server answers but refuses         (runbook: refused)
    4  a migration failed                     (runbook: migrate)
    5  the schema is not what it should be    (runbook: drift)
    6  seeding failed                         (runbook: seed)
    7  another database than the one known    (runbook: identity)
    8  the database is ahead of this release  (runbook: ahead)
    9  the migration lock was not got in time (runbook: lock)
  124  waited until the deadline              (runbook: timeout)
"""

DEMO_ROWS = 1000


def command(*extra: str, name: str | None = None) -> Callable[[Callable[..., Any]], click.Command]:
    """A verb with the options that all have, and those in `extra` by their setting's name."""
    return cli.command(name, cls=flags.Verb, common=(*COMMON, *extra))


@click.group(
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="bootstrapd")
def cli() -> None:
    """Bring an application's database up, from nothing to ready - then the app starts.

    Settings come from flags, the environment (NAME, or the file that NAME_FILE names),
    bootstrapd.toml and defaults, in this order. See: bootstrapd settings.
    """


@command(*BRINGING_UP)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@flags.verb
def run(call: Call, command: Sequence[str]) -> None:
    """Go the whole way; then become COMMAND, or exit 0.

    COMMAND is the app, after `--`: bootstrapd run -- gunicorn shop:app
    """
    calling.run(call, command)


@command(*BRINGING_UP)
@flags.verb
def serve(call: Call) -> None:
    """Go the whole way, then stay: keep watching, serve health."""
    from bootstrap import reporting
    from bootstrap import serve as serving

    gc.enable()
    loaded = call.load()
    with reporting.reports(loaded, call.record, listen=True), contextlib.suppress(Terminated):
        interruptible(call, lambda stop: serving.serve(loaded, call.record, stop))


@command("BOOTSTRAPD_REQUIRE_PRIMARY")
@click.option(
    "--revision", metavar="REV", help="until the database is at REV or beyond; head is the newest"
)
@flags.verb
def wait(call: Call, revision: str | None) -> Document:
    """Wait until the servers answer, or with --revision until others have migrated.

    Takes no lock and needs only the right to read. --timeout 0 looks exactly once.
    """
    return work(call, "wait", revision)


@command(*MIGRATING)
@click.argument("revision", metavar="[REV]", default="heads")
@click.option("--mark-applied", is_flag=True, help="record REV as applied without running it")
@click.option("--retry", is_flag=True, help="run a revision again that was stopped half-way")
@flags.verb
def migrate(call: Call, revision: str, mark_applied: bool, retry: bool) -> Document:
    """Apply pending revisions, up to REV or to the newest."""
    if mark_applied:
        return work(call, "mark_applied", revision)
    return work(call, "upgrade", revision, retry=retry)


@command(*MIGRATING)
@click.argument("revision", metavar="REV")
@flags.verb
def rollback(call: Call, revision: str) -> Document:
    """Take back revisions down to REV, or all of them with REV `base`."""
    return work(call, "downgrade", revision)


@command("BOOTSTRAPD_DIRECT_URL")
@click.argument("revision", metavar="[REV]", default="heads")
@flags.verb
def plan(call: Call, revision: str) -> Document:
    """Print the SQL that migrate would run. Writes nothing, needs only the right to read."""
    found = work(call, "plan", revision)
    sql = redact.text(found["sql"])
    if sql != found["sql"]:
        call.record.event(
            "redacted",
            "the SQL holds what looks like a password, which is shown as ***: run by hand it would "
            "do something else than bootstrapd migrate",
            level="warning",
        )
    if not call.as_json:
        click.echo(sql, nl=False)
    return found


@command(
    "BOOTSTRAPD_DIRECT_URL",
    "BOOTSTRAPD_BACKUP_DIR",
    "BOOTSTRAPD_REHEARSE_MAX_LOCK",
    "BOOTSTRAPD_REHEARSE_MAX_S",
    "BOOTSTRAPD_REHEARSE_REFUSE_REWRITES",
)
@click.argument("revision", metavar="[REV]", default="heads")
@click.option("--fresh", is_flag=True, help="on a copy of the database as it is now, not a backup")
@flags.verb
def rehearse(call: Call, revision: str, fresh: bool) -> Document:
    """Run what is pending on a restored backup: the time, locks and rewrites of each revision.

    The backup is the newest in the folder of --backup, or the file that it names. The live database
    is only read. Exit 4 for a revision that fails or breaks the limits.
    """
    found = dict(work(call, "rehearse", revision, fresh=fresh))
    text = found.pop("shown")
    if not call.as_json:
        click.echo(text)
    return found


@command("BOOTSTRAPD_DIRECT_URL")
@click.argument("revision", metavar="[REV|FROM:TO]", default="")
@click.option("--all", "everything", is_flag=True, help="all revisions; asks no database")
@flags.verb
def lint(call: Call, revision: str, everything: bool) -> Document:
    """Say what pending revisions would do to those who use the database. Exit 4 on errors.

    Up to REV or the newest; FROM:TO, without asking a database, those above FROM. Where no
    database answers it is all of them. On PostgreSQL their SQL is read by squawk.
    """
    from bootstrap.lint import stage, text

    found: Any = work(call, "lint", revision, everything=everything)
    if not call.as_json:
        click.echo(redact.text(text.report(found)), nl=False)
    stage.judge(found)
    document: Document = found.document()
    return document


@command("BOOTSTRAPD_DIRECT_URL")
@click.option(
    "--attempts", metavar="N", default=10, show_default=True, help="how many attempts to list"
)
@flags.verb
def status(call: Call, attempts: int) -> Document:
    """Say where the database is, what is pending, and how the last attempts went."""
    found = work(call, "status", attempts)
    if not call.as_json:
        shown.print_status(found)
    return found


@command("BOOTSTRAPD_DIRECT_URL")
@click.argument("name")
@click.option("--empty", is_flag=True, help="do not compare the models with the database")
@flags.verb
def new(call: Call, name: str, empty: bool) -> Document:
    """Write a new revision file NAME with what the models have and the database lacks."""
    found = work(call, "new", name, autogenerate=not empty)
    if not call.as_json:
        click.echo("\n".join(found["paths"]))
    return found


@command(*WRITING)
@click.argument("revision", metavar="REV")
@flags.verb
def adopt(call: Call, revision: str) -> Document:
    """Record that a database without a history is at REV, after proving that it is."""
    return work(call, "adopt", revision)


@command("BOOTSTRAPD_DIRECT_URL")
@click.option("--fix-sql", is_flag=True, help="print the statements that mend what was found")
@flags.verb
def validate(call: Call, fix_sql: bool) -> Document:
    """Compare the database with the release: revisions, schema, flaws. Exit 5 on any difference.

    The schema is compared with the snapshot beside the revisions; without one with the revisions
    replayed on a scratch database (BOOTSTRAPD_REPLAY), else with the models.
    """
    try:
        return work(call, "validate")
    except DriftError as error:
        if fix_sql and not call.as_json:
            from bootstrap import findings

            sql = findings.fix_sql(cast(Any, error.facts.get("findings", ())))
            click.echo(redact.text(sql), nl=False)
        raise


@command()
@click.option(
    "--dialect",
    "dialects",
    type=click.Choice(["postgresql", "sqlite"]),
    multiple=True,
    help="of this dialect (default: all that have a snapshot, else the target's)",
)
@click.option("--check", is_flag=True, help="write nothing; exit 5 if a snapshot is not up to date")
@flags.verb
def snapshot(call: Call, dialects: Sequence[Any], check: bool) -> Document:
    """Write the schema that the revisions make of an empty database into a file beside them."""
    found = work(call, "snapshot", dialects, check=check)
    if not call.as_json:
        click.echo("".join(f"{path}\n" for path in found["paths"]), nl=False)
    return found


@command()
@flags.verb
def parity(call: Call) -> Document:
    """Compare what the revisions make on SQLite and on PostgreSQL. Exit 5 if it is not the same."""
    from bootstrap import parity as comparing

    found: comparing.Report = work(call, "parity")["parity"]
    if not call.as_json:
        click.echo("\n".join(found.lines()))
    if found.differences:
        raise comparing.drift(found)
    return found.document()


def _counts(_: click.Context, option: click.Parameter, texts: Sequence[str]) -> dict[str, int]:
    """Numbers of rows by table; that of all others under an empty name."""
    counts = {}
    for text in texts:
        table, _equals, number = text.rpartition("=")
        if not number.isdecimal() or int(number) < 1:
            raise click.BadParameter(
                f"wanted a number of 1 or more, found {number!r}", param=option
            )
        counts[table] = int(number)
    return counts


@command(*WRITING)
@click.option("--demo", is_flag=True, help="and fill every table with believable rows")
@click.option(
    "--rows",
    multiple=True,
    metavar="[TABLE=]N",
    callback=_counts,
    help="demo rows in the largest tables, fewer in those that they refer to (default: 1000); "
    "TABLE=N: in this one; may be given for several",
)
@click.option(
    "--seed",
    "number",
    type=int,
    default=1,
    show_default=True,
    metavar="S",
    help="the same number gives the same demo rows",
)
@click.option("--more", is_flag=True, help="demo rows beside those that are there already")
@flags.verb
def seed(call: Call, demo: bool, rows: Mapping[str, int], number: int, more: bool) -> Document:
    """Insert the app's reference rows that are not there yet."""
    from bootstrap import seed as seeding

    exact = {table: count for table, count in rows.items() if table}
    wanted = seeding.Demo(rows.get("", DEMO_ROWS), exact, number, more)
    found = work(call, "seed", wanted if demo else None)
    if not call.as_json:
        for table, count in found.get("demo", {}).items():
            click.echo(f"{count:>12} {table}")
    return found


@command(*WRITING)
@click.option(
    "--from", "source", metavar="URL", help="the SQLite file (default: the one of the app)"
)
@click.option(
    "--to", "destination", metavar="URL", help="the PostgreSQL database (default: as configured)"
)
@click.option("--dry-run", is_flag=True, help="only scan; the target is not written to")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="CLASS=ACTION",
    help="what to do with a class of problems instead of stopping; may be given for several",
)
@click.option(
    "--time",
    "times",
    multiple=True,
    metavar="TABLE.COLUMN=FORM",
    help="what numbers in a column of times are: epoch_s, epoch_ms or epoch_us",
)
@click.option("--report", metavar="FILE", type=click.Path(path_type=Path), help="write the report")
@click.option(
    "--rejects", metavar="FILE", type=click.Path(path_type=Path), help="every problem, as NDJSON"
)
@click.option(
    "--resume", is_flag=True, help="go on with a move that is committed: verify, cut over"
)
@click.option("--fence", is_flag=True, help="then make the file read-only, for every program")
@click.option(
    "--unfence", is_flag=True, help="in place of a move: make a fenced file what it was before"
)
@click.option(
    "--accept-loss", metavar="NAME", help="with --unfence: leave behind what the error names so"
)
@flags.verb
def move(
    call: Call, destination: str | None, unfence: bool, accept_loss: str | None, **asked: Any
) -> Document:
    """Move the rows of a SQLite file to PostgreSQL: scan, copy, verify. Exit 5 on bad values.

    Nothing is written before every value is known to fit. All is committed at once, after source
    and target were found equal.
    """
    if destination:
        call.flags = {**call.flags, "DATABASE_URL": destination}
    if accept_loss and not unfence:
        raise SettingsError("--accept-loss belongs to --unfence, which is not given")
    if unfence:
        return work(call, "unfence", asked["source"], accept_loss)
    return work(call, "move", asked)


@command()
@click.argument("path", metavar="[PATH]", default=".", type=click.Path(path_type=Path))
@flags.verb
def init(call: Call, path: Path) -> Document:
    """Write the section of bootstrapd.toml for the Alembic project in PATH.

    It is found out by trying, on a scratch database. What is there already stays as it is.
    """
    from bootstrap import init as initing

    loaded, config, name = settings.load_for_init(call.flags)
    call.begin(loaded)
    made = interruptible(
        call, lambda stop: initing.init(loaded, call.record, stop, path, config, name)
    )
    if not call.as_json:
        click.echo(made.section, nl=False)
    return {"changed": True, **made.document()}


@command()
@click.argument("files", metavar="[FILES]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--project", metavar="NAME", help="look at the containers of this compose project")
@click.option("--host", is_flag=True, help="look at this host: programs, CPUs, memory, disk, clock")
@flags.verb
def doctor(call: Call, files: Sequence[Path], project: str | None, host: bool) -> Document:
    """Look for faults in compose files, systemd units, containers and volumes. Exit 5 on errors.

    Several compose files are a base and its overlays. Without FILES they are those that compose
    takes in this folder, and the containers and volumes of that project are looked at too, where
    an engine answers. A consent: # bootstrapd: allow RULE, because REASON
    """
    from bootstrap.doctor import examine, report, text

    found = examine.examine(files, settings.environment(), project, host=host)
    if not call.as_json:
        click.echo(text.shown(found), nl=False)
    report.judge(found)
    return found.document()


@command("BOOTSTRAPD_HEALTH_ADDRESS")
@click.option("--url", metavar="URL", help="Then the app must answer here too, under status 400.")
@flags.verb
def healthcheck(call: Call, url: str | None) -> Document:
    """Exit 0 if a running bootstrapd says ready, else 1. Asks no database."""
    from bootstrap import healthcheck as checking

    health = checking.check(call.load())
    if health.ready and url and (wrong := checking.app(url)) is not None:
        health = checking.Health(False, health.phase, wrong, "app")
    document = {
        "ok": health.ready,
        "exit_code": int(not health.ready),
        **dataclasses.asdict(health),
    }
    if not call.as_json:
        click.echo(f"{'ready' if health.ready else 'not ready'}: {health.reason} ({health.source})")
    if not health.ready:
        finish(call, document)
        sys.exit(1)
    return document


@command(*MIGRATING, "BOOTSTRAPD_REQUIRE_PRIMARY", "BOOTSTRAPD_HEALTH_ADDRESS", name="settings")
@flags.verb
def settings_(call: Call) -> Document:
    """Print the effective settings, secrets hidden, each with where it came from."""
    try:
        loaded = call.load()
    except SettingsError as error:
        values = settings.effective(call.flags)
        error.facts["settings"] = [value._asdict() for value in values]
        if not call.as_json:
            shown.print_settings(values)
        raise
    if not call.as_json:
        click.echo(f"app {loaded.app.name} on {loaded.target.identity}")
        shown.print_settings(loaded.values)
    return {
        "app": loaded.app.name,
        "target": loaded.target.identity,
        "settings": [value._asdict() for value in loaded.values],
    }


@command(name="apps")
@flags.verb
def apps_(call: Call) -> Document:
    """List the apps: those that are shipped and those of bootstrapd.toml."""
    known = settings.load_apps(call.flags)
    if not call.as_json:
        name = max(len(app.name) for app in known.values())
        title = max(len(app.title) for app in known.values())
        for app in known.values():
            click.echo(f"{app.name:<{name}}  {app.title or '-':<{title}}  {app.declared_in}")
    return {
        "apps": [
            {
                "name": app.name,
                "title": app.title,
                "declared_in": app.declared_in,
                "alembic": str(app.alembic),
                "metadata": app.metadata,
                "seeds": app.seeds,
                "sqlite": app.sqlite_path,
                "redis": app.redis,
                "aliases": {name: list(aliases) for name, aliases in app.aliases.items()},
            }
            for app in known.values()
        ]
    }


def main() -> None:
    """The entry point. A user's mistake gets a message; only a fault of ours gets a traceback."""
    try:
        sys.exit(cli(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        if "--json" in itertools.takewhile(lambda word: word != "--", sys.argv[1:]):
            _print_usage_error(error)
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)


def _print_usage_error(error: click.ClickException) -> None:
    """The one JSON document of a call that could not be read."""
    context = getattr(error, "ctx", None)
    record = journal.Journal()
    wrong = SettingsError(error.format_message())
    record.failed(wrong)
    document = {
        "ok": False,
        "verb": context.info_name if context and context.parent else None,
        "exit_code": wrong.exit_code,
        "changed": False,
        "error": {"message": wrong.message, "runbook": wrong.slug},
        "status": report.document(record.status),
    }
    sys.stdout.write(report.dumps(document) + "\n")

"""squawk, the linter for PostgreSQL: finding it, asking it, and what the project wants of it."""

import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap.errors import SettingsError
from bootstrap.lint import rules, tables
from bootstrap.lint.finding import Revision
from bootstrap.lint.statements import Statement

CONFIG_NAME = ".squawk.toml"
TIMEOUT_S = 120
SYNTAX = "syntax-error"


@dataclass(frozen=True)
class Config:
    """What the project's `.squawk.toml` says that makes sense here, and where that file is."""

    path: Path | None = None
    excluded: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    pg_version: str = ""


@dataclass(frozen=True)
class Complaint:
    """One of squawk's findings: the rule and text are squawk's own."""

    statement: Statement
    rule: str
    message: str
    help: str


def find() -> str:
    """The command, beside this interpreter or on the PATH; SettingsError where there is none."""
    beside = Path(sys.executable).with_name("squawk")
    found = str(beside) if beside.is_file() else shutil.which("squawk")
    if found is None:
        raise SettingsError(
            "lint reads SQL for PostgreSQL with squawk, which is not installed: it is neither "
            f"beside {sys.executable} nor on the PATH; install it: pip install 'bootstrapd[lint]'"
        )
    return found


def config(project: Path) -> Config:
    """The configuration that squawk itself would find for a project."""
    for folder in (project.absolute(), *project.absolute().parents):
        path = folder / CONFIG_NAME
        if path.is_file():
            return _config(path)
    return Config()


def ask(
    command: str, revisions: Sequence[Revision], wanted: Config, version: str
) -> Mapping[str, tuple[Complaint, ...]]:
    """What squawk says of the statements of each revision, for this version of PostgreSQL.

    What it cannot read is asked about once more without, for else it is silent about the rest.
    """
    files = {
        f"{number}.{part}.sql": (revision.id, statements)
        for number, revision in enumerate(revisions)
        for part, statements in _parts(revision)
        if statements
    }
    found: dict[str, list[Complaint]] = {revision.id: [] for revision in revisions}
    asked = files
    while asked:
        unread: dict[str, tuple[str, list[Statement]]] = {}
        for name, complaint in _complaints(command, asked, wanted, version):
            id_, statements = asked[name]
            if complaint.rule == SYNTAX:
                _, left = unread.setdefault(name, (id_, list(statements)))
                if complaint.statement not in left:
                    continue
                left.remove(complaint.statement)
            found[id_].append(complaint)
        asked = {name: (id_, left) for name, (id_, left) in unread.items() if left}
    return {id_: tuple(complaints) for id_, complaints in found.items()}


def _parts(revision: Revision) -> tuple[tuple[str, list[Statement]], ...]:
    """What makes tables apart from the rest: which tables are new is not left to squawk's guess."""
    making = [each for each in revision.statements if tables.makes(each)]
    others = [each for each in revision.statements if not tables.makes(each)]
    return ("making", making), ("others", others)


def _complaints(
    command: str,
    files: Mapping[str, tuple[str, Sequence[Statement]]],
    wanted: Config,
    version: str,
) -> Iterator[tuple[str, Complaint]]:
    with tempfile.TemporaryDirectory(prefix="bootstrapd-lint-") as folder:
        lines = {
            name: _write(Path(folder, name), statements) for name, (_, statements) in files.items()
        }
        _configure(Path(folder, CONFIG_NAME), wanted)
        argv = [command, "--reporter", "json", "--assume-in-transaction", "--config", CONFIG_NAME]
        if version or wanted.pg_version:
            argv += ["--pg-version", version or wanted.pg_version]
        answer = _run([*argv, *files], folder, wanted)
    for entry in answer:
        name = entry["file"]
        statement = files[name][1][bisect_right(lines[name], entry["line"]) - 1]
        yield (
            name,
            Complaint(statement, entry["rule_name"], entry["message"], entry["help"] or ""),
        )


def _write(path: Path, statements: Sequence[Statement]) -> list[int]:
    """Write the statements; the line of each, counted from 0."""
    lines, line = [], 0
    with path.open("w", encoding="utf-8") as file:
        for statement in statements:
            text = f"{statement.text.strip()}\n;\n"
            file.write(text)
            lines.append(line)
            line += text.count("\n")
    return lines


def _configure(path: Path, wanted: Config) -> None:
    """The project's wishes without those about paths, which are not the ones that it knows."""
    excluded = [*wanted.excluded, *(each for each in rules.OFF if each not in wanted.included)]
    # A JSON list of words is the same in TOML.
    path.write_text(
        f"excluded_rules = {json.dumps(excluded)}\nincluded_rules = {json.dumps(wanted.included)}\n"
    )


def _run(argv: Sequence[str], folder: str, wanted: Config) -> list[dict[str, Any]]:
    try:
        done = subprocess.run(
            argv, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SettingsError(f"squawk cannot be run as {argv[0]}: {error}") from error
    try:
        answer = json.loads(done.stdout)
        complete = all(
            {"file", "line", "rule_name", "message", "help"} <= each.keys() for each in answer
        )
    except (ValueError, AttributeError, TypeError):
        complete = False
    if not complete:
        said = (done.stderr or done.stdout).strip().partition("\n")[0]
        hint = f"; check {wanted.path}" if wanted.path else ""
        raise SettingsError(
            f"squawk at {argv[0]} did not answer as squawk 2 does: exit code {done.returncode}, "
            f"{said!r}{hint}"
        )
    return list(answer)


def _config(path: Path) -> Config:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    lists = {}
    for key in ("excluded_rules", "included_rules"):
        value = values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise SettingsError(f"{path}: {key}: wanted a list of rule names, found {value!r}")
        lists[key] = tuple(value)
    return Config(
        path, lists["excluded_rules"], lists["included_rules"], str(values.get("pg_version", ""))
    )

"""The module `bootstrapd`: what a verb did and how it failed, as the result of a task."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from bootstrap import errors
from tests.integration import test_exit_codes as exit_codes
from tests.support import cli, hosts
from tests.support.projects import Project

MODULE = cli.ROOT / "plugins" / "modules" / "bootstrapd.py"
Task = Callable[..., dict[str, Any]]

place = exit_codes.place


@pytest.fixture
def executable(tmp_path: Path) -> Path:
    """The command as an installed file."""
    made = tmp_path / "bin" / "bootstrapd"
    made.parent.mkdir()
    made.write_text(f'#!/bin/sh\nPYTHONPATH={cli.ROOT} exec {sys.executable} -m bootstrap "$@"\n')
    made.chmod(0o755)
    return made


@pytest.fixture
def task(tmp_path: Path, executable: Path, command: cli.Command) -> Task:
    """`task(verb="run", check=True, diff=True)`: the result of the module with these arguments."""

    def run(*, check: bool = False, diff: bool = False, **arguments: object) -> dict[str, Any]:
        given = {"executable": str(executable), "_ansible_check_mode": check, "_ansible_diff": diff}
        file = tmp_path / "arguments.json"
        file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {**given, **arguments}}))
        result = command.run([MODULE, file], python=[hosts.ansible("python")])
        assert result.stderr == ""
        document: dict[str, Any] = result.json()
        assert result.exit_code == int(document.get("failed", False))
        return document

    return run


def _secrets(url: str) -> tuple[str, ...]:
    quoted = urlsplit(url).password or ""
    return quoted, unquote(quoted)


# -- what it did ----------------------------------------------------------------------------------


def test_changed_is_true_only_if_something_was_applied(
    task: Task, project: Callable[..., Project], database18: str
) -> None:
    shop = project(revisions=2)
    shop.declare(seeds="shop.seeds:SEEDS")
    seeds = shop.path / "shop" / "seeds.py"
    seeds.write_text('SEEDS = {"item_0001": {"key": ["id"], "rows": [{"id": 1, "name": "a"}]}}\n')
    where = {"chdir": str(shop.path), "secrets": {"DATABASE_URL": database18}}

    def ran(verb: str, **words: object) -> tuple[bool, int]:
        result = task(verb=verb, **words, **where)
        assert result["verb"] == verb, result
        return result["changed"], result["exit_code"]

    assert ran("status") == (False, 0)
    assert ran("migrate", revision="0001") == (True, 0)
    assert ran("migrate", revision="0001") == (False, 0)
    assert ran("run") == (True, 0)
    assert ran("run") == (False, 0)
    assert ran("seed") == (False, 0)
    assert ran("validate") == (False, 0)
    assert ran("wait", revision="head") == (False, 0)
    assert ran("plan") == (False, 0)
    assert ran("lint", revision="0001:0002") == (False, 0)
    assert ran("rollback", revision="0001") == (True, 0)
    assert ran("rollback", revision="0001") == (False, 0)


def test_the_result_holds_the_document_and_what_was_said(
    task: Task, project: Callable[..., Project], database18: str
) -> None:
    shop = project(revisions=2)
    result = task(
        verb="migrate",
        config=str(shop.path / "bootstrapd.toml"),
        app="shop",
        state_dir=str(shop.path / "state"),
        timeout=20,
        secrets={"DATABASE_URL": database18},
    )
    document = result["document"]
    assert (document["ok"], document["verb"], document["current"]) == (True, "migrate", ["0002"])
    applied = [line for line in result["narration"] if "revision 0002 (step 0002) applied" in line]
    assert len(applied) == 1
    assert (shop.path / "state" / "shop" / "pin.json").exists()
    for secret in _secrets(database18):
        assert secret not in json.dumps(result)


# -- check mode and differences -------------------------------------------------------------------


def test_check_mode_shows_the_pending_sql_and_writes_nothing(
    task: Task, project: Callable[..., Project], database18: str
) -> None:
    shop = project(revisions=2)
    where = {"chdir": str(shop.path), "secrets": {"DATABASE_URL": database18}}
    tables = "select count(*) from pg_class where relnamespace >= 16384 or relname = 'item_0001'"

    def count() -> int:
        with psycopg.connect(database18) as connection:
            row = connection.execute(tables).fetchone()
        assert row is not None
        return int(row[0])

    for verb in ("run", "migrate"):
        seen = task(verb=verb, check=True, diff=True, **where)
        assert seen["changed"] is True
        assert (seen["diff"]["before_header"], seen["diff"]["after_header"]) == (
            "at base",
            "at 0002",
        )
        assert "CREATE TABLE item_0001" in seen["diff"]["after"]
        assert "CREATE TABLE item_0002" in seen["diff"]["after"]
    partly = task(verb="migrate", revision="0001", check=True, **where)["diff"]["after"]
    assert "item_0001" in partly
    assert "item_0002" not in partly
    assert task(verb="seed", check=True, **where) == {
        "changed": False,
        "invocation": {"module_args": _arguments(task, verb="seed", **where)},
        "msg": "in check mode seeds are not looked up",
        "skipped": True,
    }
    assert count() == 0
    assert not (shop.path / ".bootstrapd").exists()

    done = task(verb="run", diff=True, **where)
    assert done["changed"] is True
    assert done["diff"] == seen["diff"]
    assert count() > 0
    again = task(verb="run", check=True, diff=True, **where)
    assert (again["changed"], again["diff"]["after"]) == (False, "")


def _arguments(task: Task, **words: object) -> object:
    return task(check=True, **words)["invocation"]["module_args"]


def test_check_mode_of_the_verbs_that_go_elsewhere(
    task: Task, project: Callable[..., Project], database18: str
) -> None:
    shop = project(revisions=2)
    where = {"chdir": str(shop.path), "secrets": {"DATABASE_URL": database18}}
    task(verb="run", **where)
    assert task(verb="rollback", revision="0001", check=True, **where)["changed"] is True
    assert task(verb="rollback", revision="0002", check=True, **where)["changed"] is False
    assert task(verb="rollback", revision="base", check=True, **where)["changed"] is True
    assert task(verb="adopt", revision="0002", check=True, **where)["changed"] is False
    assert task(verb="status", **where)["document"]["current"] == ["0002"]
    task(verb="rollback", revision="base", **where)
    assert task(verb="rollback", revision="base", check=True, **where)["changed"] is False
    with psycopg.connect(database18, autocommit=True) as connection:
        connection.execute("drop schema bootstrapd cascade; drop table alembic_version")
        connection.execute("create table somebodys (id int)")
    adopting = task(verb="adopt", revision="0002", check=True, **where)
    assert adopting["changed"] is True
    assert adopting["document"]["state"] == "unmanaged"


def test_on_a_host_that_has_no_bootstrapd_yet_check_mode_goes_through(task: Task) -> None:
    nowhere = "/opt/bootstrapd/bin/bootstrapd"
    missing = f"wanted the command bootstrapd, found no program '{nowhere}'"
    seen = task(verb="run", executable=nowhere, check=True)
    assert (seen["changed"], seen["msg"]) == (True, f"{missing}; it is still to be installed")
    failed = task(verb="run", executable=nowhere)
    assert failed["msg"] == f"{missing}; install it, or name it in executable"
    assert task(verb="validate", executable=nowhere, check=True)["failed"] is True


# -- failures -------------------------------------------------------------------------------------


FAILURES = {case.exit_code: case for case in exit_codes.CASES if case.exit_code}


@pytest.mark.parametrize("case", FAILURES.values(), ids=lambda case: f"{case.exit_code}")
def test_a_failure_carries_exit_code_slug_runbook_and_message(
    case: exit_codes.Case, place: exit_codes.Place, task: Task
) -> None:
    names = exit_codes._names(place)
    case.fault(place)
    verb, *words = shlex.split(case.call)
    given: dict[str, Any] = {"verb": verb}
    for flag, option in (("--timeout", "timeout"), ("--revision", "revision")):
        if flag in words:
            at = words.index(flag)
            given[option] = words[at + 1]
            del words[at : at + 2]
    if words:
        (given["revision"],) = words
    env = {name: value.format(**names) for name, value in case.env.items()}
    url = env.pop("DATABASE_URL", place.url)
    result = task(
        **given,
        chdir=str(place.path),
        settings={"BOOTSTRAPD_REFUSED_GRACE_S": 0, **env},
        secrets={"DATABASE_URL": url},
    )
    assert (result["exit_code"], result["changed"]) == (case.exit_code, False)
    slug = exit_codes._slug(case.exit_code)
    message = case.message.format(**names)
    ending = f" (exit code {case.exit_code}, runbook: {slug})"
    assert exit_codes._masked(result["msg"]) == f"bootstrapd {verb}: {message}{ending}"
    assert (result["failed"], result["slug"]) == (True, slug)
    assert (cli.ROOT / result["runbook"]).is_file()
    assert isinstance(result["findings"], list)
    if case.call == "validate":
        (finding,) = result["findings"]
        assert (finding["kind"], finding["object"]) == ("missing-column", "column item_0001.name")
    for secret in _secrets(place.url):
        assert secret not in json.dumps(result)


def test_every_exit_code_of_the_table_was_tried() -> None:
    assert set(FAILURES) == {error.exit_code for error in errors.ALL}


def test_healthcheck_has_a_reason_and_no_runbook(task: Task, tmp_path: Path) -> None:
    result = task(verb="healthcheck", chdir=str(tmp_path), app="godel")
    assert (result["failed"], result["exit_code"]) == (True, 1)
    assert result["msg"].startswith("bootstrapd healthcheck: not ready: nothing of app godel ")
    assert "runbook" not in result


def test_a_command_that_dies_is_told_as_it_died(task: Task, tmp_path: Path) -> None:
    dead, broken = tmp_path / "dead", tmp_path / "broken"
    dead.write_text("#!/bin/sh\nkill -9 $$\n")
    broken.write_text("#!/bin/sh\necho 'No module named bootstrap' >&2\nexit 1\n")
    for program in (dead, broken):
        program.chmod(0o755)
    assert task(executable=str(dead))["msg"] == (
        f"{dead} run was ended by signal 9, without a document: it said nothing"
    )
    assert task(executable=str(broken))["msg"] == (
        f"{broken} run ended with exit code 1, without a document: No module named bootstrap"
    )


BAD: list[tuple[dict[str, object], str]] = [
    ({"verb": "rollback"}, "verb is rollback but all of the following are missing: revision"),
    ({"verb": "adopt"}, "verb is adopt but all of the following are missing: revision"),
    ({"verb": "run", "revision": "0001"}, "run takes no revision, found '0001'; leave it out"),
    (
        {
            "app": "shop",
            "settings": {"BOOTSTRAPD_APP": "other", "POSTGRES_PASSWORD": "hunter-2-hunter"},
            "secrets": {"REDIS_URL": "redis://:hunter-3-hunter@cache"},
        },
        "settings of the task: 2 problems\n"
        "  BOOTSTRAPD_APP is given twice, the second time in settings; give it once\n"
        "  POSTGRES_PASSWORD holds a password; give it in secrets, or as POSTGRES_PASSWORD_FILE",
    ),
    (
        {"settings": {"DATABASE_URL": "postgresql://shop:hunter-2-hunter@db/shop"}},
        "settings of the task: 1 problem\n"
        "  DATABASE_URL holds a password; give it in secrets, or as DATABASE_URL_FILE",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[message for _, message in BAD])
def test_wrong_arguments_are_refused(
    task: Task, arguments: Mapping[str, object], message: str
) -> None:
    result = task(**arguments)
    assert (result["failed"], result["msg"]) == (True, message)
    assert "hunter" not in json.dumps(result)


def test_an_unknown_verb_is_refused_with_those_that_there_are(task: Task) -> None:
    assert task(verb="serve")["msg"] == (
        "value of verb must be one of: adopt, healthcheck, lint, migrate, plan, rollback, run, "
        "seed, settings, status, validate, wait, got: serve"
    )


# -- in a playbook --------------------------------------------------------------------------------


def test_no_secret_is_in_the_output_of_a_playbook_however_much_it_says(
    project: Callable[..., Project],
    database18: str,
    executable: Path,
    command: cli.Command,
    tmp_path: Path,
) -> None:
    shop = project(revisions=2)
    shop.revision("0003", upgrade='op.execute("select 1 / 0")')
    play = tmp_path / "play.yml"
    play.write_text(
        json.dumps(
            [
                {
                    "hosts": "localhost",
                    "connection": "local",
                    "gather_facts": False,
                    "vars_files": [str(tmp_path / "vault.json")],
                    "tasks": [
                        {
                            "bootstrapd": {
                                "executable": str(executable),
                                "chdir": str(shop.path),
                                "secrets": {"DATABASE_URL": "{{ url }}"},
                            }
                        }
                    ],
                }
            ]
        )
    )
    (tmp_path / "vault.json").write_text(json.dumps({"url": database18}))
    ansible: list[str | Path] = [hosts.ansible(), "--diff", "-vvv"]
    env = {"ANSIBLE_LIBRARY": str(MODULE.parent), "ANSIBLE_NOCOLOR": "1"}
    env |= {"ANSIBLE_PYTHON_INTERPRETER": str(hosts.ansible("python"))}
    checked = command.run(["--check", play], python=ansible, env=env).expect(0)
    assert "+CREATE TABLE item_0002" in checked.stdout
    failed = command.run([play], python=ansible, env=env).expect(2)
    assert "bootstrapd run: revision 0003 (step 0003) failed" in failed.stdout
    assert "playbooks/runbooks/migrate.md" in failed.stdout
    for secret in _secrets(database18):
        for shown in (checked, failed):
            assert secret not in shown.stdout + shown.stderr


def test_the_documentation_can_be_read_by_ansible_and_names_every_option() -> None:
    ansible_doc = hosts.ansible("ansible-doc")
    words: list[str | Path] = [
        ansible_doc,
        "--type=module",
        f"--module-path={MODULE.parent}",
        "--json",
        "bootstrapd",
    ]
    shown = subprocess.run(words, capture_output=True, text=True, check=True)
    document = json.loads(shown.stdout)["bootstrapd"]
    options = document["doc"]["options"]
    told = (
        "import json; from plugins.modules import bootstrapd as b; print(json.dumps(b.ARGUMENTS))"
    )
    words = [hosts.ansible("python"), "-c", told]
    asked = subprocess.run(words, capture_output=True, text=True, check=True, cwd=cli.ROOT)
    arguments = json.loads(asked.stdout)
    assert list(options) == sorted(options)
    assert set(options) == set(arguments)
    for name, spec in arguments.items():
        assert options[name]["type"] == spec["type"]
        assert options[name].get("default") == spec.get("default")
        assert options[name].get("choices") == spec.get("choices")
    assert {"verb", "document", "slug", "runbook", "findings"} < set(document["return"])
    assert document["examples"]

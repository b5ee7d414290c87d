"""Apps that migrate by a command of their own, or make their base by one."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import look
from tests.support.cli import Result, Running
from tests.support.projects import Project

Run = Callable[..., Result]
Start = Callable[..., Running]
MakeProject = Callable[..., Project]

# What an app brings along to migrate itself; `how` is the URL's way in.
MANAGE = """
import os
import sys
import time

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

{url}
VERBS = {{}}


def verb(function):
    VERBS[function.__name__] = function
    return function


def config():
    made = Config("alembic.ini")
    made.set_main_option("sqlalchemy.url", URL.replace("%", "%%"))
    return made


def engine():
    return sa.create_engine(URL)


@verb
def upgrade(revision="heads"):
    print("upgrading by", URL)
    command.upgrade(config(), revision)


@verb
def halfway():
    command.upgrade(config(), "0001")


@verb
def nothing():
    print("nothing to see here")


@verb
def breaks():
    print("secret is", URL)
    sys.exit("the app's own words")


@verb
def sleeps():
    print("asleep", flush=True)
    time.sleep(600)


@verb
def tables():
    with engine().begin() as connection:
        for number in ("0001", "0002"):
            connection.execute(sa.text(
                f"create table item_{{number}} (id integer not null primary key,"
                " name varchar(50) not null)"))


@verb
def tables_and_stamp():
    tables()
    command.stamp(config(), "0002")


VERBS[sys.argv[1]](*sys.argv[2:])
"""
FROM_ENV = "URL = os.environ['SHOP_URL']"


@pytest.fixture
def shop(project: MakeProject) -> Project:
    made = project(revisions=3)
    (made.path / "manage.py").write_text(MANAGE.format(url=FROM_ENV))
    made.declare(url_in="env:SHOP_URL", url_driver=["postgresql+psycopg", "sqlite"])
    return made


def words(*verb: str) -> list[str]:
    return [sys.executable, "manage.py", *verb]


def error_of(ended: Result) -> str:
    message: str = ended.json()["error"]["message"]
    return message


def attempts(run: Run, shop: Project, env: dict[str, str]) -> list[tuple[str, str, str]]:
    found = run("status --json", env=env, cwd=shop.path).expect(0).json()["attempts"]
    return [(each["direction"], each["revision"], each["result"]) for each in found]


def test_a_command_of_the_app_goes_the_whole_way_and_is_recorded(
    run: Run, shop: Project, either_url: str
) -> None:
    shop.declare(migrate=words("upgrade"))
    env = {"DATABASE_URL": either_url}
    planned = run("plan", env=env, cwd=shop.path).expect(0).stdout
    assert planned.startswith(
        f"-- run by the app's own command: {sys.executable} manage.py upgrade\n"
    )
    assert "CREATE TABLE item_0001" in planned
    ended = run("run --json -v", env=env, cwd=shop.path).expect(0)
    assert ended.json()["changed"] is True
    assert look.revisions(either_url) == ["0003"]
    assert "manage.py upgrade has applied 3 revisions in " in ended.stderr
    assert "upgrading by " in ended.stderr
    password = either_url.partition("@")[0].rpartition(":")[2]
    assert "postgres" not in either_url or password not in ended.stderr
    assert attempts(run, shop, env) == [("command", "0003", "done")]
    assert run("run --json", env=env, cwd=shop.path).expect(0).json()["changed"] is False
    run("rollback 0001", env=env, cwd=shop.path).expect(0)
    run("validate --json", env=env, cwd=shop.path).expect(5)
    run("migrate", env=env, cwd=shop.path).expect(0)
    run("validate --json", env=env, cwd=shop.path).expect(0)


def test_a_command_may_be_told_the_revision(run: Run, shop: Project, either_url: str) -> None:
    env = {"DATABASE_URL": either_url}
    shop.declare(migrate=words("upgrade", "{revision}"))
    run("migrate 0002", env=env, cwd=shop.path).expect(0)
    assert look.revisions(either_url) == ["0002"]


def test_a_command_that_is_not_told_the_revision_goes_to_no_other(
    run: Run, shop: Project, sqlite_url: str
) -> None:
    shop.declare(migrate=words("upgrade"))
    ended = run("migrate 0002 --json", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(2)
    assert error_of(ended) == (
        "the app's own command goes to the newest revision, not to 0002; if it can, write "
        "{revision} where it takes one, in migrate in bootstrapd.toml"
    )
    assert look.tables(sqlite_url) == set()


def test_a_command_that_migrates_another_database_is_not_believed(
    run: Run, shop: Project, either_url: str
) -> None:
    elsewhere = f"sqlite:///{shop.path / 'elsewhere.db'}"
    (shop.path / "manage.py").write_text(MANAGE.format(url=f"URL = {elsewhere!r}"))
    shop.declare(migrate=words("upgrade"))
    ended = run("run --json", env={"DATABASE_URL": either_url}, cwd=shop.path).expect(4)
    message, _, output = error_of(ended).partition("\n")
    assert message == (
        f"{sys.executable} manage.py upgrade ended without an error, but "
        f"{look.identity(either_url)} is at base and not at 0003: nothing has changed there; does "
        "it migrate another database, or return before it is done? it was told the URL in "
        "DATABASE_URL, SHOP_URL; what else it wants goes into url_in and url_driver in "
        "bootstrapd.toml"
    )
    assert output.startswith("its last lines:\n")
    assert output.endswith(f"\n  upgrading by {elsewhere}")
    assert look.tables(either_url) == set()


def test_a_command_that_does_less_than_it_should_is_not_believed(
    run: Run, shop: Project, either_url: str
) -> None:
    shop.declare(migrate=words("halfway"))
    env = {"DATABASE_URL": either_url}
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    assert (
        f"{look.identity(either_url)} is at 0001 and not at 0003: 2 revisions are still pending; "
        in error_of(ended)
    )
    edited = (shop.path / "bootstrapd.toml").read_text().replace('"halfway"', '"nothing"')
    (shop.path / "bootstrapd.toml").write_text(edited)
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    assert error_of(ended).endswith("\nits last lines:\n  nothing to see here")
    assert " is at 0001 and not at 0003: nothing has changed there; " in error_of(ended)
    assert look.revisions(either_url) == ["0001"]


def test_what_a_failing_command_says_is_shown_without_secrets(
    run: Run, shop: Project, database18: str
) -> None:
    shop.declare(migrate=words("breaks"))
    env = {"DATABASE_URL": database18}
    ended = run("run --json -- echo app", env=env, cwd=shop.path).expect(4)
    message = error_of(ended)
    assert message.startswith(
        f"{sys.executable} manage.py breaks ended with exit code 1; {look.identity(database18)} is "
        "at base; mend it, then run: bootstrapd migrate\nits last lines:\n"
    )
    shown = message.splitlines()[2:]
    assert shown[0].startswith("  secret is postgresql+psycopg://")
    assert ":***@127.0.0.1:" in shown[0]
    assert shown[1] == "  the app's own words"
    assert attempts(run, shop, env) == [("command", "0003", "failed")]


def test_a_command_that_is_not_there_is_told(run: Run, shop: Project, sqlite_url: str) -> None:
    shop.declare(migrate=["./no-such-program", "upgrade"])
    ended = run("run --json", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(2)
    assert error_of(ended) == (
        f"cannot start the command '{shop.path}/no-such-program upgrade' of app shop: No such file "
        "or directory; check it in bootstrapd.toml"
    )


def test_a_command_is_ended_at_its_deadline_with_all_that_it_started(
    run: Run, shop: Project, either_url: str
) -> None:
    # The shell and what it starts are one process group.
    line = f"{sys.executable} manage.py sleeps & echo $! > child; wait"
    shop.declare(migrate=["sh", "-c", line])
    env = {"DATABASE_URL": either_url, "BOOTSTRAPD_COMMAND_TIMEOUT_S": "1.5"}
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    assert " had not ended after 1.5 s (BOOTSTRAPD_COMMAND_TIMEOUT_S) and was ended; " in error_of(
        ended
    )
    pid = int((shop.path / "child").read_text())
    look.until(lambda: not alive(pid))


def test_a_command_is_ended_when_the_lock_is_lost(
    run: Run, start: Start, shop: Project, database18: str
) -> None:
    shop.declare(migrate=["sh", "-c", f"echo $$ > child; exec {' '.join(words('sleeps'))}"])
    env = {"DATABASE_URL": database18}
    running = start("run --json -v", env=env, cwd=shop.path)
    running.wait_for("asleep")
    look.query(
        database18,
        "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and"
        " database = (select oid from pg_database where datname = current_database())",
    )
    ended = running.wait().expect(4)
    assert error_of(ended) == (
        f"the connection that holds the migration lock of {look.identity(database18)} was lost, so "
        "the app's command was ended; run again: bootstrapd migrate"
    )
    assert not alive(int((shop.path / "child").read_text()))
    # With the lock went the connection to the record; the next run will write down how it ended.
    assert attempts(run, shop, env) == [("command", "0003", "running")]


def test_sigterm_ends_the_command(run: Run, start: Start, shop: Project, either_url: str) -> None:
    shop.declare(migrate=words("sleeps"))
    env = {"DATABASE_URL": either_url}
    running = start("run -v", env=env, cwd=shop.path)
    running.wait_for("asleep")
    running.signal(signal.SIGTERM)
    assert running.wait().exit_code == 128 + signal.SIGTERM
    assert attempts(run, shop, env) == [("command", "0003", "interrupted")]


def test_after_kill_9_the_command_ends_too_and_the_next_run_goes_on(
    run: Run, start: Start, shop: Project, either_url: str
) -> None:
    env = {"DATABASE_URL": either_url}
    shop.declare(migrate=["sh", "-c", f"echo $$ > child; exec {' '.join(words('sleeps'))}"])
    running = start("run -v", env=env, cwd=shop.path)
    running.wait_for("asleep")
    pid = int((shop.path / "child").read_text())
    os.kill(running.pid, signal.SIGKILL)
    look.until(lambda: not alive(pid))
    text = (shop.path / "bootstrapd.toml").read_text()
    (shop.path / "bootstrapd.toml").write_text(text.partition("migrate =")[0])
    run("run --json", env=env, cwd=shop.path).expect(0)
    assert attempts(run, shop, env)[-1] == ("command", "0003", "interrupted")
    assert look.revisions(either_url) == ["0003"]


def test_the_limits_of_a_migration_reach_what_connects_by_libpq(
    run: Run, shop: Project, database18: str
) -> None:
    script = shop.path / "manage.py"
    show = "\n\n@verb\ndef shows():\n    with engine().connect() as connection:\n"
    show += "        for name in ('lock_timeout', 'statement_timeout', 'application_name'):\n"
    show += "            print(name, connection.execute(sa.text(f'show {name}')).scalar())\n\n\n"
    script.write_text(script.read_text().replace("\n\nVERBS[", f"{show}VERBS["))
    shop.declare(migrate=words("shows"))
    env = {"DATABASE_URL": database18, "BOOTSTRAPD_LOCK_TIMEOUT_MS": "1234"}
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    lines = error_of(ended).splitlines()[-3:]
    assert lines[:2] == ["  lock_timeout 1234ms", "  statement_timeout 15min"]
    assert lines[2].startswith("  application_name bootstrapd migrate ")


@pytest.mark.parametrize("way", ["file", "argument"])
def test_the_url_comes_in_the_way_that_the_app_wants(
    run: Run, project: MakeProject, either_url: str, way: str
) -> None:
    shop = project(revisions=1)
    taken = "URL = open('url.txt').read().strip()"
    given: list[str] = []
    if way == "argument":
        taken, given = "URL = sys.argv.pop(1)", ["{url}"]
    (shop.path / "manage.py").write_text(MANAGE.format(url=taken))
    shop.declare(
        migrate=[sys.executable, "manage.py", *given, "upgrade"],
        url_in="file:url.txt" if way == "file" else [],
        url_driver=["postgresql+psycopg"],
    )
    run("run --json", env={"DATABASE_URL": either_url}, cwd=shop.path).expect(0)
    assert look.revisions(either_url) == ["0001"]
    assert not (shop.path / "url.txt").exists()


def test_a_file_with_another_url_is_left_alone(
    run: Run, project: MakeProject, sqlite_url: str
) -> None:
    shop = project(revisions=1)
    (shop.path / "url.txt").write_text("sqlite:///other.db\n")
    shop.declare(url_in="file:url.txt")
    ended = run("run --json", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(2)
    assert error_of(ended) == (
        f"app shop reads its URL from '{shop.path}/url.txt', which names another database than "
        f"{look.identity(sqlite_url)} or holds more than a URL; correct it, or remove it: it is "
        "written for as long as it is needed"
    )
    assert (shop.path / "url.txt").read_text() == "sqlite:///other.db\n"
    # One that a killed run has left behind is as good as a new one.
    (shop.path / "url.txt").write_text(f"{sqlite_url}\n")
    run("run --json", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(0)


# -- initialise -----------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["tables", "tables_and_stamp"])
def test_an_app_makes_its_base_and_alembic_does_the_rest(
    run: Run, shop: Project, either_url: str, verb: str
) -> None:
    shop.declare(initialise=words(verb), initialised_at="0002")
    env = {"DATABASE_URL": either_url}
    planned = run("plan", env=env, cwd=shop.path).expect(0).stdout
    assert planned.startswith(
        f"-- first the app makes its base: {sys.executable} manage.py {verb}, recorded as 0002\n"
    )
    assert "item_0001" not in planned
    assert ("CREATE TABLE item_0003" in planned) == ("postgres" in either_url)
    assert ("-- then revision 0003 (step 0003)\n" in planned) == ("sqlite" in either_url)
    ended = run("run --json", env=env, cwd=shop.path).expect(0)
    assert "has made the base in " in ended.stderr
    assert look.revisions(either_url) == ["0003"]
    found = attempts(run, shop, env)
    assert found[0] == ("upgrade", "0003", "done")
    assert found[-1] == ("initialise", "base", "done")
    run("validate --json", env=env, cwd=shop.path).expect(0)
    assert run("run --json", env=env, cwd=shop.path).expect(0).json()["changed"] is False


def test_a_base_without_a_revision_asks_for_one_and_then_goes_on(
    run: Run, shop: Project, either_url: str
) -> None:
    shop.declare(initialise=words("tables"))
    env = {"DATABASE_URL": either_url}
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    assert error_of(ended) == (
        f"the command of app shop has made 2 tables in {look.identity(either_url)}, but recorded "
        'no revision; say which one they stand for: initialised_at = "0003" in bootstrapd.toml, '
        "then run again"
    )
    shop.declare(initialised_at="0002")
    # The command would fail now, as its tables are there: it is not run again.
    run("run --json", env=env, cwd=shop.path).expect(0)
    assert look.revisions(either_url) == ["0003"]


def test_a_base_that_is_not_what_it_stands_for_is_found(
    run: Run, shop: Project, either_url: str
) -> None:
    shop.declare(initialise=words("tables"), initialised_at="heads")
    ended = run("run --json", env={"DATABASE_URL": either_url}, cwd=shop.path).expect(5)
    assert "table item_0003: wanted a table, found nothing" in error_of(ended)


def test_an_initialiser_that_does_nothing_is_not_believed(
    run: Run, shop: Project, either_url: str
) -> None:
    shop.declare(initialise=words("nothing"), initialised_at="0002")
    ended = run("run --json", env={"DATABASE_URL": either_url}, cwd=shop.path).expect(4)
    assert (
        f"manage.py nothing ended without an error, but {look.identity(either_url)} is as empty as "
        "before; does it initialise another database, or return before it is done?"
    ) in error_of(ended)


def test_base_and_the_rest_by_two_commands(run: Run, shop: Project, either_url: str) -> None:
    shop.declare(initialise=words("tables"), initialised_at="0002", migrate=words("upgrade"))
    env = {"DATABASE_URL": either_url}
    run("run --json", env=env, cwd=shop.path).expect(0)
    assert look.revisions(either_url) == ["0003"]
    directions = [direction for direction, _, _ in attempts(run, shop, env)]
    assert directions == ["command", "stamp", "initialise"]


def test_the_snapshot_of_an_app_with_a_base_of_its_own_has_that_base(
    run: Run, shop: Project, either_url: str
) -> None:
    shop.declare(initialise=words("tables"), initialised_at="0002")
    env = {"DATABASE_URL": either_url}
    run("snapshot", env=env, cwd=shop.path).expect(0)
    run("run", env=env, cwd=shop.path).expect(0)
    found = run("validate --json", env=env, cwd=shop.path).expect(0).json()["validated"]
    assert (found["means"], found["tables"], found["findings"]) == ("snapshot", 3, [])


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"

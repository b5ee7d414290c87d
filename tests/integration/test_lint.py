"""`lint` tells what revisions would do to those who use the database, before they do it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import environments, look
from tests.support.cli import Result
from tests.support.faults import BASE, FAULTS
from tests.support.projects import Project

Run = Callable[..., Result]
MakeProject = Callable[..., Project]

# Nobody listens there: what is linted with this URL is linted without a database.
NOWHERE = {"DATABASE_URL": "postgresql://shop:secret@127.0.0.1:1/shop"}
GOES_BACK = 'raise RuntimeError("nothing takes this back")'


def write(shop: Project, bodies: Mapping[str, str]) -> None:
    for number, body in bodies.items():
        shop.revision(number, upgrade=body, downgrade=GOES_BACK)


def linted(result: Result) -> tuple[dict[str, set[str]], Any]:
    """The rules that found something, by revision, and the whole document."""
    answer = result.json()
    found = answer if answer["ok"] else answer["error"]
    rules: dict[str, set[str]] = {id_: set() for id_ in found["revisions"]}
    for each in found["findings"]:
        rules[each["revision"]].add(each["rule"])
    return rules, found


@pytest.fixture
def shop(project: MakeProject) -> Project:
    """A project without revisions."""
    return project(revisions=0, models=False)


def test_each_fault_is_found_and_nothing_else(shop: Project, run: Run) -> None:
    numbered = {f"1{number:03}": name for number, name in enumerate(FAULTS)}
    write(shop, {"0001": BASE, **{id_: FAULTS[name].body for id_, name in numbered.items()}})
    found, _ = linted(run("lint --all --json", env=NOWHERE, cwd=shop.path))
    assert len(numbered) >= 30
    assert found.pop("0001") == set()
    assert {numbered[id_]: rules for id_, rules in found.items()} == {
        name: {fault.rule} for name, fault in FAULTS.items()
    }


def test_their_twins_are_not_found_and_run(database18: str, shop: Project, run: Run) -> None:
    bodies = [body for fault in FAULTS.values() for body in fault.twin]
    write(shop, {"0001": BASE, **{f"2{number:03}": body for number, body in enumerate(bodies)}})
    result = run("lint --all", env=NOWHERE, cwd=shop.path).expect(0)
    assert result.stdout == (
        f"{len(bodies) + 1} revisions linted for PostgreSQL: 0 errors, 0 warnings, 0 allowed\n"
    )
    run("migrate -q", env={"DATABASE_URL": database18}, cwd=shop.path).expect(0)


DROPS = 'op.drop_table("old_orders")'
INDEXES = """
op.create_index("orders_note", "orders", ["note"])
op.create_index("orders_amount", "orders", ["amount"])
"""


def test_the_report_says_what_happens_and_what_to_do(shop: Project, run: Run) -> None:
    write(shop, {"0001": BASE, "0002": DROPS, "0003": INDEXES})
    shop.revision("0004", upgrade='op.execute("ANALYZE")')
    result = run("lint 0001:", env=NOWHERE, cwd=shop.path).expect(4)
    assert result.stdout == (
        "alembic/versions/0002_step.py:17: error: drop-table (revision 0002, line 1 of its SQL): "
        "DROP TABLE old_orders\n"
        "    the table and its rows are gone for good; every release that still uses it fails at "
        "once\n"
        "    instead: first release what no longer uses it; drop it in a later release, after a "
        "backup\n"
        "alembic/versions/0003_step.py:17: error: create-index (revision 0003, line 1 of its SQL): "
        "CREATE INDEX orders_note ON orders (note)\n"
        "alembic/versions/0003_step.py:18: error: create-index (revision 0003, line 3 of its SQL): "
        "CREATE INDEX orders_amount ON orders (amount)\n"
        "    writers wait (SHARE) while every row is read and the index is built\n"
        "    instead: build it with postgresql_concurrently=True, in a revision of its own, within "
        "op.get_context().autocommit_block()\n"
        "alembic/versions/0004_step.py:20: warning: missing-downgrade (revision 0004)\n"
        "    downgrade() is empty: a rollback takes back the record of the revision and leaves the "
        "schema as it is, so that the next upgrade fails\n"
        "    instead: undo in downgrade() what upgrade() does; where nothing can, raise "
        'RuntimeError("why")\n'
        "3 revisions linted for PostgreSQL: 3 errors, 1 warning, 0 allowed\n"
        "mend the revision, or consent to it in its file: # bootstrapd: allow RULE, because "
        "REASON\n"
    )
    assert result.stderr.endswith(
        "error   migrate: lint found 3 errors in 2 revisions (runbook: migrate)\n"
    )


def test_the_lines_are_those_of_the_file_and_of_the_sql(shop: Project, run: Run) -> None:
    helper = "for name in names:\n    op.drop_table(name)"
    body = (
        f'names = ["old_orders", "orders"]\n{helper}\n'
        'op.execute("""\nSELECT 1;\n\n-- the last\nDROP TABLE customers;\n""")'
    )
    write(shop, {"0001": BASE, "0002": body})
    _, found = linted(run("lint 0001: --json", env=NOWHERE, cwd=shop.path).expect(4))
    assert [(each["line"], each["sql_line"], each["statement"]) for each in found["findings"]] == [
        (19, 1, "DROP TABLE old_orders"),
        (19, 3, "DROP TABLE orders"),
        (20, 8, "DROP TABLE customers"),
    ]


def test_as_json(shop: Project, run: Run) -> None:
    write(shop, {"0001": BASE, "0002": DROPS})
    answer = run("lint 0001: --json", env=NOWHERE, cwd=shop.path).expect(4).json()
    del answer["status"]
    assert answer == {
        "ok": False,
        "verb": "lint",
        "exit_code": 4,
        "changed": False,
        "error": {
            "message": "lint found 1 error in 1 revision",
            "runbook": "migrate",
            "dialect": "postgresql",
            "server": "",
            "squawk": True,
            "squawk_config": None,
            "revisions": ["0002"],
            "findings": [
                {
                    "revision": "0002",
                    "file": str(shop.versions / "0002_step.py"),
                    "line": 17,
                    "sql_line": 1,
                    "statement": "DROP TABLE old_orders",
                    "rule": "drop-table",
                    "severity": "error",
                    "effect": "the table and its rows are gone for good; every release that still "
                    "uses it fails at once",
                    "instead": "first release what no longer uses it; drop it in a later release, "
                    "after a backup",
                }
            ],
            "allowed": [],
        },
    }


# -- consent ------------------------------------------------------------------------------------


def consents(shop: Project, *comments: str, upgrade: str = DROPS) -> None:
    write(shop, {"0001": BASE})
    path = shop.revision("0002", upgrade=upgrade, downgrade=GOES_BACK)
    path.write_text(path.read_text() + "\n".join(("", *comments, "")))


def test_a_consent_with_its_reason_lets_a_finding_pass(shop: Project, run: Run) -> None:
    consents(
        shop,
        "# bootstrapd: allow drop-table and create-index, because nobody has read it since 1.3,",
        "# and orders has a hundred rows",
        upgrade=DROPS + "\n" + INDEXES,
    )
    result = run("lint 0001:", env=NOWHERE, cwd=shop.path).expect(0)
    because = "    because nobody has read it since 1.3, and orders has a hundred rows\n"
    assert result.stdout == (
        "alembic/versions/0002_step.py:17: allowed: drop-table (revision 0002, line 1 of its SQL): "
        f"DROP TABLE old_orders\n{because}"
        "alembic/versions/0002_step.py:19: allowed: create-index (revision 0002, line 3 of its "
        "SQL): CREATE INDEX orders_note ON orders (note)\n"
        "alembic/versions/0002_step.py:20: allowed: create-index (revision 0002, line 5 of its "
        f"SQL): CREATE INDEX orders_amount ON orders (amount)\n{because}"
        "1 revision linted for PostgreSQL: 0 errors, 0 warnings, 3 allowed\n"
    )
    answer = run("lint 0001: --json", env=NOWHERE, cwd=shop.path).expect(0).json()
    assert answer["findings"] == []
    assert {each["reason"] for each in answer["allowed"]} == {
        "nobody has read it since 1.3, and orders has a hundred rows"
    }


@pytest.mark.parametrize(
    ("comment", "effect"),
    [
        ("allow drop-table", "it gives no reason, so nothing is allowed by it"),
        ("allow drop-table, because", "it gives no reason, so nothing is allowed by it"),
        ("alow drop-table, because I may", "it cannot be read, so nothing is allowed by it"),
        (
            "allow create-index, because I may",
            "nothing in this revision is found by create-index",
        ),
        (
            "allow drop-tabel, because I may",
            "nothing is found by drop-tabel, which is no rule of bootstrapd",
        ),
    ],
)
def test_a_consent_that_allows_nothing_is_a_finding(
    comment: str, effect: str, shop: Project, run: Run
) -> None:
    consents(shop, f"# bootstrapd: {comment}")
    _, found = linted(run("lint 0001: --json", env=NOWHERE, cwd=shop.path).expect(4))
    assert [(each["rule"], each["severity"]) for each in found["findings"]] == [
        ("drop-table", "error"),
        ("consent", "warning"),
    ]
    told = found["findings"][1]
    assert (told["effect"], told["statement"], told["line"]) == (
        effect,
        f"# bootstrapd: {comment}",
        23,
    )


def test_a_text_is_no_comment_and_squawks_names_are_known(shop: Project, run: Run) -> None:
    consents(shop, 'NOTE = "# bootstrapd: allow drop-table, because it says so"')
    run("lint 0001:", env=NOWHERE, cwd=shop.path).expect(4)
    shop.versions.joinpath("0002_step.py").unlink()
    shop.revision("0002", down="0001", upgrade=DROPS, downgrade=GOES_BACK)
    path = shop.versions / "0002_step.py"
    path.write_text(
        path.read_text().replace(
            DROPS, f"{DROPS}  # bootstrapd: allow ban-drop-table, because it is empty"
        )
    )
    run("lint 0001:", env=NOWHERE, cwd=shop.path).expect(0)


# -- which revisions ----------------------------------------------------------------------------


def test_what_is_pending_with_a_database_and_all_without(
    database18: str, shop: Project, run: Run
) -> None:
    env = {"DATABASE_URL": database18}
    write(shop, {"0001": BASE, "0002": DROPS, "0003": INDEXES})
    run("migrate 0002", env=env, cwd=shop.path).expect(0)
    rules, found = linted(run("lint --json", env=env, cwd=shop.path).expect(4))
    assert rules == {"0003": {"create-index"}}
    assert found["server"].startswith("18.")
    # Nothing was run.
    assert look.revisions(database18) == ["0002"]
    rules, found = linted(run("lint --all --json", env=env, cwd=shop.path).expect(4))
    assert rules == {"0001": set(), "0002": {"drop-table"}, "0003": {"create-index"}}
    rules, _ = linted(run("lint --all 0002 --json", env=env, cwd=shop.path).expect(4))
    assert rules == {"0001": set(), "0002": {"drop-table"}}
    rules, _ = linted(run("lint 0002: --json", env=env, cwd=shop.path).expect(4))
    assert rules == {"0003": {"create-index"}}
    nowhere = run("lint --json", env=NOWHERE, cwd=shop.path).expect(4)
    rules, _ = linted(nowhere)
    assert rules == {"0001": set(), "0002": {"drop-table"}, "0003": {"create-index"}}
    assert "127.0.0.1:1/shop does not answer, so all revisions are linted: " in nowhere.stderr


def test_a_range_goes_up(shop: Project, run: Run) -> None:
    write(shop, {"0001": BASE, "0002": DROPS})
    refused = run("lint 0002:0001", env=NOWHERE, cwd=shop.path).expect(2)
    assert refused.stderr.endswith(
        "wanted FROM:TO, where TO builds on FROM; found '0002:0001', and 0001 does not build on "
        "0002 (runbook: settings)\n"
    )
    result = run("lint heads:", env=NOWHERE, cwd=shop.path).expect(0)
    assert result.stdout == ("0 revisions linted for PostgreSQL: 0 errors, 0 warnings, 0 allowed\n")
    rules, _ = linted(run("lint base:0001 --json", env=NOWHERE, cwd=shop.path).expect(0))
    assert rules == {"0001": set()}


def test_nothing_is_pending(database18: str, shop: Project, run: Run) -> None:
    env = {"DATABASE_URL": database18}
    write(shop, {"0001": BASE})
    run("migrate", env=env, cwd=shop.path).expect(0)
    result = run("lint", env=env, cwd=shop.path).expect(0)
    assert result.stdout.endswith(": 0 errors, 0 warnings, 0 allowed\n")
    assert result.stdout.startswith("0 revisions linted for PostgreSQL 18.")


def test_heads_that_fork(shop: Project, run: Run) -> None:
    write(shop, {"0001": BASE, "0002": 'op.execute("ANALYZE")'})
    shop.revision("0003", upgrade=DROPS, downgrade=GOES_BACK, down="0001")
    result = run("lint --all", env=NOWHERE, cwd=shop.path).expect(4)
    assert result.stdout.startswith(
        "all revisions: error: several-heads\n"
        "    0002, 0003 fork from one revision, so nothing is migrated\n"
        "    instead: join them: alembic merge -m join 0002 0003\n"
        "alembic/versions/0003_step.py:17: error: drop-table (revision 0003, line 1 of its SQL): "
    )


def test_a_joining_revision_has_nothing_to_take_back(shop: Project, run: Run) -> None:
    write(shop, {"0001": BASE, "0002": 'op.execute("ANALYZE")'})
    shop.revision("0003", upgrade='op.execute("ANALYZE")', downgrade=GOES_BACK, down="0001")
    shop.revision("0004", down=("0002", "0003"))
    run("lint --all", env=NOWHERE, cwd=shop.path).expect(0)


def test_an_env_that_cannot_render(shop: Project, run: Run) -> None:
    write(shop, {"0001": BASE})
    env = shop.path / "alembic" / "env.py"
    env.write_text(
        env.read_text().replace(
            "def run_migrations_offline() -> None:",
            'def run_migrations_offline() -> None:\n    raise RuntimeError("never offline")',
        )
    )
    result = run("lint --all", env=NOWHERE, cwd=shop.path).expect(4)
    assert result.stdout.startswith(
        "all revisions: error: not-checked\n"
        "    env.py cannot render revisions: RuntimeError: never offline\n"
    )


# -- squawk -------------------------------------------------------------------------------------


def test_the_projects_own_wishes_for_squawk_hold(shop: Project, run: Run) -> None:
    write(shop, {"0001": BASE, "0002": DROPS})
    config = shop.path / ".squawk.toml"
    config.write_text(
        'excluded_rules = ["ban-drop-table"]\nincluded_rules = ["prefer-text-field"]\n'
        'excluded_paths = ["*"]\npg_version = "15"\n'
    )
    result = run("lint --all", env=NOWHERE, cwd=shop.path).expect(0)
    assert result.stdout.startswith(
        "alembic/versions/0001_step.py:17: warning: prefer-text-field (revision 0001, line 1 of "
        "its SQL): CREATE TABLE orders ("
    )
    assert result.stdout.endswith(
        "2 revisions linted for PostgreSQL 15 with .squawk.toml: 0 errors, 1 warning, 0 allowed\n"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("excluded_rules = [", "cannot be read: "),
        ("excluded_rules = 3", "excluded_rules: wanted a list of rule names, found 3"),
        ('excluded_rules = ["no-such"]', "invalid rule name no-such"),
    ],
)
def test_wishes_that_cannot_be_read(text: str, problem: str, shop: Project, run: Run) -> None:
    write(shop, {"0001": BASE})
    config = shop.path / ".squawk.toml"
    config.write_text(text)
    error = run("lint --all", env=NOWHERE, cwd=shop.path).expect(2).stderr
    assert problem in error
    assert str(config) in error


def test_without_squawk(shop: Project, run: Run, tmp_path: Path) -> None:
    write(shop, {"0001": BASE, "0002": DROPS})
    # An environment that sees all packages, with no command beside its interpreter.
    bare = environments.beside(tmp_path / "bare")
    env = {**NOWHERE, "PATH": "/usr/bin:/bin"}
    result = run("lint --all", env=env, cwd=shop.path, python=(bare, "-m", "bootstrap")).expect(2)
    assert result.stderr.endswith(
        "lint reads SQL for PostgreSQL with squawk, which is not installed: it is neither beside "
        f"{bare} nor on the PATH; install it: pip install 'bootstrapd[lint]' (runbook: settings)\n"
    )
    # SQLite has no need of it.
    env = {"DATABASE_URL": f"sqlite:///{tmp_path}/shop.db", "PATH": "/usr/bin:/bin"}
    run("lint --all", env=env, cwd=shop.path, python=(bare, "-m", "bootstrap")).expect(4)


# -- SQLite -------------------------------------------------------------------------------------

ON_SQLITE = {
    "0001": """
op.create_table(
    "orders",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("note", sa.Text),
    sa.Column("state", sa.Text),
)
op.create_table("old_orders", sa.Column("id", sa.Integer))
""",
    "0002": DROPS,
    "0003": 'op.drop_column("orders", "note")',
    "0004": 'with op.batch_alter_table("orders") as batch:\n    batch.drop_column("state")',
    "0005": 'with op.batch_alter_table("orders") as batch:\n'
    '    batch.add_column(sa.Column("mood", sa.Text, nullable=False, server_default="fine"))\n'
    '    batch.create_unique_constraint("one", ["mood"])',
    "0006": 'op.execute("ALTER TABLE orders RENAME COLUMN mood TO temper")',
    "0007": 'with op.batch_alter_table("orders") as batch:\n'
    '    batch.alter_column("temper", new_column_name="humour")',
    "0008": 'op.rename_table("orders", "purchases")',
    "0009": 'op.execute("DELETE FROM purchases")',
    "0010": 'op.add_column("purchases", sa.Column("paid", sa.Integer))\n'
    'op.execute("UPDATE purchases SET paid = 1 WHERE id > 3")',
    "0011": 'op.execute("DROP TABLE nothing_of_this_name")',
    "0012": 'op.create_index("purchases_paid", "purchases", ["paid"])',
    "0013": 'op.create_table("new", sa.Column("id", sa.Integer))\nop.drop_table("new")',
    "0014": 'op.execute("CREATE TRIGGER t AFTER UPDATE ON purchases BEGIN'
    ' DELETE FROM purchases; END")',
}
FOUND_ON_SQLITE = {
    "0002": {"drop-table"},
    "0003": {"drop-column"},
    "0004": {"drop-column"},
    "0006": {"rename-column"},
    "0007": {"rename-column"},
    "0008": {"rename-table"},
    "0009": {"delete-all-rows"},
    "0010": {"data-with-ddl"},
    "0011": {"drop-table", "not-checked"},
}


def test_on_sqlite(sqlite_url: str, shop: Project, run: Run) -> None:
    env = {"DATABASE_URL": sqlite_url}
    write(shop, ON_SQLITE)
    result = run("lint --json", env=env, cwd=shop.path).expect(4)
    rules, _ = linted(result)
    assert rules == {id_: FOUND_ON_SQLITE.get(id_, set()) for id_ in ON_SQLITE}
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()
    report = run("lint 0003:0004", env=env, cwd=shop.path).expect(4).stdout
    assert report == (
        "alembic/versions/0004_step.py:18: error: drop-column (revision 0004): drop column "
        "orders.state (in a batch)\n"
        "    the column's values are gone for good; every release that still names it fails at "
        "once, as an ORM does in each of its queries\n"
        "    instead: first release what no longer names it; drop it in a later release, after a "
        "backup\n"
        "1 revision linted for SQLite, by bootstrapd's own rules alone (squawk reads SQL for "
        "PostgreSQL): 1 error, 0 warnings, 0 allowed\n"
        "mend the revision, or consent to it in its file: # bootstrapd: allow RULE, because "
        "REASON\n"
    )


def test_what_is_pending_on_a_sqlite_file(sqlite_url: str, shop: Project, run: Run) -> None:
    env = {"DATABASE_URL": sqlite_url}
    write(shop, {id_: ON_SQLITE[id_] for id_ in ("0001", "0002", "0003", "0004")})
    run("migrate 0003", env=env, cwd=shop.path).expect(0)
    rules, _ = linted(run("lint --json", env=env, cwd=shop.path).expect(4))
    assert rules == {"0004": {"drop-column"}}
    assert look.revisions(sqlite_url) == ["0003"]


# -- before a run -------------------------------------------------------------------------------


def test_a_run_that_demands_it_stops_before_anything_runs(
    either_url: str, shop: Project, run: Run
) -> None:
    env = {"DATABASE_URL": either_url, "BOOTSTRAPD_LINT": "demand"}
    write(shop, {"0001": ON_SQLITE["0001"], "0002": DROPS})
    # An empty database has nothing to lose, so there the same two would just run. What is demanded
    # of 0002 does not stop 0001 either.
    run("migrate 0001", env=env, cwd=shop.path).expect(0)
    stopped = run("run", env=env, cwd=shop.path).expect(4)
    assert stopped.stderr.endswith(
        "error   migrate: lint found 1 error in 1 revision; nothing was run:\n"
        "  revision 0002: drop-table (DROP TABLE old_orders): the table and its rows are gone for "
        "good; every release that still uses it fails at once\n"
        "mend the revision, or consent to it in its file: # bootstrapd: allow RULE, because REASON"
        " (runbook: migrate)\n"
    )
    run("migrate", env=env, cwd=shop.path).expect(4)
    assert look.revisions(either_url) == ["0001"]
    assert "old_orders" in look.tables(either_url)
    path = shop.versions / "0002_step.py"
    path.write_text(
        path.read_text() + "# bootstrapd: allow drop-table, because nobody reads it since 1.3\n"
    )
    run("run", env=env, cwd=shop.path).expect(0)
    assert look.revisions(either_url) == ["0002"]


def test_a_run_that_is_warned_goes_on(either_url: str, shop: Project, run: Run) -> None:
    env = {"DATABASE_URL": either_url, "BOOTSTRAPD_LINT": "warn"}
    write(shop, {"0001": ON_SQLITE["0001"], "0002": DROPS})
    run("migrate 0001", env=env, cwd=shop.path).expect(0)
    warned = run("run", env=env, cwd=shop.path).expect(0)
    assert (
        "warning migrate: revision 0002: drop-table (DROP TABLE old_orders): the table and its "
        "rows are gone for good; every release that still uses it fails at once\n"
    ) in warned.stderr
    assert look.revisions(either_url) == ["0002"]


def test_an_empty_database_has_nothing_to_lose(either_url: str, shop: Project, run: Run) -> None:
    env = {"DATABASE_URL": either_url, "BOOTSTRAPD_LINT": "demand"}
    write(shop, {"0001": ON_SQLITE["0001"], "0002": DROPS})
    run("run", env=env, cwd=shop.path).expect(0)
    assert look.revisions(either_url) == ["0002"]


# -- other people's projects, and ours ----------------------------------------------------------


def test_a_strangers_project_under_its_own_interpreter(
    project: MakeProject, run: Run, tmp_path: Path
) -> None:
    python = environments.beside(tmp_path / "theirs")
    shop = project(revisions=0, models=False, declare={"python": str(python)}, env="logging")
    write(shop, {"0001": BASE, "0002": DROPS})
    rules, _ = linted(run("lint --all --json", env=NOWHERE, cwd=shop.path).expect(4))
    assert rules == {"0001": set(), "0002": {"drop-table"}}


@pytest.mark.parametrize("app", ["godel", "agentpane", "tarsy", "business_os", "dash"])
@pytest.mark.parametrize("url", ["sqlite:///./app.db", NOWHERE["DATABASE_URL"]])
def test_the_shipped_apps_are_clean(app: str, url: str, run: Run) -> None:
    answer = run(f"lint --all --app {app} --json", env={"DATABASE_URL": url}).expect(0).json()
    assert answer["findings"] == []

"""Validate and seed, as verbs and on the way, for a project of a user's own."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from bootstrap import target
from tests.support.cli import Result
from tests.support.projects import Project

Run = Callable[..., Result]
MakeProject = Callable[..., Project]

MODELS = """
import sqlalchemy as sa
from sqlalchemy import orm


class Base(orm.DeclarativeBase):
    pass


class Colour(Base):
    __tablename__ = "colour"
    code = sa.Column(sa.String(3), primary_key=True)
    name = sa.Column(sa.String(20))
"""
TABLE = (
    "op.create_table('colour', sa.Column('code', sa.String(3), primary_key=True),"
    " sa.Column('name', sa.String(20)))"
)
SEEDS = """
SEEDS = {
    "colour": {
        "key": ["code"],
        "rows": [{"code": "red", "name": "red"}, {"code": "blu", "name": "blue"}],
    }
}
"""


@pytest.fixture
def shop(project: MakeProject) -> Project:
    made = project(models=MODELS, revisions=[TABLE])
    (made.path / "shop" / "seeds.py").write_text(SEEDS)
    made.declare(seeds="shop.seeds:SEEDS")
    return made


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = sa.create_engine(target.parse(url).url("psycopg" if "postgres" in url else ""))
    with engine.begin() as connection:
        result = connection.execute(sa.text(statement))
        rows = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return rows


def test_rows_are_inserted_once_and_what_was_there_stays(
    run: Run, shop: Project, database_url: str
) -> None:
    env = {"DATABASE_URL": database_url}
    first = run("run", env=env, cwd=shop.path).expect(0)
    assert "seed: colour: 2 inserted, 0 there already" in first.stderr
    execute(database_url, "update colour set name = 'crimson' where code = 'red'")
    execute(database_url, "delete from colour where code = 'blu'")

    result = run("seed --json", env=env, cwd=shop.path).expect(0)

    document = result.json()
    assert (document["changed"], document["seeded"]) == (
        True,
        {"colour": {"inserted": 1, "present": 1}},
    )
    rows = execute(database_url, "select code, name from colour order by code")
    assert rows == [("blu", "blue"), ("red", "crimson")]
    assert run("seed --json", env=env, cwd=shop.path).expect(0).json()["changed"] is False


def test_changed_seeds_are_noticed_by_the_next_start(
    run: Run, shop: Project, database_url: str
) -> None:
    env = {"DATABASE_URL": database_url}
    run("run", env=env, cwd=shop.path).expect(0)
    seeds = shop.path / "shop" / "seeds.py"
    seeds.write_text(seeds.read_text().replace('"rows": [', '"rows": [{"code": "tea"}, '))
    run("run", env=env, cwd=shop.path).expect(0)
    assert execute(database_url, "select count(*) from colour") == [(3,)]


def test_a_seed_that_fails_leaves_nothing_and_the_app_does_not_start(
    run: Run, shop: Project, database_url: str
) -> None:
    env = {"DATABASE_URL": database_url}
    (shop.path / "shop" / "seeds.py").write_text(SEEDS.replace('"blu"', "None"))
    result = run("run -- echo app-is-up", env=env, cwd=shop.path).expect(6)
    assert "from shop.seeds:SEEDS failed and was rolled back" in result.stderr
    assert "app-is-up" not in result.stdout
    assert execute(database_url, "select count(*) from colour") == [(0,)]


def test_a_row_that_does_not_fit_its_table_is_named(
    run: Run, shop: Project, database_url: str
) -> None:
    env = {"DATABASE_URL": database_url}
    seeds = shop.path / "shop" / "seeds.py"
    place = target.parse(database_url).identity
    begin = f"seeding {place} from shop.seeds:SEEDS failed and was rolled back: row 2 of colour "
    end = "; mend the seeds, then run: bootstrapd seed"

    seeds.write_text(SEEDS.replace('"name": "blue"', '"nmae": "blue"'))
    error = run("run --json", env=env, cwd=shop.path).expect(6).json()["error"]
    assert error["message"] == (
        f"{begin}(code='blu', nmae='blue') names the column 'nmae', which is not there; there are "
        f"code, name{end}"
    )
    seeds.write_text(SEEDS.replace('{"code": "blu", "name"', '{"name"'))
    error = run("seed --json", env=env, cwd=shop.path).expect(6).json()["error"]
    assert error["message"] == f"{begin}(name='blue') has no 'code', which is in its key{end}"
    assert execute(database_url, "select count(*) from colour") == [(0,)]


def test_the_next_number_after_seeds_is_free(
    run: Run, project: MakeProject, database18: str
) -> None:
    shop = project(revisions=1)
    rows = '[{"id": 7, "name": "tea"}]'
    (shop.path / "shop" / "seeds.py").write_text(
        f'SEEDS = {{"item_0001": {{"key": ["id"], "rows": {rows}}}}}\n'
    )
    shop.declare(seeds="shop.seeds:SEEDS")
    run("run", env={"DATABASE_URL": database18}, cwd=shop.path).expect(0)
    assert execute(database18, "insert into item_0001 (name) values ('milk') returning id") == [
        (8,)
    ]


def test_a_function_may_seed(run: Run, shop: Project, database_url: str) -> None:
    (shop.path / "shop" / "seeds.py").write_text(
        "import sqlalchemy as sa\n\n\n"
        "def plant(connection):\n"
        "    connection.execute(sa.text(\"insert into colour values ('tea', 'teal')\"))\n"
        "    return {'colour': {'inserted': 1, 'present': 0}}\n"
    )
    config = shop.path / "bootstrapd.toml"
    config.write_text(config.read_text().replace("shop.seeds:SEEDS", "shop.seeds:plant"))
    result = run("run --json", env={"DATABASE_URL": database_url}, cwd=shop.path).expect(0)
    assert result.json()["status"]["seeded"] == {"colour": {"inserted": 1, "present": 0}}


def test_a_missing_column_stops_a_start_and_is_named(
    run: Run, shop: Project, database_url: str
) -> None:
    env = {"DATABASE_URL": database_url}
    run("run", env=env, cwd=shop.path).expect(0)
    execute(database_url, "alter table colour drop column name")

    result = run("run --json -- echo app-is-up", env=env, cwd=shop.path).expect(5)

    error = result.json()["error"]
    assert error["findings"] == [
        {
            "kind": "missing-column",
            "object": "column colour.name",
            "wanted": "VARCHAR(20)",
            "found": "nothing",
            "fix": [],
            "destructive": False,
            "note": "",
            "missing": True,
        }
    ]
    assert "column colour.name: wanted VARCHAR(20), found nothing" in result.stderr
    assert "app-is-up" not in result.stdout


def test_what_is_too_much_is_reported_and_stops_only_if_asked(
    run: Run, shop: Project, database_url: str
) -> None:
    env = {"DATABASE_URL": database_url}
    run("run", env=env, cwd=shop.path).expect(0)
    execute(database_url, "create index by_hand on colour (name)")

    tolerated = run("run", env=env, cwd=shop.path).expect(0)
    assert "1 difference between the models of app shop and" in tolerated.stderr
    assert "index by_hand on colour: wanted nothing, found (name)" in tolerated.stderr

    strict = run("run", env={**env, "BOOTSTRAPD_VALIDATE": "any"}, cwd=shop.path).expect(5)
    assert "index by_hand on colour: wanted nothing, found (name)" in strict.stderr
    run("validate", env=env, cwd=shop.path).expect(5)
    run("run", env={**env, "BOOTSTRAPD_VALIDATE": "none"}, cwd=shop.path).expect(0)


def test_validate_on_a_database_behind_says_what_to_run(
    run: Run, shop: Project, database_url: str
) -> None:
    result = run("validate", env={"DATABASE_URL": database_url}, cwd=shop.path).expect(5)
    assert "schema is empty, this release wants" in result.stderr
    assert "run: bootstrapd migrate (runbook: drift)" in result.stderr


def test_a_start_with_nothing_new_starts_no_worker(
    run: Run, shop: Project, database_url: str
) -> None:
    env = {"DATABASE_URL": database_url}
    run("run", env=env, cwd=shop.path).expect(0)
    again = run("run -v", env=env, cwd=shop.path).expect(0)
    assert "validate" not in again.stderr
    # Somebody changes the schema by hand: the proof holds no longer, and all is compared anew.
    execute(database_url, "create table by_hand (id integer)")
    noticed = run("run -v", env=env, cwd=shop.path).expect(0)
    assert "table by_hand: wanted nothing, found a table" in noticed.stderr

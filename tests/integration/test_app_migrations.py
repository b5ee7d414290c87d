"""The apps' revisions: each can be taken back, and together they make the models' schema."""

import itertools

import pytest
from alembic import command

from bootstrap import app, engine, revisions, target
from tests.support import apps

NAMES = app.SHIPPED


def steps(name: str) -> list[str]:
    graph = revisions.read(app.shipped_migrations(name))
    return ["base", *(revision.id for revision in graph.pending([]))]


@pytest.mark.parametrize("name", NAMES)
def test_each_step_can_be_taken_back_and_made_again(name: str, database_url: str) -> None:
    for below, step in itertools.pairwise(steps(name)):
        before = apps.catalog(database_url) if below != "base" else []
        apps.upgrade(name, database_url, step)
        after = apps.catalog(database_url)
        assert after != before
        apps.downgrade(name, database_url, below)
        assert apps.catalog(database_url) == before
        apps.upgrade(name, database_url, step)
        assert apps.catalog(database_url) == after
    apps.downgrade(name, database_url, "base")
    assert apps.catalog(database_url) == []
    apps.upgrade(name, database_url)
    assert apps.catalog(database_url) == after


@pytest.mark.parametrize("name", NAMES)
def test_the_models_are_what_the_revisions_make(name: str, database_url: str) -> None:
    apps.upgrade(name, database_url)
    assert apps.differences(database_url, apps.metadata(name)) == []
    # As the app's own env.py configures it: it raises on any difference.
    command.check(apps.config(name, database_url))


@pytest.mark.parametrize("name", NAMES)
def test_the_comparison_would_see_a_difference(name: str, database_url: str) -> None:
    apps.upgrade(name, database_url, steps(name)[1])
    assert apps.differences(database_url, apps.metadata(name)) != []


@pytest.mark.parametrize("name", NAMES)
def test_the_models_alone_make_the_same_schema(
    name: str, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """So a database in memory, which no revisions reach, is the same."""
    apps.upgrade(name, database_url)
    wanted = apps.catalog(database_url)
    apps.downgrade(name, database_url, "base")
    made = engine.make(target.parse(database_url), engine.Options())
    apps.metadata(name).create_all(made)
    made.dispose()
    assert apps.catalog(database_url) == wanted


@pytest.mark.parametrize("name", NAMES)
def test_what_refers_to_its_own_table_is_found_by_an_index(name: str) -> None:
    """Without one, each of many rows that go would read the whole table."""
    for table in apps.metadata(name).tables.values():
        firsts = {next(iter(index.columns)).name for index in table.indexes}
        for link in table.foreign_key_constraints:
            if link.referred_table is table:
                assert link.column_keys[0] in firsts, f"{table}.{link.column_keys[0]}"

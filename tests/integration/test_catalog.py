"""What a schema consists of is read, kept in a file and compared, on real databases."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from bootstrap import app, catalog, libpq
from tests.support import apps, catalogs
from tests.support.postgres import Server


@pytest.fixture
def connect() -> Iterator[Callable[[str], libpq.Connection]]:
    """`connect(url)`: a connection that is closed after the test."""
    with ExitStack() as stack:
        yield lambda url: stack.enter_context(closing(catalogs.connect(url)))


@pytest.mark.parametrize("name", app.SHIPPED)
def test_the_same_revisions_make_the_same_catalog_on_each_server(
    name: str, server16: Server, server18: Server, connect: Callable[[str], libpq.Connection]
) -> None:
    found = []
    for server in (server16, server18):
        url = server.create_database()
        apps.upgrade(name, catalogs.driver_url(url))
        found.append(catalogs.read(connect(url)))
    assert found[0].server != found[1].server
    assert catalog.compare(*found) == ()
    assert found[0] == found[1]
    assert catalog.fingerprint(found[0]) == catalog.fingerprint(found[1])


@pytest.mark.parametrize("name", app.SHIPPED)
def test_a_snapshot_is_read_as_it_was_written(name: str, database_url: str) -> None:
    apps.upgrade(name, catalogs.driver_url(database_url))
    found = catalogs.read_url(database_url)
    text = catalog.dump(found, ["0002", "0001"])
    loaded = catalog.load(text)
    assert loaded.heads == ("0001", "0002")
    assert loaded.catalog == found
    assert catalog.dump(loaded.catalog, loaded.heads) == text


def test_a_transaction_goes_on_around_a_reading_within_it(
    database: str, connect: Callable[[str], libpq.Connection]
) -> None:
    connection = connect(database)
    for statement in ("begin", "set local datestyle = 'German'", "create table made (id int)"):
        connection.execute(statement)
    found = catalog.read_postgres(connection, version_table=catalogs.VERSION_TABLE, within=True)
    assert "made" in [each.name for each in found.objects if each.kind == "table"]
    assert connection.row("show datestyle")[0].startswith("German")
    connection.execute("rollback")
    assert catalogs.read(connection).objects == ()

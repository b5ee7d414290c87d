"""Where the rows go: COPY with psycopg, plain INSERT with sqlite3, INSERT of SQLAlchemy else."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import sqlalchemy as sa

Renderer = Callable[[Any], Any]

# One COPY takes so many rows; its foreign keys are checked at its end, in the server's memory.
COPY_ROWS = 100_000
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Sink(Protocol):
    """Takes rows a column at a time, their values in the form that its renderers give them."""

    def renderer(self, name: str) -> Renderer:
        """What gives a column's value the form that is written."""

    def write(self, columns: Sequence[Sequence[Any]]) -> None:
        """Write rows; each column has a value for every one of them."""


@contextlib.contextmanager
def open_sink(
    connection: sa.engine.Connection, table: sa.Table, names: Sequence[str]
) -> Iterator[Sink]:
    """A sink for these columns of a table."""
    if connection.dialect.driver == "psycopg":
        sink = _Copy(connection, table, names)
        try:
            yield sink
        except BaseException as error:
            sink.abort(error)
            raise
        sink.flush()
    elif connection.dialect.driver == "pysqlite":
        yield _Plain(connection, table, names)
    else:
        yield _Insert(connection, table, names)


class _Insert:
    def __init__(
        self, connection: sa.engine.Connection, table: sa.Table, names: Sequence[str]
    ) -> None:
        self._connection = connection
        self._statement = table.insert()
        self._names = names

    def renderer(self, _: str) -> Renderer:
        return _same

    def write(self, columns: Sequence[Sequence[Any]]) -> None:
        names = self._names
        rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        self._connection.execute(self._statement, rows)


class _Plain:
    """Gives the driver what SQLAlchemy would make of each value, made only once of those drawn."""

    def __init__(
        self, connection: sa.engine.Connection, table: sa.Table, names: Sequence[str]
    ) -> None:
        marks = ", ".join("?" * len(names))
        self._connection = connection
        self._table = table
        self._statement = f"INSERT INTO {_place(connection, table, names)} VALUES ({marks})"

    def renderer(self, name: str) -> Renderer:
        bind = _bound(self._connection.dialect, self._table, name)
        return lambda value: None if value is None else bind(value)

    def write(self, columns: Sequence[Sequence[Any]]) -> None:
        self._connection.exec_driver_sql(self._statement, list(zip(*columns, strict=True)))


class _Copy:
    def __init__(
        self, connection: sa.engine.Connection, table: sa.Table, names: Sequence[str]
    ) -> None:
        from psycopg.adapt import Transformer

        self._statement = f"COPY {_place(connection, table, names)} FROM STDIN"
        self._dialect = connection.dialect
        self._table = table
        driver: Any = connection.connection.dbapi_connection
        self._driver = driver
        self._transformer: Any = Transformer(driver)
        self._open = contextlib.ExitStack()
        self._copy: Any = None
        self._rows = 0

    def renderer(self, name: str) -> Renderer:
        from psycopg.adapt import PyFormat

        bind = _bound(self._dialect, self._table, name)
        get_dumper, text = self._transformer.get_dumper, PyFormat.TEXT

        def render(value: Any) -> str:
            bound = None if value is None else bind(value)
            if bound is None:
                return "\\N"
            dumped = get_dumper(bound, text).dump(bound)
            return bytes(dumped).decode().translate(_ESCAPES)

        return render

    def write(self, columns: Sequence[Sequence[Any]]) -> None:
        if self._copy is None:
            cursor = self._open.enter_context(self._driver.cursor())
            self._copy = self._open.enter_context(cursor.copy(self._statement))
        self._copy.write("\n".join(map("\t".join, zip(*columns, strict=True))) + "\n")
        self._rows += len(columns[0])
        if self._rows >= COPY_ROWS:
            self.flush()

    def flush(self) -> None:
        """End the COPY that is under way: the server has taken all of it."""
        self._rows = 0
        self._copy = None
        self._open.close()

    def abort(self, error: BaseException) -> None:
        """Tell the server that no more comes of the COPY that is under way."""
        with contextlib.suppress(Exception):
            self._open.__exit__(type(error), error, error.__traceback__)


def _place(connection: sa.engine.Connection, table: sa.Table, names: Sequence[str]) -> str:
    """The table with these columns, as INSERT and COPY name them."""
    quote = connection.dialect.identifier_preparer
    listed = ", ".join(quote.format_column(table.c[name]) for name in names)
    return f"{quote.format_table(table)} ({listed})"


def _bound(dialect: sa.engine.Dialect, table: sa.Table, name: str) -> Renderer:
    """What makes of a column's value the one that the driver gets."""
    return table.c[name].type.dialect_impl(dialect).bind_processor(dialect) or _same


def _same(value: Any) -> Any:
    return value

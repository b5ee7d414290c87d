"""The body of every shipped app's `env.py`."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bootstrap import settings


def run(context: Any, metadata: sa.MetaData, **extra: Any) -> None:
    """Run what Alembic was asked for; `context` is `alembic.context`, whose configure gets `extra`.

    The database is the one in the option `sqlalchemy.url`, else that of bootstrapd's settings for
    the app after which the folder of `env.py` is named.
    """
    engine = _engine(context)
    options = {
        **extra,
        "target_metadata": metadata,
        "render_as_batch": engine.dialect.name == "sqlite",
        "transaction_per_migration": True,
        "compare_type": True,
        "compare_server_default": True,
    }
    if context.is_offline_mode():
        context.configure(
            dialect_name=engine.dialect.name,
            literal_binds=True,
            dialect_opts={"paramstyle": "named"},
            **options,
        )
        with context.begin_transaction():
            context.run_migrations()
        return
    with engine.connect() as connection:
        context.configure(connection=connection, **options)
        with context.begin_transaction():
            context.run_migrations()


def _engine(context: Any) -> sa.Engine:
    given = context.config.get_main_option("sqlalchemy.url")
    if given:
        url = sa.make_url(given)
        # An app may reach the same database by an asynchronous driver, with an option of its own.
        driver = "postgresql+psycopg" if url.get_backend_name() == "postgresql" else "sqlite"
        query = {"sslmode" if key == "ssl" else key: value for key, value in url.query.items()}
        return sa.create_engine(url.set(drivername=driver, query=query), poolclass=sa.NullPool)
    loaded = settings.load({"BOOTSTRAPD_APP": Path(context.script.dir).name})
    target = loaded.direct or loaded.target
    if target.is_postgres:
        return sa.create_engine(
            "postgresql+psycopg://", connect_args=target.conninfo(), poolclass=sa.NullPool
        )
    return sa.create_engine(
        sa.URL.create("sqlite", database=str(target.path)), poolclass=sa.NullPool
    )

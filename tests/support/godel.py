"""godel's migrations, run by plain Alembic."""

from alembic import command
from alembic.config import Config

from bootstrap import app


def config(url: str) -> Config:
    """Alembic's configuration of godel's project for this database."""
    made = Config(app.shipped_migrations("godel"))
    made.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return made


def upgrade(url: str, revision: str = "head") -> None:
    """Apply revisions up to this one."""
    command.upgrade(config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Take back revisions down to this one."""
    command.downgrade(config(url), revision)

"""Other people's Alembic projects, as they are: each kind of configuration and of env.py."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import look
from tests.support.cli import Result
from tests.support.postgres import Server
from tests.support.projects import Project

Run = Callable[..., Result]
MakeProject = Callable[..., Project]

EXTRA = """

class Extra(Base):
    __tablename__ = "extra"
    id: Mapped[int] = mapped_column(primary_key=True)
"""


def error_of(ended: Result) -> str:
    message: str = ended.json()["error"]["message"]
    return message


def edit(path: Path, old: str, new: str) -> None:
    source = path.read_text()
    assert source.count(old) == 1, source
    path.write_text(source.replace(old, new))


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path, dialect: str) -> str:
    """An empty database of the kind that the test's parameter `dialect` names."""
    if dialect == "sqlite":
        return f"sqlite:///{tmp_path / 'shop.db'}"
    url: str = request.getfixturevalue("database18")
    return url.replace("postgresql:", f"{dialect}:")


@pytest.mark.parametrize(
    ("kind", "env", "dialect"),
    [
        ("ini", "plain", "postgresql"),
        ("ini", "async", "postgresql+psycopg"),
        ("ini", "logging", "postgresql"),
        ("ini", "own_engine", "sqlite"),
        ("pyproject", "async", "sqlite"),
        ("pyproject", "own_engine", "postgresql"),
        ("directory", "plain", "sqlite"),
        ("directory", "async", "postgresql+asyncpg"),
    ],
)
def test_a_project_goes_up_is_let_be_grows_and_goes_back(
    project: MakeProject, run: Run, url: str, kind: str, env: str, dialect: str
) -> None:
    shop = project(kind=kind, env=env, revisions=2)
    names = {"DATABASE_URL": url}
    ended = run("run --json", env=names, cwd=shop.path).expect(0)
    assert ended.json()["changed"] is True
    assert "env.py says hello" not in ended.stderr
    assert look.tables(url) == {"alembic_version", "item_0001", "item_0002"}
    assert run("run --json", env=names, cwd=shop.path).expect(0).json()["changed"] is False
    with (shop.path / "shop" / "models.py").open("a") as models:
        models.write(EXTRA)
    made = run("new extra", env=names, cwd=shop.path).expect(0)
    path = Path(made.stdout.strip())
    assert path.parent == shop.versions
    assert "op.create_table('extra'" in path.read_text()
    planned = run("plan", env=names, cwd=shop.path).expect(0).stdout
    assert "CREATE TABLE extra" in planned
    assert "item_0001" not in planned
    assert run("run --json", env=names, cwd=shop.path).expect(0).json()["changed"] is True
    run("rollback 0001", env=names, cwd=shop.path).expect(0)
    assert look.tables(url) == {"alembic_version", "item_0001"}


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_an_env_py_that_goes_elsewhere_is_refused_before_it_does_anything(
    project: MakeProject, run: Run, url: str
) -> None:
    shop = project(env="elsewhere")
    for verb in ("run", "rollback base"):
        ended = run(f"{verb} --json", env={"DATABASE_URL": url}, cwd=shop.path).expect(2)
        assert error_of(ended) == (
            f"env.py of app shop was given {look.identity(url)}, but env.py connects to "
            "sqlite:///elsewhere.db; nothing was migrated. Let it take sqlalchemy.url from the "
            "configuration, or name the variable that it reads: aliases.DATABASE_URL in "
            "bootstrapd.toml"
        )
    assert look.tables(url) == set()
    assert look.tables(f"sqlite:///{shop.path}/elsewhere.db") == set()


def test_an_env_py_that_goes_to_the_same_name_on_another_server_is_refused(
    project: MakeProject, run: Run, server16: Server, database18: str
) -> None:
    name = look.identity(database18).rpartition("/")[2]
    server16.admin(f"create database {name}")
    try:
        there = server16.url(name).replace("%", "%%")
        shop = project(env="elsewhere")
        edit(shop.path / "alembic" / "env.py", '"sqlite:///elsewhere.db"', repr(there))
        ended = run("run --json", env={"DATABASE_URL": database18}, cwd=shop.path).expect(2)
        assert (
            f"but env.py connects to postgresql://postgres:***@127.0.0.1:{server16.port}/{name}; "
            "nothing was migrated." in error_of(ended)
        )
        assert look.tables(server16.url(name)) == set()
    finally:
        server16.admin(f"drop database {name}")


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_an_env_py_that_returns_without_migrating_is_not_believed(
    project: MakeProject, run: Run, url: str
) -> None:
    shop = project(revisions=2)
    env_py = shop.path / "alembic" / "env.py"
    whole = env_py.read_text()
    env = {"DATABASE_URL": url}
    run("migrate 0001", env=env, cwd=shop.path).expect(0)
    env_py.write_text("")
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    place = look.identity(url)
    assert error_of(ended) == (
        f"the migration reported success, but {place} is at 0001 and not at 0002; does env.py of "
        "app shop migrate another database, or return before it is done?"
    )
    ended = run("rollback base --json", env=env, cwd=shop.path).expect(4)
    assert f"{place} is at 0001 and not at base" in error_of(ended)
    ended = run("migrate --mark-applied 0002 --json", env=env, cwd=shop.path).expect(4)
    assert f"{place} is at 0001 and not at 0002" in error_of(ended)
    env_py.write_text(whole)
    run("run", env=env, cwd=shop.path).expect(0)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql", "postgresql+asyncpg"])
def test_an_env_py_that_begins_the_transaction_itself_still_gets_one_a_revision(
    project: MakeProject, run: Run, url: str, dialect: str
) -> None:
    fails = 'op.create_table("half", sa.Column("id", sa.Integer))\nop.execute("drop table nowhere")'
    create = 'op.create_table("{}", sa.Column("id", sa.Integer))'
    kind = "async" if dialect.endswith("asyncpg") else "plain"
    shop = project(
        env=kind, revisions=[create.format("one"), create.format("two"), fails], models=False
    )
    edit(shop.path / "alembic" / "env.py", "connectable.connect()", "connectable.begin()")
    env = {"DATABASE_URL": url}
    ended = run("run --json", env=env, cwd=shop.path).expect(4)
    assert error_of(ended).startswith("revision 0003 (step 0003) failed and was rolled back: ")
    assert look.tables(url) == {"alembic_version", "one", "two"}
    assert look.revisions(url) == ["0002"]
    shop.revision("0003", upgrade=create.format("three"), down="0002")
    run("run", env=env, cwd=shop.path).expect(0)
    assert look.revisions(url) == ["0003"]


def test_autocommit_within_a_transaction_of_env_py_is_told(
    project: MakeProject, run: Run, database18: str
) -> None:
    shop = project(revisions=["with op.get_context().autocommit_block():\n    pass"], models=False)
    edit(shop.path / "alembic" / "env.py", "connectable.connect()", "connectable.begin()")
    ended = run("run --json", env={"DATABASE_URL": database18}, cwd=shop.path).expect(4)
    assert (
        "RuntimeError: autocommit_block() cannot work inside the transaction that env.py has begun;"
        " let env.py use engine.connect() in place of engine.begin(); " in error_of(ended)
    )


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_a_search_path_and_other_statements_before_the_revisions_are_kept(
    project: MakeProject, run: Run, url: str, dialect: str
) -> None:
    create = 'op.create_table("one", sa.Column("id", sa.Integer))'
    shop = project(revisions=[create, create.replace("one", "two")], models=False)
    before = (
        "from sqlalchemy import text\n"
        "        connection.execute(text('create table if not exists early (id integer)'))\n"
        "        context.configure("
    )
    edit(
        shop.path / "alembic" / "env.py",
        "context.configure(\n            connection=connection",
        f"{before}\n            connection=connection",
    )
    run("run", env={"DATABASE_URL": url}, cwd=shop.path).expect(0)
    assert look.tables(url) == {"alembic_version", "early", "one", "two"}

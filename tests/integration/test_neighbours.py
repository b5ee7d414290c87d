"""An app's own world stays its own: its interpreter, its modules, its tables, its settings."""

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import look
from tests.support.cli import Result
from tests.support.projects import Project

Run = Callable[..., Result]
MakeProject = Callable[..., Project]

ALEMBIC = (sys.executable, "-m", "alembic")


def error_of(ended: Result) -> str:
    message: str = ended.json()["error"]["message"]
    return message


def edit(path: Path, old: str, new: str) -> None:
    source = path.read_text()
    assert source.count(old) == 1, source
    path.write_text(source.replace(old, new))


# -- its interpreter ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another virtual environment that borrows its packages."""
    home = tmp_path_factory.mktemp("venv") / "of the app"
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    purelib = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    Path(purelib, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_revisions_run_under_the_interpreter_of_the_app(
    project: MakeProject, run: Run, sqlite_url: str, interpreter: Path
) -> None:
    says = 'import sys\nopen("ran-by", "w").write(sys.prefix)'
    shop = project(revisions=[says], models=False, declare={"python": str(interpreter)})
    run("run", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(0)
    assert (shop.path / "ran-by").read_text() == str(interpreter.parents[1])


@pytest.mark.parametrize(
    ("python", "said"),
    [
        (
            "venv/bin/python",
            "cannot start the interpreter '{cwd}/venv/bin/python' of app shop: No such file or "
            "directory; check python in bootstrapd.toml",
        ),
        (
            "/bin/false",
            "the Alembic project {cwd}/alembic.ini of app shop cannot be opened with /bin/false: "
            "it ended with exit code 1; check alembic and python in bootstrapd.toml",
        ),
    ],
)
def test_an_interpreter_that_is_none(
    project: MakeProject, run: Run, sqlite_url: str, python: str, said: str
) -> None:
    shop = project(declare={"python": python})
    ended = run("run --json", env={"DATABASE_URL": sqlite_url}, cwd=shop.path)
    assert error_of(ended.expect(2)) == said.format(cwd=shop.path)


def test_an_interpreter_without_alembic(
    project: MakeProject, run: Run, sqlite_url: str, tmp_path: Path
) -> None:
    venv.create(tmp_path / "bare", symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    shop = project(declare={"python": str(python)})
    env = {"DATABASE_URL": sqlite_url}
    ended = run("run --json", env=env, cwd=shop.path).expect(2)
    assert error_of(ended) == (
        f"the Alembic project {shop.alembic} of app shop cannot be opened with {python}: "
        "ModuleNotFoundError: No module named 'sqlalchemy'; check alembic and python in "
        "bootstrapd.toml"
    )


# -- its modules ----------------------------------------------------------------------------------


@pytest.mark.parametrize("safe_path", ["", "1"])
def test_modules_that_are_named_like_bootstrapds_are_the_apps(
    project: MakeProject, run: Run, sqlite_url: str, safe_path: str
) -> None:
    names = ("app", "settings", "errors", "migrate", "worker")
    shop = project(
        revisions=["".join(f"import {name}\nassert {name}.OF == 'shop'\n" for name in names)],
        models=False,
    )
    for name in names:
        (shop.path / f"{name}.py").write_text("OF = 'shop'\n")
    edit(
        shop.path / "alembic" / "env.py",
        "target_metadata = None",
        "import app, settings, errors\n\ntarget_metadata = None",
    )
    env = {"DATABASE_URL": sqlite_url, "PYTHONSAFEPATH": safe_path}
    run("run", env=env, cwd=shop.path).expect(0)


def test_a_package_in_src_beside_the_declaration_is_found(
    project: MakeProject, run: Run, sqlite_url: str
) -> None:
    shop = project(revisions=1)
    (shop.path / "src").mkdir()
    (shop.path / "shop").rename(shop.path / "src" / "shop")
    (shop.path / "db").mkdir()
    (shop.path / "alembic.ini").rename(shop.path / "db" / "alembic.ini")
    (shop.path / "alembic").rename(shop.path / "db" / "alembic")
    edit(shop.path / "bootstrapd.toml", '"alembic.ini"', '"db/alembic.ini"')
    env = {"DATABASE_URL": sqlite_url}
    run("run", env=env, cwd=shop.path).expect(0)
    run("validate", env=env, cwd=shop.path).expect(0)
    ended = run("run -v", env=env, cwd=shop.path).expect(0)
    assert "comparing the models" not in ended.stderr


def test_an_ini_whose_paths_start_from_the_folder_of_the_declaration(
    project: MakeProject, run: Run, sqlite_url: str
) -> None:
    shop = project(revisions=1)
    (shop.path / "db").mkdir()
    ini = shop.path / "db" / "alembic.ini"
    (shop.path / "alembic.ini").rename(ini)
    edit(ini, "script_location = %(here)s/alembic", "script_location = alembic")
    edit(shop.path / "bootstrapd.toml", '"alembic.ini"', '"db/alembic.ini"')
    run("run", env={"DATABASE_URL": sqlite_url}, cwd=shop.path).expect(0)
    assert look.revisions(sqlite_url) == ["0001"]


# -- its settings ---------------------------------------------------------------------------------


def test_an_env_py_that_reads_the_apps_own_variable(
    project: MakeProject, run: Run, database18: str
) -> None:
    shop = project(env="own_engine", declare={"aliases.DATABASE_URL": "SHOP_DB"})
    edit(
        shop.path / "alembic" / "env.py",
        'create_engine(config.get_main_option("sqlalchemy.url")',
        '__import__("sqlalchemy").create_engine(__import__("os").environ["SHOP_DB"]',
    )
    run("run", env={"SHOP_DB": database18}, cwd=shop.path).expect(0)
    run("run", env={"DATABASE_URL": database18}, cwd=shop.path).expect(0)
    assert look.revisions(database18) == ["0001"]


def test_placeholders_in_the_ini_are_none_of_bootstrapds_business(
    project: MakeProject, run: Run, database18: str
) -> None:
    shop = project()
    shop.set_url("X")
    edit(
        shop.alembic,
        "sqlalchemy.url = X",
        "sqlalchemy.url = postgresql://%(DB_USER)s:%(DB_PASS)s@nowhere/shop",
    )
    run("run", env={"DATABASE_URL": database18}, cwd=shop.path).expect(0)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        # What its text does not say plainly.
        ('version_table=str("shop_version")', "shop_version"),
        ('version_table=str("v"), version_table_schema=str("history")', "history.v"),
    ],
)
def test_a_version_table_of_another_name_must_be_declared(
    project: MakeProject, run: Run, database18: str, options: str, name: str
) -> None:
    shop = project(revisions=2)
    source = (shop.path / "alembic" / "env.py").read_text()
    old = "context.configure(\n            connection=connection,"
    assert source.count(old) == 1
    (shop.path / "alembic" / "env.py").write_text(source.replace(old, f"{old} {options},"))
    look.query(database18, "create schema history")
    env = {"DATABASE_URL": database18}
    ended = run("run --json", env=env, cwd=shop.path).expect(2)
    assert error_of(ended) == (
        f"env.py of app shop keeps its version in '{name}', but 'alembic_version' is declared; "
        f"nothing was migrated. Set version_table = '{name}' in bootstrapd.toml"
    )
    assert look.tables(database18) == set()
    shop.declare(version_table=name)
    assert run("run --json", env=env, cwd=shop.path).expect(0).json()["changed"] is True
    assert look.query(database18, f"select version_num from {name}") == [("0002",)]
    assert run("run --json", env=env, cwd=shop.path).expect(0).json()["changed"] is False
    run("rollback 0001", env=env, cwd=shop.path).expect(0)
    assert look.query(database18, f"select version_num from {name}") == [("0001",)]


def test_a_version_table_that_env_py_names_plainly_is_found(
    project: MakeProject, run: Run, database18: str
) -> None:
    shop = project(revisions=1)
    env_py = shop.path / "alembic" / "env.py"
    old = "connection=connection,"
    env_py.write_text(env_py.read_text().replace(old, f'{old} version_table="shop_version",'))
    env = {"DATABASE_URL": database18}
    assert run("run --json", env=env, cwd=shop.path).expect(0).json()["changed"] is True
    assert look.query(database18, "select version_num from shop_version") == [("0001",)]


# -- its tables -----------------------------------------------------------------------------------


def test_alembic_itself_sees_nothing_of_bootstrapds(
    project: MakeProject, run: Run, either_url: str
) -> None:
    shop = project(revisions=2)
    run("run", env={"DATABASE_URL": either_url}, cwd=shop.path).expect(0)
    shop.set_url(either_url.replace("postgresql:", "postgresql+psycopg:"))
    checked = run("check", cwd=shop.path, python=ALEMBIC).expect(0)
    assert "No new upgrade operations detected." in checked.stdout


def test_not_even_where_every_schema_is_compared(
    project: MakeProject, run: Run, database18: str
) -> None:
    shop = project(revisions=2)
    source = (shop.path / "alembic" / "env.py").read_text()
    (shop.path / "alembic" / "env.py").write_text(
        source.replace(
            "target_metadata=target_metadata",
            "target_metadata=target_metadata, include_schemas=True",
        )
    )
    env = {"DATABASE_URL": database18}
    run("run", env=env, cwd=shop.path).expect(0)
    assert run("validate --json", env=env, cwd=shop.path).expect(0).json()["validated"] == {
        "means": "models",
        "tables": 2,
        "findings": [],
    }
    made = run("new nothing", env=env, cwd=shop.path).expect(0)
    assert "bootstrapd" not in Path(made.stdout.strip()).read_text()

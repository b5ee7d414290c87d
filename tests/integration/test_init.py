"""`bootstrapd init`: the section for somebody's project, found out by trying."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import look
from tests.support.cli import ROOT, Result
from tests.support.projects import Project

Run = Callable[..., Result]
MakeProject = Callable[..., Project]

PROJECTS = ROOT / "tests" / "data" / "projects"


@pytest.fixture
def stranger(tmp_path: Path) -> Callable[[str], Path]:
    """`stranger("url_parts")`: a copy of this project that nobody has declared, as `shop`."""

    def copy(name: str) -> Path:
        path = tmp_path / "shop"
        shutil.copytree(PROJECTS / name, path)
        (path / "bootstrapd.toml").unlink()
        # Its environment: whatever it is, it is called so.
        (path / ".venv" / "bin").mkdir(parents=True)
        python = path / ".venv" / "bin" / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        return path

    return copy


BEGIN = """[apps.shop]
alembic = "alembic.ini"
python = ".venv/bin/python"
metadata = "shop.models:Base.metadata"
"""


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("branches", ""),
        ("package_path", ""),
        ("own_version_table", 'version_table = "shop_revision"\n'),
        ("given_autocommit", 'connection = "autocommit"\n'),
        (
            "settings_module",
            '\n[apps.shop.aliases]\nDATABASE_URL = ["SHOP_DATABASE_URI"]\n',
        ),
        (
            "async_engine",
            'url_driver = ["sqlite+aiosqlite"]\n'
            '\n[apps.shop.aliases]\nDATABASE_URL = ["SHOP_ASYNC_URL"]\n',
        ),
    ],
)
def test_the_section_works_as_it_is(
    run: Run, stranger: Callable[[str], Path], sqlite_url: str, name: str, rest: str
) -> None:
    path = stranger(name)
    made = run("init", cwd=path).expect(0)
    assert made.stdout == BEGIN + rest
    assert (path / "bootstrapd.toml").read_text() == BEGIN + rest
    assert "an empty sqlite database comes up by its revisions" in made.stderr
    assert "warning" not in made.stderr
    run("run", env={"DATABASE_URL": sqlite_url}, cwd=path).expect(0)
    assert {"item", "witness"} <= look.tables(sqlite_url)
    run("validate", env={"DATABASE_URL": sqlite_url}, cwd=path).expect(0)


def test_a_project_of_postgresql_alone_is_told_its_parts(
    run: Run, stranger: Callable[[str], Path], database18: str
) -> None:
    path = stranger("url_parts")
    env = {"DATABASE_URL": database18}
    document = run("init --json", env=env, cwd=path).expect(0).json()
    aliases = "".join(
        f'POSTGRES_{part} = ["DB_{name}"]\n'
        for part, name in [
            ("DB", "NAME"),
            ("HOST", "HOST"),
            ("PASSWORD", "PASSWORD"),
            ("PORT", "PORT"),
            ("USER", "USER"),
        ]
    )
    assert (path / "bootstrapd.toml").read_text() == f"{BEGIN}\n[apps.shop.aliases]\n{aliases}"
    assert (document["app"], document["heads"], document["tables"]) == ("shop", ["0002"], 2)
    assert (document["from_empty"], document["unknown"]) == (["postgresql"], [])
    # Only scratch databases were written to.
    assert look.tables(database18) == set()
    run("run", env=env, cwd=path).expect(0)
    assert look.revisions(database18) == ["0002"]


def test_what_is_there_stays_and_is_never_written_over(
    run: Run, stranger: Callable[[str], Path]
) -> None:
    path = stranger("branches")
    before = '# Mine.\n[settings]\nseed = false   # for now\n\n[apps."other"]\nalembic = "."\n'
    toml = path / "bootstrapd.toml"
    toml.write_text(before)
    toml.chmod(0o640)
    run("init", cwd=path).expect(0)
    assert toml.read_text() == f"{before}\n{BEGIN}"
    assert toml.stat().st_mode & 0o777 == 0o640
    for arguments in ("init", "init --app another"):
        ended = run(f"{arguments} --json", cwd=path).expect(2)
        assert ended.json()["error"]["message"] == (
            "bootstrapd.toml declares [apps.shop] already; nothing was written. Edit it there, or "
            "remove it and run: bootstrapd init"
        )
    assert toml.read_text() == f"{before}\n{BEGIN}"
    toml.write_text("[apps")
    assert "not valid TOML" in run("init --json", cwd=path).expect(2).json()["error"]["message"]
    assert toml.read_text() == "[apps"


def test_a_project_in_a_folder_is_named_by_its_pyproject(
    run: Run, stranger: Callable[[str], Path], tmp_path: Path
) -> None:
    path = stranger("branches")
    (path / "pyproject.toml").write_text('[project]\nname = "The Shop"\n')
    run("init . --config conf/bootstrapd.toml", cwd=tmp_path).expect(2)
    made = run("init shop", cwd=tmp_path).expect(0).stdout
    assert made == (
        '[apps.the-shop]\nalembic = "shop/alembic.ini"\npython = "shop/.venv/bin/python"\n'
        'metadata = "shop.models:Base.metadata"\n'
    )
    run("run", cwd=tmp_path).expect(0)
    assert (tmp_path / "the-shop.db").exists()


def test_what_could_not_be_found_out_is_said(run: Run, stranger: Callable[[str], Path]) -> None:
    path = stranger("x_arguments")
    document = run("init --json", cwd=path).expect(0).json()
    assert document["from_empty"] == []
    assert document["unknown"][0] == (
        "an empty sqlite database did not come up by its revisions: there is no 'tenant'"
    )
    assert document["unknown"][-1] == (
        'env.py takes -x arguments; say those that it cannot do without: x = ["NAME=VALUE"], and '
        'with url_in = "x:NAME" the one for the URL'
    )
    assert document["section"].endswith(
        "# An empty database did not come up by the revisions: see initialise.\n"
    )


def test_revisions_that_need_a_base_are_told(run: Run, project: MakeProject) -> None:
    shop = project(revisions=["op.add_column('user', sa.Column('age', sa.Integer))"], models=False)
    (shop.path / "bootstrapd.toml").unlink()
    unknown = run("init --json", cwd=shop.path).expect(0).json()["unknown"]
    assert (
        "an empty sqlite database did not come up by its revisions: revision 0001 (step 0001) "
        "fails: no such table: user"
    ) in unknown


def test_where_there_is_no_project_nothing_is_written(run: Run, tmp_path: Path) -> None:
    ended = run("init --json", cwd=tmp_path).expect(2)
    assert ended.json()["error"]["message"] == (
        f"there is no Alembic project in '{tmp_path}': wanted an alembic.ini, a pyproject.toml "
        "with [tool.alembic], or a folder with env.py and versions"
    )
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "alembic.ini").touch()
    ended = run("init --json", cwd=tmp_path).expect(2)
    assert ended.json()["error"]["message"] == (
        f"there are 2 Alembic projects: {tmp_path}/one/alembic.ini, {tmp_path}/two/alembic.ini; "
        "name one"
    )
    assert not (tmp_path / "bootstrapd.toml").exists()

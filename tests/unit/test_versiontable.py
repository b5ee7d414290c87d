"""The version table that an env.py names is read from its text."""

from pathlib import Path

import pytest

from bootstrap import versiontable

RUN = "context.configure(connection=connection, {})\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (RUN.format("target_metadata=None"), "alembic_version"),
        (RUN.format("version_table='shop_version'"), "shop_version"),
        (
            "NAME, = 'x',\nTABLE = 'shop_version'\n"
            + RUN.format("version_table=TABLE, version_table_schema='meta'"),
            "meta.shop_version",
        ),
        (
            "options = {'version_table_schema': 'meta', **{}}\n" + RUN.format("**options"),
            "meta.alembic_version",
        ),
        # Only running it would tell.
        (RUN.format("version_table=settings.table"), "alembic_version"),
        (RUN.format("version_table=f'{name}_version'"), "alembic_version"),
        ("version_table = ", "alembic_version"),
    ],
)
@pytest.mark.parametrize("kind", ["directory", "ini", "package", "toml"])
def test_it_is_found_where_it_is_plain(tmp_path: Path, text: str, found: str, kind: str) -> None:
    scripts = tmp_path / "shop" / "migrations"
    scripts.mkdir(parents=True)
    (scripts / "env.py").write_text(text)
    alembic = {"directory": scripts, "toml": tmp_path / "pyproject.toml"}.get(
        kind, tmp_path / "alembic.ini"
    )
    if kind == "toml":
        alembic.write_text('[tool.alembic]\nscript_location = "%(here)s/shop/migrations"\n')
    elif kind != "directory":
        location = "shop:migrations" if kind == "package" else "shop/migrations"
        alembic.write_text(f"[alembic]\nscript_location = {location}\n")
    assert versiontable.named(alembic, (tmp_path,)) == found


def test_what_cannot_be_read_is_for_others_to_complain_of(tmp_path: Path) -> None:
    assert versiontable.named(tmp_path, ()) == "alembic_version"
    assert versiontable.named(tmp_path / "alembic.ini", ()) == "alembic_version"
    (tmp_path / "pyproject.toml").write_text("[tool")
    assert versiontable.named(tmp_path / "pyproject.toml", ()) == "alembic_version"

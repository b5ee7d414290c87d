"""The built wheel, installed alone, does what the source tree does."""

import re
import sqlite3
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from contextlib import closing
from importlib import metadata
from pathlib import Path

import pytest

from tests.support.cli import ROOT, Result

# Where the wheel has what stands beside the package in the source tree.
_PLACES = {
    "bootstrap": "bootstrap",
    "migrations": "bootstrap/migrations",
    "playbooks/runbooks": "bootstrap/runbooks",
}

# The pin is a view that holds a random identity.
_SCHEMA = "SELECT name, sql FROM sqlite_master WHERE name <> 'bootstrapd_pin' ORDER BY name"

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this source tree."""
    out = tmp_path_factory.mktemp("dist")
    _program(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", f"--outdir={out}", str(ROOT)
    )
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment that holds the wheel and its pinned dependencies alone.

    The dependencies are links to what this session has installed: nothing is downloaded, and what
    is not in requirements/base.txt, as the checkout, cannot be imported.
    """
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, symlinks=True)
    (packages,) = home.glob("lib/python3.*/site-packages")
    pins = (ROOT / "requirements" / "base.txt").read_text()
    for name in re.findall(r"^([\w.-]+)(?:\[\w+\])?==", pins, re.MULTILINE):
        files = metadata.distribution(name).files or ()
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            place = packages / top
            place.symlink_to(Path(str(metadata.distribution(name).locate_file(top))))
    pip = (sys.executable, "-m", "pip", f"--python={home / 'bin' / 'python'}")
    _program(*pip, "install", "--no-deps", "--no-index", "--quiet", str(wheel))
    _program(*pip, "check")
    return home / "bin"


def _program(*argv: str) -> None:
    result = subprocess.run(argv, capture_output=True, text=True, cwd="/")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("source", "place"), _PLACES.items())
def test_the_wheel_holds_the_files_of_the_source_tree(wheel: Path, source: str, place: str) -> None:
    in_tree = {
        path.relative_to(ROOT / source).as_posix(): path.read_bytes()
        for path in (ROOT / source).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    others = tuple(f"{other}/" for other in _PLACES.values() if other != place)
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {
            name.removeprefix(f"{place}/"): archive.read(name)
            for name in archive.namelist()
            if name.startswith(f"{place}/")
            and not name.startswith(tuple(other for other in others if other.startswith(place)))
        }
    assert in_tree, f"no file in {source}"
    assert in_wheel == in_tree


def test_the_wheel_brings_up_godel_from_any_folder_like_the_source_tree(
    run: Run, installed: Path, tmp_path: Path
) -> None:
    def bring_up(name: str, **how: object) -> tuple[list[tuple[str, str]], dict[str, object]]:
        folder = tmp_path / name
        folder.mkdir()
        run("run --app godel -- true", cwd=folder, **how).expect(0)
        document = run("status --app godel --json", cwd=folder, **how).expect(0).json()
        with closing(sqlite3.connect(folder / "godel.db")) as connection:
            schema = connection.execute(_SCHEMA).fetchall()
        return schema, {key: document[key] for key in ("app", "state", "current", "heads")}

    alone = {"python": (installed / "bootstrapd",), "env": {"PYTHONPATH": ""}}
    from_wheel = bring_up("wheel", **alone)
    assert {"agents", "teams", "workflows", "events"} <= {name for name, _ in from_wheel[0]}
    assert from_wheel == bring_up("tree")


def test_the_wheel_is_imported_from_its_own_environment(run: Run, installed: Path) -> None:
    asked = run(
        ["-c", "import bootstrap.apps.godel.api as api; print(api.__file__)"],
        python=(installed / "python",),
        env={"PYTHONPATH": ""},
    )
    assert asked.expect(0).stdout.startswith(str(installed.parent))

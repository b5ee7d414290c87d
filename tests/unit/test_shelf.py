"""Names, manifests and the leave of backups in a shared folder."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bootstrap.shelf import Manifest, Shelf

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
IDENTITY = "1a2b3c4d-0000-4000-8000-000000000000"


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """The shelf of one app and database."""
    return Shelf(tmp_path, "shop", IDENTITY)


def put(shelf: Shelf, moment: datetime, *revisions: str) -> str:
    name = shelf.name(".dump", moment)
    part = shelf.folder / f".{name}.part"
    part.write_text("content")
    manifest = Manifest(
        file=name,
        app=shelf.app,
        identity=str(shelf.identity),
        target="db:5432/shop",
        revisions=revisions,
        release="1",
        bootstrapd="1",
        server="postgresql 18.4",
        tool="pg_dump 18.4",
        size=7,
        sha256="",
        taken_at="",
    )
    shelf.put(part, manifest)
    assert shelf.good()[-1] == manifest
    return name


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


def test_a_name_carries_app_time_and_database(shelf: Shelf) -> None:
    assert shelf.name(".dump", NOON) == "shop-20261121T120000.000Z-1a2b3c4d.dump"


def test_names_sort_as_they_were_taken_though_the_clock_steps_back(shelf: Shelf) -> None:
    names = [put(shelf, moment, "0001") for moment in (at(0), at(-60), at(-60), at(1))]
    assert names == sorted(names)
    assert names[1] == "shop-20261121T120000.001Z-1a2b3c4d.dump"
    assert [each.file for each in shelf.good()] == names


def test_the_latest_states_are_kept(shelf: Shelf) -> None:
    names = [put(shelf, at(number), f"{number:04}") for number in range(5)]
    assert [each.file for each in shelf.keep(2)] == names[:3]
    assert [each.file for each in shelf.good()] == names[3:]
    assert len(list(shelf.folder.iterdir())) == 4


def test_of_a_row_at_the_same_revisions_the_first_and_the_last_are_kept(shelf: Shelf) -> None:
    rows = [("a",), ("b", "c"), ("c", "b"), ("b", "c"), ("a",)]
    names = [put(shelf, at(number), *row) for number, row in enumerate(rows)]
    assert [each.file for each in shelf.keep(2)] == [names[0], names[2]]
    assert [each.file for each in shelf.keep(1)] == [names[1], names[3]]


def test_zero_keeps_all(shelf: Shelf) -> None:
    for number in range(3):
        put(shelf, at(number), f"{number}")
    assert shelf.keep(0) == []
    assert len(shelf.good()) == 3


@pytest.mark.parametrize(
    ("app", "identity"), [("shop-eu", IDENTITY), ("shop", IDENTITY.replace("1a", "ff"))]
)
def test_those_of_others_are_left_alone(shelf: Shelf, app: str, identity: str) -> None:
    other = Shelf(shelf.folder, app, identity)
    theirs = [put(other, at(number), f"{number}") for number in range(2)]
    (shelf.folder / f".{theirs[0]}.part").touch()
    put(shelf, at(5), "5")
    assert shelf.clear() == 0
    assert shelf.keep(1) == []
    assert [each.file for each in other.good()] == theirs
    assert (shelf.folder / f".{theirs[0]}.part").exists()


@pytest.mark.parametrize("damage", ["gone", "torn", "no manifest", "torn manifest", "renamed"])
def test_what_does_not_fit_its_manifest_is_no_backup(shelf: Shelf, damage: str) -> None:
    name = put(shelf, NOON, "0001")
    file, manifest = shelf.folder / name, shelf.folder / f"{name}.json"
    if damage == "gone":
        file.unlink()
    elif damage == "torn":
        file.write_text("cont")
    elif damage == "no manifest":
        manifest.unlink()
    elif damage == "torn manifest":
        manifest.write_text(manifest.read_text()[:50])
    else:
        file.rename(shelf.folder / "other.dump")
        manifest.rename(shelf.folder / "other.dump.json")
    assert shelf.good() == []
    assert shelf.keep(1) == []


def test_what_a_killed_run_left_is_cleared(shelf: Shelf) -> None:
    kept = put(shelf, NOON, "0001")
    name = shelf.name(".sqlite", at(1))
    for left in (f".{name}.part", f".{name}.part-journal", f".{name}.json.part"):
        (shelf.folder / left).touch()
    # Killed between the two renames, the manifest is there before its backup.
    lone = {**asdict(shelf.good()[0]), "file": name}
    (shelf.folder / f"{name}.json").write_text(json.dumps(lone))
    bystander = shelf.folder / ".unrelated.part"
    bystander.touch()
    assert shelf.clear() == 3
    assert sorted(path.name for path in shelf.folder.iterdir()) == sorted(
        [bystander.name, kept, f"{kept}.json"]
    )

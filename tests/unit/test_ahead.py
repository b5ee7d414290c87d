"""Where a database stands that has revisions which this release does not have."""

from dataclasses import replace
from typing import Literal

import pytest

from bootstrap import ahead, ledger, revisions, settings


def graph(**down: tuple[str, ...]) -> revisions.Graph:
    found = {id_: revisions.Revision(id_, "", f"{id_}.py", below) for id_, below in down.items()}
    return revisions.Graph(found, "")


def note(id_: str, *below: str, floor: str | None = None, at: str = "2026") -> ledger.Note:
    return ledger.Note(id_, below, "x", "x", "applied", f"{id_}-release", at, floor)


@pytest.fixture
def loaded() -> settings.Loaded:
    loaded = settings.load({}, {"BOOTSTRAPD_RELEASE": "1.4"})
    assert loaded.release == "1.4"
    return loaded


KNOWN = graph(a=(), b=("a",))
BRANCHED = graph(a=(), web=("a",), jobs=("a",))


@pytest.mark.parametrize(
    ("known", "notes", "current", "state", "lacking", "needs"),
    [
        # One revision ahead: it does not say, is old enough, is too new, or is not remembered.
        (KNOWN, [note("c", "b")], ["c"], "ahead", (), "c-release"),
        (KNOWN, [note("c", "b", floor="1.4")], ["c"], "compatible", (), "1.4"),
        (KNOWN, [note("c", "b", floor="1.10")], ["c"], "ahead", (), "1.10"),
        (KNOWN, [], ["c"], "ahead", (), ""),
        # Two: both must be; the newest of what they say counts.
        (
            KNOWN,
            [note("c", "b", floor="1.2"), note("d", "c", floor="1.10")],
            ["d"],
            "ahead",
            (),
            "1.10",
        ),
        (
            KNOWN,
            [note("c", "b"), note("d", "c", floor="1.2")],
            ["d"],
            "ahead",
            (),
            "d-release",
        ),
        # The one in between was applied by others: what else is there cannot be told.
        (KNOWN, [note("d", "c", floor="1.2")], ["d"], "ahead", (), "d-release"),
        # A revision that was taken back is still remembered, and does not count.
        (
            KNOWN,
            [note("c", "b", floor="1.2"), note("d", "c", floor="2.0")],
            ["c"],
            "compatible",
            (),
            "1.2",
        ),
        # Both sides went on from a.
        (KNOWN, [note("c", "a", floor="1.2")], ["c"], "diverged", ("b",), "c-release"),
        # Of two branches one is ahead; or one is ahead and the other behind.
        (
            BRANCHED,
            [note("web2", "web", floor="1.2")],
            ["web2", "jobs"],
            "compatible",
            (),
            "1.2",
        ),
        (
            BRANCHED,
            [note("web2", "web", floor="1.2")],
            ["web2"],
            "diverged",
            ("jobs",),
            "web2-release",
        ),
        # What is no version was let through by an older bootstrapd, or written by hand.
        (KNOWN, [note("c", "b", floor="blue")], ["c"], "ahead", (), "c-release"),
    ],
)
def test_where_it_stands(
    loaded: settings.Loaded,
    known: revisions.Graph,
    notes: list[ledger.Note],
    current: list[str],
    state: Literal["ahead", "diverged", "compatible"],
    lacking: tuple[str, ...],
    needs: str,
) -> None:
    found = ahead.look(loaded, known, notes, current)
    assert (found.state, found.lacking, found.needs) == (state, lacking, needs)
    assert found.unknown == tuple(sorted(set(current) - known.revisions.keys()))


def test_a_circle_in_what_is_remembered_has_an_end(loaded: settings.Loaded) -> None:
    notes = [note("c", "d"), note("d", "c")]
    assert ahead.look(loaded, KNOWN, notes, ["c"]).state == "diverged"


def test_the_latest_head_names_the_release(loaded: settings.Loaded) -> None:
    notes = [note("c", "b", at="2026-01"), note("d", "b", at="2026-02")]
    assert ahead.look(loaded, KNOWN, notes, ["c", "d"]).needs == "d-release"
    swapped = [replace(notes[0], at="2026-03"), notes[1]]
    assert ahead.look(loaded, KNOWN, swapped, ["c", "d"]).needs == "c-release"

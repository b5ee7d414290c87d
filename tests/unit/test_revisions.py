"""Revisions read without Alembic are what Alembic itself reads."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from bootstrap import revisions
from bootstrap.revisions import Graph, NotPlainError, Revision

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(head_of_a_file, ...)`: an alembic.ini with these revision files, in that order."""

    def write(*heads: str, ini: str = "script_location = %(here)s/scripts\n") -> Path:
        versions = tmp_path / "scripts" / "versions"
        versions.mkdir(parents=True, exist_ok=True)
        for number, head in enumerate(heads):
            (versions / f"f{number}.py").write_text(dedent(head), encoding="utf-8")
        path = tmp_path / "alembic.ini"
        path.write_text(f"[alembic]\n{ini}")
        return path

    return write


def by_alembic(config: Config) -> dict[str, Revision]:
    script = ScriptDirectory.from_config(config)
    return {
        each.revision: Revision(
            id=each.revision,
            title=(each.doc or "").partition("\n")[0],
            path=str(each.path),
            down=tuple(sorted(each._versioned_down_revisions)),
            needs=tuple(sorted(each._resolved_dependencies)),
            labels=tuple(sorted(each._orig_branch_labels)),
        )
        for each in script.walk_revisions()
    }


def ordered(graph: Graph) -> dict[str, Revision]:
    return {
        id_: each._replace(
            down=tuple(sorted(each.down)),
            needs=tuple(sorted(each.needs)),
            labels=tuple(sorted(each.labels)),
        )
        for id_, each in graph.revisions.items()
    }


def plain(
    revision: str, down: object = None, *, needs: object = None, labels: object = None
) -> str:
    return (
        f'"""step {revision}"""\n\nrevision = {revision!r}\ndown_revision = {down!r}\n'
        f"depends_on = {needs!r}\nbranch_labels = {labels!r}\n\ndef upgrade():\n    pass\n"
    )


LINE = (plain("a"), plain("b", "a"), plain("c", "b"))
MERGED = (plain("a"), plain("b", "a"), plain("c", "a"), plain("d", ("b", "c")), plain("e", "d"))
LABELLED = (
    plain("a"),
    plain("b", "a", labels=("web",)),
    plain("c", "a", labels="jobs"),
    plain("d", "b"),
)
DEPENDING = (
    plain("a1", labels=("accounts",)),
    plain("a2", "a1"),
    plain("b1", needs="a1"),
    plain("b2", "b1", needs=["a2"]),
)
SEVERAL_LINES = (
    '''\
    """several lines

    Revision ID: a
    """
    revision = (
        "a"
    )
    down_revision = None
    ''',
    '''\
    """with a merge"""
    from alembic import op
    revision = "b"
    down_revision = (
        "a",
    )
    branch_labels = [
        "wide",
    ]
    ''',
)
ANNOTATED = (
    '''\
    """annotated, as templates since 1.10 write it"""
    from typing import Sequence, Union

    revision: str = "a"
    down_revision: Union[str, Sequence[str], None] = None
    branch_labels: Union[str, Sequence[str], None] = None
    depends_on: Union[str, Sequence[str], None] = None
    ''',
    "revision:str='b'\ndown_revision:str|None='a'\n",
)
COMMENTED = (
    """\
    # revision = "not this"
    revision = "a"  # nor down_revision = "x"
    down_revision = None  # the first
    """,
    '''\
    """a docstring that quotes its own header

    revision = "not this either"
    """
    revision = "b"
    down_revision = "a"


    def upgrade():
        """
    revision = "nor this"
        """
    ''',
    "'''one line'''\nrevision = down = 'c'\ndown_revision = 'b'; depends_on = None\n",
)


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(LINE, id="a line"),
        pytest.param(MERGED, id="merged"),
        pytest.param(LABELLED, id="labelled"),
        pytest.param(DEPENDING, id="depending on another branch"),
        pytest.param(SEVERAL_LINES, id="assigned over several lines"),
        pytest.param(ANNOTATED, id="annotated"),
        pytest.param(COMMENTED, id="with comments and quotations"),
    ],
)
def test_the_graph_is_the_one_that_alembic_has(write: Write, files: tuple[str, ...]) -> None:
    path = write(*files)
    assert ordered(revisions.read(path)) == by_alembic(Config(path))


def test_a_script_directory_alone_is_enough(write: Write) -> None:
    from_ini = revisions.read(write(*LINE))
    assert revisions.read(write().parent / "scripts") == from_ini


def test_files_that_alembic_does_not_take_for_revisions_are_left_out(write: Write) -> None:
    path = write(*LINE)
    versions = path.parent / "scripts" / "versions"
    for name in ("__init__.py", ".#f0.py", "f0.py~", "notes.md", "f0.pyc"):
        (versions / name).write_text("revision = 'zzz'\n")
    assert ordered(revisions.read(path)) == by_alembic(Config(path))


def test_several_version_locations_of_a_pyproject(tmp_path: Path) -> None:
    for folder, content in (("one", plain("a")), ("two/deep", plain("b", "a"))):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "it.py").write_text(content)
    path = tmp_path / "pyproject.toml"
    path.write_text(
        '[tool.alembic]\nscript_location = "%(here)s"\n'
        'version_locations = ["%(here)s/one", "%(here)s/two/deep"]\n'
    )
    assert ordered(revisions.read(path)) == by_alembic(Config(toml_file=path))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("revision = 'a' + 'b'\ndown_revision = None\n", "revision is computed"),
        ("revision = 'a'\ndown_revision = PARENT\n", "down_revision is computed"),
        ("revision = 'a'\n", "its down_revision is not a plain assignment"),
        ("down_revision = None\n", "its revision id is not a plain string"),
        (
            "revision = 'a'\nif True:\n    down_revision = None\n",
            "down_revision is set on a condition",
        ),
        ("revision = 'a'\ndown_revision = 7\n", "wanted revision ids, found 7"),
        ("revision = 'a'\ndown_revision = 'gone'\n", "builds on what is no revision's whole id"),
        ("revision = 'a\ndown_revision = None\n", "unterminated string literal"),
    ],
)
def test_what_only_alembic_can_tell(write: Write, content: str, reason: str) -> None:
    with pytest.raises(NotPlainError, match=reason):
        revisions.read(write(content))


def test_a_file_in_another_encoding_is_left_to_alembic(write: Write) -> None:
    path = write()
    source = "# -*- coding: latin-1 -*-\n'''étape'''\nrevision = 'a'\ndown_revision = None\n"
    (path.parent / "scripts" / "versions" / "a.py").write_bytes(source.encode("latin-1"))
    with pytest.raises(NotPlainError, match="codec can't decode"):
        revisions.read(path)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ((plain("a"), plain("a")), "two files have the revision a"),
        ((plain("a", "b"), plain("b", "a")), "revisions build on each other in a circle"),
        ((plain("a", "b"), plain("b", "a"), plain("c", "a")), "builds on itself"),
    ],
)
def test_a_graph_that_is_none_is_left_to_alembic(
    write: Write, files: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(NotPlainError, match=reason):
        revisions.read(write(*files))


@pytest.mark.parametrize(
    ("ini", "reason"),
    [
        ("", "no script_location"),
        ("script_location = shop:migrations\n", "is not a plain path"),
        ("script_location = %(elsewhere)s/x\n", "is not a plain path"),
        ("script_location = %(here)s/gone\n", "there is no folder"),
        (
            "script_location = %(here)s/scripts\nversion_locations = a b\n",
            "version_locations is set",
        ),
        (
            "script_location = %(here)s/scripts\nrecursive_version_locations = true\n",
            "recursive_version_locations is set",
        ),
        (
            "script_location = %(here)s/scripts\n[DEFAULT]\nversion_locations = a b\n",
            "version_locations is set",
        ),
    ],
)
def test_a_configuration_that_only_alembic_can_read(write: Write, ini: str, reason: str) -> None:
    with pytest.raises(NotPlainError, match=reason):
        revisions.read(write(*LINE, ini=ini))


@pytest.mark.parametrize("files", [LINE, MERGED, LABELLED, DEPENDING])
@pytest.mark.parametrize("current", [(), ("a",), ("a1",), ("b", "c"), ("a2", "b1")])
def test_pending_revisions_come_after_what_they_build_on(
    write: Write, files: tuple[str, ...], current: tuple[str, ...]
) -> None:
    graph = revisions.read(write(*files))
    applied = graph.ancestors(current)
    for revision in graph.pending(current):
        assert {*revision.down, *revision.needs} <= applied
        assert revision.id not in applied
        applied.add(revision.id)
    assert applied == set(graph.revisions)


def test_a_history_longer_than_pythons_stack(write: Write) -> None:
    graph = revisions.read(
        write(*(plain(f"r{n}", f"r{n - 1}" if n else None) for n in range(1500)))
    )
    assert [each.id for each in graph.pending(("r1",))] == [f"r{n}" for n in range(2, 1500)]
    assert len(graph.above("r3")) == 1496


@pytest.mark.parametrize(
    ("files", "forks"),
    [
        pytest.param((*LINE, plain("x", "b")), ("c", "x"), id="two from one parent"),
        pytest.param((*LINE, plain("x", "a")), ("c", "x"), id="from an older one"),
        pytest.param(
            (plain("a", labels="all"), plain("b", "a"), plain("c", "a")),
            ("b", "c"),
            id="a label on both does not tell them apart",
        ),
        pytest.param(LABELLED, (), id="labelled branches"),
        pytest.param((*LINE, plain("x"), plain("y", "x")), (), id="independent bases"),
        pytest.param(DEPENDING, (), id="a dependency is no common parent"),
        pytest.param(
            (plain("a"), plain("b", "a"), plain("c", "a", needs="b")),
            (),
            id="one depends on the other",
        ),
    ],
)
def test_forks(write: Write, files: tuple[str, ...], forks: tuple[str, ...]) -> None:
    assert revisions.read(write(*files)).forks() == forks


def test_above_are_the_dependents_too(write: Write) -> None:
    graph = revisions.read(write(*DEPENDING))
    assert graph.above("a1") == {"a2", "b1", "b2"}
    assert graph.above("a2") == {"b2"}
    assert graph.above("base") == {"a1", "a2", "b1", "b2"}


def test_the_digest_follows_names_and_contents(write: Write) -> None:
    path = write(*LINE)
    digest = revisions.read(path).digest
    assert revisions.read(path).digest == digest
    edited = path.parent / "scripts" / "versions" / "f1.py"
    edited.write_text(edited.read_text() + "# edited\n")
    assert revisions.read(path).digest != digest

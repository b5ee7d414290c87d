"""What is an edit of a revision, and what only looks like one."""

from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap import meaning, sqltext

PLAIN = '''\
"""add the name

Revision ID: 0002
"""
from alembic import op
import sqlalchemy as sa

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("item", sa.Column("name", sa.String(50), nullable=False))
    op.execute("update item set name = 'a  b' where id > 5")


def downgrade():
    op.drop_column("item", "name")
'''

HARMLESS = {
    "a comment": ("def upgrade():\n", "def upgrade():\n    # since 1.4\n"),
    "the docstring": ("add the name", "add the name of an item"),
    "a docstring of upgrade": ("def upgrade():\n", 'def upgrade():\n    """Go up."""\n'),
    "layout": ('("item", sa.Column(', '(\n        "item",\n        sa.Column('),
    "quotes": ('"item", sa', "'item', sa"),
    "a literal in two parts": ('"update item set', '"update item " "set'),
    "annotations": ("def upgrade():", "def upgrade() -> None:"),
    "an annotated assignment": ('down_revision = "', 'down_revision: str | None = "'),
    "the order of imports": (
        "from alembic import op\nimport sqlalchemy as sa\n",
        "import sqlalchemy as sa\nfrom alembic import op\n",
    ),
    "an import that nothing uses": (
        "from alembic import op\n",
        "import os\nfrom alembic import op\n",
    ),
    "the way back": ('op.drop_column("item", "name")', "raise NotImplementedError"),
    "what tells about it": ("branch_labels = None\n", 'compatible_with = "1.3"\n'),
    "depends_on left out": ("depends_on = None\n", ""),
    "layout of SQL": (
        "\"update item set name = 'a  b' where id > 5\"",
        '"""\n        UPDATE_  -- all\n        where id>5\n    """'.replace(
            "UPDATE_", "update item set name='a  b'"
        ),
    ),
    "an f-string without a field": ('"update item', 'f"update item'),
    "pass": ("def upgrade():\n", "def upgrade():\n    pass\n"),
}

REAL = {
    "a type": ("String(50)", "String(60)"),
    "a default": ("nullable=False", "nullable=True"),
    "the parent": ('down_revision = "0001"', 'down_revision = "0000"'),
    "a dependency": ("depends_on = None", 'depends_on = "0000"'),
    "a statement more": ("def upgrade():\n", 'def upgrade():\n    op.drop_table("x")\n'),
    "SQL": ("id > 5", "id > 6"),
    "a text in SQL": ("'a  b'", "'a b'"),
    "an operator of SQL": ("id > 5", "id > -5"),
    "a text that is no SQL": ('Column("name"', 'Column("na me"'),
    "a number that becomes a text": ("String(50)", 'String("50")'),
    "an import": ("from alembic import op", "from other import op"),
    "the name of an import": ("import sqlalchemy as sa", "import sqlmodel as sa"),
}


def edited(old: str, new: str) -> str:
    assert PLAIN.count(old) == 1, old
    return PLAIN.replace(old, new)


@pytest.mark.parametrize("what", HARMLESS)
def test_what_changes_nothing_means_the_same(what: str) -> None:
    assert meaning.checksum(balanced(edited(*HARMLESS[what]))) == meaning.checksum(PLAIN)


def balanced(source: str) -> str:
    """`source` with its line breaks in brackets closed, where an edit opened them."""
    compile(source, "revision", "exec")
    return source


@pytest.mark.parametrize("what", REAL)
def test_what_changes_something_means_another_thing(what: str) -> None:
    assert meaning.checksum(balanced(edited(*REAL[what]))) != meaning.checksum(PLAIN)


def test_the_checksum_is_the_same_under_every_python() -> None:
    """It is kept in databases: no release and no Python may come to another one."""
    source = dedent(
        '''
        from typing import Sequence
        import sqlalchemy as sa
        from alembic import op

        revision: str = "b"
        down_revision = ("a", "a2")
        TABLES = ["x", b"y", 1, 2.5, 1_000, None, True, ..., 3j]

        class Kind(str):
            A = "a"

        async def helper(first, /, second=1, *rest, third, fourth=None, **more) -> Sequence[str]:
            return [each for each in rest if each] + [*rest] or {**more, "k": lambda x: x[1:2]}

        def upgrade(engine: str = "") -> None:
            """Go up."""
            with op.batch_alter_table("x") as batch:
                batch.add_column(sa.Column(f"{TABLES[0]!r:>{5}}_" "tail" f"{1}", -1 ** 2))
            for name in TABLES:
                try:
                    op.execute(f"drop table {name}")
                except (KeyError, ValueError) as error:
                    raise RuntimeError("no") from error
                else:
                    continue
                finally:
                    pass
            match engine:
                case {"a": [1, *_], **rest} if rest:
                    global TABLES
                case _:
                    assert not (x := 1) < 2 <= 3, "so"
            op.execute(sa.text("select 1 -- one"))
        '''
    )
    assert meaning.checksum(source, ["create table t (a int); -- one\n"]) == (
        "1:f96ca89d2c101dbfa587720d9d3a71fd5d7b3586a1f3ac9810af8d31ef6ae1c0"
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (
            'S = "select  1"\ndef upgrade(): op.execute(S)',
            'S = "select 1"\ndef upgrade(): op.execute(S)',
            True,
        ),
        ('S = "a  b"\ndef upgrade(): print(S)', 'S = "a b"\ndef upgrade(): print(S)', False),
        (
            'S = ["a  b"]\ndef upgrade():\n for s in S: op.execute(sa.text(s))',
            'S = ["a b"]\ndef upgrade():\n for s in S: op.execute(sa.text(s))',
            True,
        ),
        (
            'V = "a  b"\ndef upgrade(): op.execute(sa.text("x").bindparams(v=V))',
            'V = "a b"\ndef upgrade(): op.execute(sa.text("x").bindparams(v=V))',
            False,
        ),
        (
            'def upgrade(): op.execute(dedent("""a\n  b"""))',
            'def upgrade(): op.execute(dedent("""a b"""))',
            True,
        ),
        (
            'def upgrade(): op.execute("""a\n  b""".strip())',
            'def upgrade(): op.execute("""a b""".strip())',
            True,
        ),
        (
            'def upgrade(): op.execute(f"a  {b}")',
            'def upgrade(): op.execute(f"a {b}")',
            False,
        ),
    ],
)
def test_which_texts_count_as_sql(one: str, other: str, same: bool) -> None:
    assert (meaning.checksum(one) == meaning.checksum(other)) is same


def test_a_file_that_this_python_cannot_read_has_no_meaning() -> None:
    assert meaning.checksum("def upgrade(:") is None
    assert meaning.checksum("x = 'a\0b'") is None


def test_sql_files_count_by_their_tokens() -> None:
    assert meaning.checksum("", ["select 1"]) == meaning.checksum("", ["select\n1 -- one"])
    assert meaning.checksum("", ["select 1"]) != meaning.checksum("", ["select 2"])
    assert meaning.checksum("", ["a", "b"]) != meaning.checksum("", ["a b"])


# -- SQL ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("select  1", "select 1"),
        ("select a,b from t", "select a , b from t"),
        ("a -- b\nc", "a c"),
        ("a /* b /* c */ d */ e", "a e"),
        ("x=:name and y::int = 'it''s  --'", "x = :name and y :: int = 'it''s  --'"),
        ("E'it\\'s  '", "E'it\\'s  '"),
        ("$$ a  -- b $$", "$$ a  -- b $$"),
        ("$f$ a $$  $f$", "$f$ a $$  $f$"),
        ("$1 + $2", "$1 + $2"),
        ('"a  b"."c"', '"a  b" . "c"'),
        ("a->>'b'", "a ->> 'b'"),
        ("a-- b", "a"),
        ("f( x )", "f ( x )"),
        ("", ""),
    ],
)
def test_tokens(text: str, tokens: str) -> None:
    assert sqltext.tokens(text) == tokens


@pytest.mark.parametrize("text", ["'a", '"a', "/* a", "$$ a", "/*+ SeqScan(t) */ select 1", "§"])
def test_what_is_not_safe_to_take_apart_is_left_alone(text: str) -> None:
    assert sqltext.tokens(text) is None


@given(st.lists(st.sampled_from(["a", "'b  c'", "(", ",", "::", "$$ d  $$", '"e f"', "1", ";"])))
def test_layout_and_comments_never_count(words: list[str]) -> None:
    plain = sqltext.tokens(" ".join(words))
    assert plain == sqltext.tokens("\n  ".join(words))
    assert plain == sqltext.tokens(" /* x */ ".join(words))
    assert plain == sqltext.tokens(" -- x\n".join(words))
    assert plain is not None
    assert sqltext.tokens(plain) == plain


def test_every_shipped_revision_can_be_read() -> None:
    paths = sorted(Path(__file__).parents[2].glob("migrations/*/versions/*.py"))
    assert len(paths) > 40
    sums = [meaning.checksum(path.read_text()) for path in paths]
    assert None not in sums
    assert len(set(sums)) == len(paths)

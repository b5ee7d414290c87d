"""`bootstrapd run` and `validate` are read without click, to the same effect."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import click
import hypothesis
import pytest
from hypothesis import strategies as st

from bootstrap import cli, quick
from bootstrap.call import BRINGING_UP, COMMON
from bootstrap.options import SPECS

Read = tuple[dict[str, Any], tuple[str, ...]]

FLAGS = [SPECS[name].flag for name in (*COMMON, *BRINGING_UP)]
WORDS = st.sampled_from(
    [*FLAGS, "--json", "-q", "--quiet", "-v", "--verbose", "-qv", "--", "x", "", "-", "-x", "a=b"]
) | st.sampled_from(FLAGS).map("{}=value".format)


def by_click(
    words: Sequence[str], verb: str = "run"
) -> tuple[dict[str, Any], tuple[str, ...]] | None:
    """What click makes of the words after the verb; None for a mistake."""
    try:
        values = cli.cli.commands[verb].make_context(verb, list(words)).params
    except click.ClickException:
        return None
    command = values.pop("command", ())
    return {name: value for name, value in values.items() if value not in (None, False)}, command


def by_quick(
    words: Sequence[str], verb: str = "run"
) -> tuple[dict[str, Any], tuple[str, ...]] | None:
    read = quick.read([verb, *words])
    if read is None:
        return None
    call, command = read
    levels = {"debug": {"verbose": True}, "warning": {"quiet": True}}
    values = {**call.flags, **levels.get(call.level, {})}
    return {**values, **({"as_json": True} if call.as_json else {})}, command


@hypothesis.given(st.lists(WORDS, max_size=6), st.sampled_from(["run", "validate"]))
@hypothesis.settings(max_examples=500, deadline=None)
def test_what_is_read_is_what_click_reads(words: list[str], verb: str) -> None:
    found = by_quick(words, verb)
    hypothesis.assume(found is not None)
    wanted = by_click(words, verb)
    assert wanted is not None
    if "verbose" in wanted[0]:
        wanted[0].pop("quiet", None)
    assert found == wanted


@pytest.mark.parametrize(
    "words",
    [
        ["--app", "godel", "--json", "-q", "--", "gunicorn", "--bind", ":80"],
        [],
        ["--database-url=sqlite:///a?b=c", "--timeout", "5"],
        ["--require-primary", "-v"],
    ],
)
def test_usual_words_need_no_click(words: list[str]) -> None:
    assert by_quick(words) == by_click(words)
    assert by_quick(words) is not None


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["wait"],
        ["--help"],
        ["run", "--help"],
        ["run", "--nothing"],
        ["run", "--app"],
        ["run", "--timeout", "-5"],
        ["run", "gunicorn"],
        ["run", "--require-primary=yes"],
        ["run", "-qv"],
        ["validate", "--fix-sql"],
        ["validate", "--", "x"],
        ["validate", "--backup", "folder"],
    ],
)
def test_all_else_is_left_to_click(words: list[str]) -> None:
    assert quick.read(words) is None


def test_a_start_imports_no_module_that_it_can_do_without() -> None:
    program = (
        "import sys\n"
        "from bootstrap import quick, pipeline, libpq, postgres, handover, reporting, signals\n"
        "print(*sorted({'click', 'dataclasses', 'inspect', 'logging', 'subprocess',"
        " 'datetime', 'hashlib', 'socket'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")

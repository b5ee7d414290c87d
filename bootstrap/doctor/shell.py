"""Command lines: split into words as compose does, and into the commands that a shell runs."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from bootstrap.doctor.nodes import Node

_SHELLS = ("sh", "bash", "ash", "dash", "zsh")


def words(node: Node | None) -> tuple[str, ...]:
    """A command's words; a text is split as compose does."""
    if node is None:
        return ()
    if node.text is None:
        return tuple(each.text or "" for each in node.items)
    try:
        return tuple(shlex.split(node.text))
    except ValueError:
        return tuple(node.text.split())


def simple_commands(argv: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The commands that a shell would run one after the other; else the one that is given."""
    for place, word in enumerate(argv[:-1]):
        shell = PurePosixPath(argv[place - 1]).name in _SHELLS if place else False
        if shell and re.fullmatch(r"-\w*c", word):
            found = list(script(argv[place + 1]))
            if found and "$@" in found[-1]:
                # What is behind the script, without the name that it gets, is handed on.
                found[-1] = (*found[-1], *argv[place + 3 :])
            yield from found
            return
    if argv:
        yield tuple(argv)


def script(text: str) -> Iterator[tuple[str, ...]]:
    """The commands of a line of shell."""
    lexer = shlex.shlex(text.replace("\n", " ; "), posix=True, punctuation_chars=";&|()")
    lexer.whitespace_split = True
    command: list[str] = []
    try:
        found = list(lexer)
    except ValueError:
        found = text.split()
    for word in found:
        if word and set(word) <= set(";&|()"):
            if command:
                yield tuple(command)
            command = []
        else:
            command.append(word)
    if command:
        yield tuple(command)

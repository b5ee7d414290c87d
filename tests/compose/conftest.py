"""Stacks on a real engine. One is shared by the tests of a module, where they change little."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import stack as stacks
from tests.support.stack import Stack

Make = Callable[..., Stack]


@pytest.fixture(scope="session")
def daemon_image() -> Iterator[str]:
    """The daemon's image, built from this tree; what was made from it goes with the tests."""
    yield stacks.daemon()
    stacks.forget_releases()


@pytest.fixture
def stack(daemon_image: str, tmp_path: Path) -> Iterator[Make]:
    """`stack(POSTGRES_DB="shop")`: a stack of the test's own, with these variables."""
    with ExitStack() as made:

        def make(**variables: str) -> Stack:
            new = Stack(tmp_path / secrets.token_hex(4), **variables)
            made.callback(new.close)
            return new

        yield make


@pytest.fixture(scope="module")
def shared(daemon_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that is up, with health and backups."""
    made = Stack(tmp_path_factory.mktemp("stack"), COMPOSE_PROFILES="health,backup")
    try:
        made.up()
        yield made
    finally:
        made.close()

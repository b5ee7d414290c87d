"""Where a column's values come from: drawn from a pool, or made from the row's number.

What others refer to is made from the row's number, so that it can be made again where it is
referred to: nothing is remembered, however many rows there are.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .sinks import Renderer

At = Callable[[int], Any]
Choose = Callable[[int], int | None]
Reader = Callable[[range], list[Any]]


class Source(Protocol):
    """Where a column's values come from."""

    def values(self, indices: range) -> list[Any]:
        """The values of these rows, as Python has them."""

    def reader(self, render: Renderer) -> Reader:
        """What gives the values of rows, each already in the form that `render` gives it."""


class Drawn:
    """Values drawn from a pool."""

    def __init__(self, pool: Sequence[Any], rng: random.Random) -> None:
        self.pool = pool
        self.rng = rng

    def values(self, indices: range) -> list[Any]:
        return self.rng.choices(self.pool, k=len(indices))

    def reader(self, render: Renderer) -> Reader:
        rendered = [render(value) for value in self.pool]
        return lambda indices: self.rng.choices(rendered, k=len(indices))


class Made:
    """Values made from a row's number; `alike` ones are all of one form."""

    def __init__(self, at: At, *, alike: bool = False) -> None:
        self.at = at
        self.alike = alike

    def values(self, indices: range) -> list[Any]:
        return list(map(self.at, indices))

    def reader(self, render: Renderer) -> Reader:
        at, short = self.at, self.short(render)
        return lambda indices: [short(at(index)) for index in indices]

    def short(self, render: Renderer) -> Renderer:
        """As `render` does it for these values; by `str` where that gives the same."""
        samples = [self.at(index) for index in range(3)] if self.alike else []
        same = samples and all(render(value) == str(value) for value in samples)
        return str if same else render


class Referring:
    """Values of the row of another table that `choose` gives the number of; NULL for None."""

    def __init__(self, choose: Choose, parent: Made) -> None:
        self.choose = choose
        self.parent = parent

    def at(self, index: int) -> Any:
        """The value of this row."""
        chosen = self.choose(index)
        return None if chosen is None else self.parent.at(chosen)

    def values(self, indices: range) -> list[Any]:
        return list(map(self.at, indices))

    def reader(self, render: Renderer) -> Reader:
        choose, at, short = self.choose, self.parent.at, self.parent.short(render)
        null = render(None)
        return lambda indices: [
            null if (chosen := choose(index)) is None else short(at(chosen)) for index in indices
        ]

"""How long to sleep between two tries. Nothing else imports tenacity."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import tenacity

from bootstrap.settings import Settings


@dataclass(frozen=True)
class Schedule:
    """An exponential schedule: sleep n, counted from 0, is min(cap_s, first_s * factor**n).

    `jitter` is the part of a sleep that is random (0 to 1). It is taken off, never added, so the
    cap holds. `tries` bounds the tries; 0 is as many as fit.

    The default factor of 1.25 makes a sleep a quarter of all sleeps before it: at the worst a wait
    is a fifth longer than it had to be. That takes some 35 tries in the first minute, and 12 in
    each one after.
    """

    first_s: float
    factor: float
    cap_s: float
    jitter: float = 0.0
    tries: int = 0

    @classmethod
    def of(cls, settings: Settings) -> "Schedule":
        """The schedule that the settings ask for."""
        return cls(
            first_s=settings.backoff_first_s,
            factor=settings.backoff_factor,
            cap_s=settings.backoff_cap_s,
            jitter=min(settings.backoff_jitter, 1.0),
            tries=settings.wait_tries,
        )


class _Jittered(tenacity.wait_exponential):
    """tenacity's exponential wait, of which a random part is taken off."""

    def __init__(self, schedule: Schedule, rng: random.Random) -> None:
        super().__init__(multiplier=schedule.first_s, exp_base=schedule.factor, max=schedule.cap_s)
        self._jitter = schedule.jitter
        self._rng = rng

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        return super().__call__(retry_state) * (1 - self._jitter * self._rng.random())


def _rng() -> random.Random:
    return random.Random()  # noqa: S311 - it spreads load and hides nothing


def sleeps(schedule: Schedule, rng: random.Random | None = None) -> Iterator[float]:
    """The sleeps of a schedule in seconds: one less than its tries, endless where tries is 0."""
    strategy = _Jittered(schedule, rng or _rng())
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    while not schedule.tries or state.attempt_number < schedule.tries:
        yield strategy(state)
        state.attempt_number += 1


def retrying(
    *,
    tries: int,
    first_s: float,
    cap_s: float,
    retry_on: Callable[[BaseException], bool],
    sleep: Callable[[float], Any] = time.sleep,
) -> tenacity.Retrying:
    """A short, bounded policy for errors that pass by themselves, such as a lock timeout.

    The sleep doubles from `first_s` up to `cap_s`, and half of it is random, so that those who got
    into each other's way do not meet again. The last error is raised as it is.
    """
    schedule = Schedule(first_s, 2.0, cap_s, jitter=0.5)
    return tenacity.Retrying(
        stop=tenacity.stop_after_attempt(tries),
        wait=_Jittered(schedule, _rng()),
        retry=tenacity.retry_if_exception(retry_on),
        sleep=sleep,
        reraise=True,
    )

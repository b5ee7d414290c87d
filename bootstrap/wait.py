"""Wait until every target answers: the probes ask, this module owns the time."""

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bootstrap.answer import MEANINGS, Answer, Prober
from bootstrap.errors import RefusedError, Terminated, WaitTimeoutError
from bootstrap.journal import Journal
from bootstrap.settings import Settings

if TYPE_CHECKING:
    from bootstrap.container import ContainerWatch, Died, News

# How soon `stop` is seen; all other news wakes the wait by itself.
_STOP_POLL_S = 0.1
# Often enough for a server on its first start, seldom enough for one that locks accounts.
_TRIES_IN_GRACE = 4
_LINE_EVERY_S = 1.0
# Who waits longer than this waits for a server that is still coming up.
_MOMENT_S = 0.5


class Waited(NamedTuple):
    """How a wait that succeeded went; `attempts` counts the tries of all targets.

    `answers` are the last ones, in the order of the probers.
    """

    wait_s: float
    attempts: int
    answers: tuple[Answer, ...]


def wait(
    probers: Sequence[Prober],
    settings: Settings,
    journal: Journal,
    *,
    stop: threading.Event,
    timeout_s: float | None = None,
    container: "ContainerWatch | None" = None,
    meanwhile: Callable[[], None] | None = None,
) -> Waited:
    """Return when every prober is ready.

    All are asked side by side under one deadline, `timeout_s` from now (default: the settings'). A
    last try is made at the deadline, so that all of it takes one connect timeout more at the most.
    With a timeout of 0 each is asked exactly once. Where nobody listened, a port that opens ends
    the sleep between two tries. `meanwhile` is called once, if a first answer was not the wanted
    one and the wait takes longer than a moment.

    Raises RefusedError when one keeps refusing or its container has died for good, WaitTimeoutError
    when time or tries are used up, Terminated when `stop` is set, and whatever a prober raises.
    """
    limits = Limits(
        began_s=time.monotonic(),
        timeout_s=settings.wait_timeout_s if timeout_s is None else timeout_s,
        connect_timeout_s=settings.connect_timeout_s,
        grace_s=settings.refused_grace_s,
        tries=settings.wait_tries,
    )
    vigils = [Vigil(prober, limits, journal, lambda: _pauses(settings)) for prober in probers]
    try:
        _Round(vigils, limits, stop).run(container, meanwhile)
    finally:
        wait_s = time.monotonic() - limits.began_s
        journal.set(wait_s=wait_s)
        if container is not None:
            container.close()
    answers = tuple(vigil.answer for vigil in vigils if vigil.answer is not None)
    return Waited(wait_s, sum(vigil.attempts for vigil in vigils), answers)


def _pauses(settings: Settings) -> Iterator[float]:
    from bootstrap import backoff

    return backoff.sleeps(backoff.Schedule.of(settings))


class Limits(NamedTuple):
    """What bounds a wait. `began_s` is on the monotonic clock, `tries` 0 means any number."""

    began_s: float
    timeout_s: float
    connect_timeout_s: float
    grace_s: float
    tries: int

    @property
    def deadline_s(self) -> float:
        """When the last try begins."""
        return self.began_s + self.timeout_s


class Vigil:
    """The wait for one target, without a clock: every `now_s` is handed in.

    `pauses` makes the sleeps of the schedule once they are needed. `next_s` is when to ask again;
    `over` says that there is no time left to.
    """

    def __init__(
        self,
        prober: Prober,
        limits: Limits,
        journal: Journal,
        pauses: Callable[[], Iterator[float]],
    ) -> None:
        self.prober = prober
        self.attempts = 0
        self.answer: Answer | None = None
        self.asking = False
        self.over = False
        self.next_s = limits.began_s
        self._limits = limits
        self._journal = journal
        self._make_pauses = pauses
        self._pauses: Iterator[float] | None = None
        self._refused_s: float | None = None
        self._said_s = limits.began_s

    @property
    def ready(self) -> bool:
        """Whether the last answer was the wanted one."""
        return self.answer is not None and self.answer.state == "ready"

    @property
    def nobody_there(self) -> bool:
        """Whether nothing listened at the last try."""
        return self.answer is not None and self.answer.error_class == "connection_refused"

    @property
    def who(self) -> str:
        """The target as messages name it."""
        return f"{self.prober.name} at {self.prober.identity}"

    @property
    def cause(self) -> str:
        """Why it is not ready, and what to do about it."""
        if self.answer is None:
            return "the first try has not come to an end"
        hint = MEANINGS[self.answer.error_class].hint
        hint = hint.format(setting=self.prober.setting, identity=self.prober.identity)
        return f"{self.answer.detail}; {hint}"

    @property
    def facts(self) -> dict[str, Any]:
        """The same for machines."""
        answer = self.answer or Answer("timeout")
        return {
            "target": self.prober.identity,
            "attempts": self.attempts,
            "error_class": answer.error_class,
            "detail": answer.detail,
        }

    def take(self, answer: Answer, now_s: float) -> None:
        """Count an answer, and decide how to go on.

        Raises RefusedError when the answer is a refusal, and final.
        """
        self.attempts += 1
        if self.nobody_there and answer.error_class != "connection_refused":
            # A server that has come up is soon ready, however long the sleeps have grown.
            self._pauses = None
        self.answer = answer
        if answer.state == "ready":
            self._say_ready(now_s)
            return
        self._journal.attempt(answer.error_class)
        self.over = now_s >= self._limits.deadline_s or 0 < self._limits.tries <= self.attempts
        if answer.state == "refused":
            self._take_refusal(answer, now_s)
        else:
            self._refused_s = None
            if not self.over:
                self._take_not_yet(answer, now_s)

    def _take_not_yet(self, answer: Answer, now_s: float) -> None:
        pause_s = self._plan(self._pause(), now_s)
        loud = now_s - self._said_s >= _LINE_EVERY_S or pause_s >= _LINE_EVERY_S
        if loud:
            self._said_s = now_s
        used_s = now_s - self._limits.began_s
        self._journal.event(
            "not_yet",
            f"{self._sentence(answer)}; attempt {self.attempts}, next try in {pause_s:.1f} s "
            f"({used_s:.1f} of {self._limits.timeout_s:g} s used): {answer.detail}",
            level="info" if loud else "debug",
            next_try_s=round(pause_s, 3),
            used_s=round(used_s, 3),
            **self.facts,
        )

    def _take_refusal(self, answer: Answer, now_s: float) -> None:
        first, grace_s = self._refused_s is None, self._limits.grace_s
        if self._refused_s is None:
            self._refused_s = now_s
        lasting = MEANINGS[answer.error_class].lasting
        if self.over or lasting or (not first and now_s >= self._refused_s + grace_s):
            raise RefusedError(
                f"{self._sentence(answer)}: {self.cause}",
                wait_s=round(now_s - self._limits.began_s, 3),
                **self.facts,
            )
        self._plan(grace_s / _TRIES_IN_GRACE or self._pause(), now_s)
        if first:
            self._journal.event(
                "refused",
                f"{self._sentence(answer)}: {answer.detail}; asking again for {grace_s:g} s, in "
                "case it is still being set up",
                level="warning",
                **self.facts,
            )

    def _plan(self, pause_s: float, now_s: float) -> float:
        self.next_s = min(now_s + pause_s, self._limits.deadline_s)
        return self.next_s - now_s

    def _pause(self) -> float:
        if self._pauses is None:
            self._pauses = self._make_pauses()
        return next(self._pauses)

    def _say_ready(self, now_s: float) -> None:
        used_s = now_s - self._limits.began_s
        tries = f" after {self.attempts} tries in {used_s:.1f} s" if self.attempts > 1 else ""
        self._journal.event("reachable", f"{self.who} is ready{tries}", **self.facts)

    def _sentence(self, answer: Answer) -> str:
        user = answer.facts.get("user")
        login = f"user {user!r}" if user else "the login"
        return f"{self.who} {MEANINGS[answer.error_class].says.format(login=login)}"


class _Round:
    """Asks the targets that are not ready yet, and hears what comes of it.

    Each try is a thread of its own, so that neither a server that hangs nor a resolver holds up
    the others, the deadline or the end of the process.
    """

    def __init__(self, vigils: Sequence[Vigil], limits: Limits, stop: threading.Event) -> None:
        self._vigils = vigils
        self._limits = limits
        self._stop = stop
        self._inbox: queue.SimpleQueue[News | tuple[Vigil, Answer | BaseException | None]] = (
            queue.SimpleQueue()
        )

    def run(self, container: "ContainerWatch | None", meanwhile: Callable[[], None] | None) -> None:
        """Return when all are ready."""
        # A probe that outlives its own deadline is left behind.
        last_s = self._limits.deadline_s + self._limits.connect_timeout_s
        while pending := self._pending():
            if self._stop.is_set():
                raise Terminated(signal.SIGTERM)
            if container is not None and any(vigil.attempts for vigil in pending):
                # What is ready at once needs no watch.
                container.start(self._inbox.put)
                container = None
            now_s = time.monotonic()
            late = now_s - self._limits.began_s >= _MOMENT_S
            if meanwhile is not None and late and any(vigil.attempts for vigil in pending):
                meanwhile()
                meanwhile = None
            wake_s = min(now_s + _STOP_POLL_S, last_s)
            over = any(vigil.over for vigil in pending)
            if now_s >= last_s or (over and not any(vigil.asking for vigil in pending)):
                raise _timed_out(pending, now_s - self._limits.began_s)
            for vigil in pending:
                if over or vigil.asking:
                    continue
                if vigil.next_s <= now_s:
                    self._ask(vigil)
                else:
                    wake_s = min(wake_s, vigil.next_s)
            self._hear(wake_s - now_s)

    def _pending(self) -> list[Vigil]:
        return [vigil for vigil in self._vigils if not vigil.ready]

    def _ask(self, vigil: Vigil) -> None:
        def ask() -> None:
            result: Answer | BaseException
            try:
                result = vigil.prober.probe(self._limits.connect_timeout_s)
            except BaseException as error:  # raised again in the thread that waits
                result = error
            self._inbox.put((vigil, result))

        vigil.asking = True
        threading.Thread(target=ask, name=f"probe {vigil.prober.name}", daemon=True).start()

    def _hear(self, timeout_s: float) -> None:
        try:
            news = self._inbox.get(timeout=max(timeout_s, 0))
        except queue.Empty:
            return
        if not isinstance(news, tuple):
            self._hear_of_container(news)
            return
        vigil, result = news
        if result is None:
            vigil.next_s = time.monotonic()
            return
        vigil.asking = False
        if isinstance(result, BaseException):
            raise result
        vigil.take(result, time.monotonic())
        if vigil.nobody_there and not vigil.over:
            self._knock(vigil)

    def _knock(self, vigil: Vigil) -> None:
        """Let a port that opens end the sleep."""
        from bootstrap import knock

        until_s = vigil.next_s

        def ask() -> None:
            if knock.until_open(vigil.prober.doors(), until_s):
                self._inbox.put((vigil, None))

        if until_s - time.monotonic() > knock.EVERY_S:
            threading.Thread(target=ask, name=f"knock {vigil.prober.name}", daemon=True).start()

    def _hear_of_container(self, news: "News") -> None:
        from bootstrap import container

        if isinstance(news, container.Died):
            raise _died(self._pending(), news)
        for vigil in self._pending():
            vigil.next_s = time.monotonic()


def _timed_out(pending: Sequence[Vigil], used_s: float) -> WaitTimeoutError:
    facts = {"targets": [vigil.facts for vigil in pending], "wait_s": round(used_s, 3)}
    if len(pending) == 1:
        (vigil,) = pending
        return WaitTimeoutError(
            f"{vigil.who} was not ready after {_tries(vigil)} in {used_s:.1f} s: {vigil.cause}",
            **facts,
        )
    lines = "".join(f"\n  {vigil.who}, {_tries(vigil)}: {vigil.cause}" for vigil in pending)
    return WaitTimeoutError(
        f"{len(pending)} targets were not ready after {used_s:.1f} s:{lines}", **facts
    )


def _tries(vigil: Vigil) -> str:
    return "1 try" if vigil.attempts == 1 else f"{vigil.attempts} tries"


def _died(pending: Sequence[Vigil], news: "Died") -> RefusedError:
    database = next((vigil for vigil in pending if vigil.prober.name == "postgres"), pending[0])
    reason = ", having run out of memory" if news.out_of_memory else ""
    lines = "".join(f"\n  {line}" for line in news.log)
    return RefusedError(
        f"{database.who} will not come up: container {news.container} exited with code "
        f"{news.exit_code}{reason}; correct what its log says, then start it again"
        + (f"; its last lines:{lines}" if lines else ""),
        target=database.prober.identity,
        container=news.container,
        container_exit_code=news.exit_code,
        log=list(news.log),
    )

"""A budget of dash with many writers at once: what it gives is never more than it has."""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from bootstrap.apps.dash.storage import PoolSettings
from tests.support import dash

WRITERS = 50
EACH = 10
MANY_CONNECTIONS = PoolSettings(most=WRITERS, acquire_timeout_ms=60_000)


def test_fifty_writers_at_once_never_overspend(database_url: str) -> None:
    """They ask for 500 times 0.75 and 30 tokens; there is enough for 300 of these, not 301."""
    with dash.open_new(database_url, MANY_CONNECTIONS) as storage:
        swarm = storage.swarms.create({"name": "a"})
        budget = storage.budgets.create(
            {
                "swarm_id": swarm.id,
                "scope_id": swarm.id,
                "allocated": Decimal("225.7499"),
                "max_tokens": 100_000,
            }
        )
        together = threading.Barrier(WRITERS)

        def write(_: int) -> list[bool]:
            together.wait()
            return [
                storage.budgets.consume_budget(budget.id, 30, Decimal("0.75")) for _ in range(EACH)
            ]

        with ThreadPoolExecutor(WRITERS) as threads:
            answers = [answer for each in threads.map(write, range(WRITERS)) for answer in each]

        assert answers.count(True) == 300
        assert len(answers) == WRITERS * EACH
        usage = storage.budgets.get_usage(budget.id)
        assert usage is not None
        assert (usage.cost, usage.tokens) == (Decimal("225.0000"), 9000)
        assert usage.remaining_cost == Decimal("0.7499")


def test_fifty_writers_at_once_stop_at_the_tokens(database_url: str) -> None:
    with dash.open_new(database_url, MANY_CONNECTIONS) as storage:
        swarm = storage.swarms.create({"name": "a"})
        values = {"swarm_id": swarm.id, "scope_id": swarm.id, "allocated": 1000, "max_tokens": 99}
        budget = storage.budgets.create(values)
        together = threading.Barrier(WRITERS)

        def write(number: int) -> int:
            tokens = 1 + number % 7
            together.wait()
            return tokens if storage.budgets.consume_budget(budget.id, tokens, 0.01) else 0

        with ThreadPoolExecutor(WRITERS) as threads:
            taken = sum(threads.map(write, range(WRITERS)))

        usage = storage.budgets.get_usage(budget.id)
        assert usage is not None
        # They want 194 in all. What is left is less than the largest that was refused.
        assert usage.tokens == taken
        assert 99 - 7 < taken <= 99


def test_fifty_merges_at_once_lose_none(database_url: str) -> None:
    with dash.open_new(database_url, MANY_CONNECTIONS) as storage:
        session = storage.sessions.create({})
        together = threading.Barrier(WRITERS)

        def merge(number: int) -> None:
            together.wait()
            storage.sessions.merge_metadata(session.id, {f"key {number}": number})

        with ThreadPoolExecutor(WRITERS) as threads:
            list(threads.map(merge, range(WRITERS)))
        found = storage.sessions.get(session.id)
        assert found is not None
        assert found.metadata_ == {f"key {number}": number for number in range(WRITERS)}

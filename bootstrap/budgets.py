"""Budgets of money and tokens, as godel and dash keep them: spent by one statement, never over."""

import decimal

import sqlalchemy as sa

from bootstrap import models

_MONEY = models.Exact(12, 4)
# What an integer column holds: the tokens of a budget that sets no limit.
_MOST_TOKENS = 2**31 - 1


def consumption(
    budgets: sa.Table, id_: str, tokens: int, cost: decimal.Decimal | float
) -> sa.Update | None:
    """The statement that takes both from a budget that has them; it changes no row otherwise.

    A limit may be reached but not passed. The part of a cost that is too small for the column
    counts as one of its last digits. None where no budget can have so much; ValueError for less
    than nothing.
    """
    price = decimal.Decimal(str(cost))
    if tokens < 0 or price.is_nan() or price < 0:
        raise ValueError(f"wanted 0 or more, found {tokens} tokens and a cost of {cost}")
    if tokens > _MOST_TOKENS or price >= 10**8:
        return None
    price = price.quantize(decimal.Decimal("0.0001"), decimal.ROUND_CEILING)
    columns = budgets.c
    used = sa.func.coalesce(columns.used_tokens, 0) + sa.literal(tokens, sa.BigInteger)
    # SQLite adds floats; rounded, the sum is again the one that stands for the decimal.
    consumed = sa.func.round(columns.consumed + sa.literal(price, _MONEY), 4)
    # One statement looks and takes: whoever comes between waits, then sees what is left.
    return (
        sa.update(budgets)
        .where(columns.id == id_)
        .where(consumed <= columns.allocated)
        .where(used <= sa.func.coalesce(columns.max_tokens, _MOST_TOKENS))
        .values(consumed=consumed, used_tokens=used)
    )

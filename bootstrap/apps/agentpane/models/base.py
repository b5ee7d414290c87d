"""What agentpane's tables have in common: ids, times, names, and columns of one of some values."""

import random
import string
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import DeclarativeBase, QueryableAttribute, mapped_column

from bootstrap import models

# The names that agentpane's first PostgreSQL schema gave; every foreign key is to an `id`.
NAMES = {
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s_id_fk",
    "uq": "%(table_name)s_%(column_0_N_name)s_unique",
}

_random = random.SystemRandom()


def new_id() -> str:
    """A random id in the form of a cuid2: a letter, then 23 letters and digits, all lower case."""
    letters = string.ascii_lowercase
    return _random.choice(letters) + "".join(_random.choices(letters + string.digits, k=23))


def utc_now() -> datetime:
    """The present moment in whole milliseconds, as JavaScript counts time."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _same_as_created(context: Any) -> datetime:
    return context.get_current_parameters().get("created_at") or utc_now()


class OneOf(sa.types.TypeDecorator[str]):
    """Text that is one of `values` when it is written; what is there is read as it is."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, values: tuple[str, ...]) -> None:
        super().__init__()
        self.values = values

    def process_bind_param(self, value: str | None, _: sa.Dialect) -> str | None:
        """The value, if it is one of those."""
        return self.checked(value)

    def coerce_compared_value(self, *_: Any) -> sa.Text:
        """Text: rows with a value of a later version can be looked for."""
        return sa.Text()

    def checked(self, value: str | None) -> str | None:
        """The value, if it is one of those; raises ValueError otherwise."""
        if value is not None and value not in self.values:
            raise ValueError(f"wanted one of {', '.join(self.values)}, found {value!r}")
        return value


class Base(DeclarativeBase):
    """The tables of agentpane."""

    metadata = sa.MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: sa.Text(),
        float: sa.Double(),
        datetime: models.Time(zone=False),
        dict[str, Any]: models.JSON,
        list[str]: models.JSON,
        list[Any]: models.JSON,
    }


@event.listens_for(Base, "attribute_instrument")
def _check_when_set(_: type[Base], key: str, attribute: QueryableAttribute[Any]) -> None:
    """Refuse a wrong value where it is set; a statement would wrap the error in one of its own."""
    kind = getattr(attribute, "type", None)
    if not isinstance(kind, OneOf):
        return

    @event.listens_for(attribute, "set")
    def set_(target: Base, value: str | None, *_: object) -> None:
        try:
            kind.checked(value)
        except ValueError as error:
            raise ValueError(f"{target.__tablename__}.{key}: {error}") from None


@event.listens_for(Base.metadata, "after_create")
def _forget_what_was_altered(metadata: sa.MetaData, *_: object, **__: object) -> None:
    """SQLAlchemy marks a foreign key that it has added by ALTER, for good.

    Made on SQLite afterwards, where there is no such ALTER, its table would come without it.
    """
    for table in metadata.tables.values():
        for key in table.foreign_key_constraints:
            key._create_rule = None


_NOW = models.now(zone=False)

Id = Annotated[str, mapped_column(primary_key=True, default=new_id)]
Created = Annotated[datetime, mapped_column(default=utc_now, server_default=_NOW)]
Updated = Annotated[
    datetime, mapped_column(default=_same_as_created, onupdate=utc_now, server_default=_NOW)
]
# Any JSON value.
Json = Annotated[Any, mapped_column(models.JSON)]
# Milliseconds since 1970 need 64 bits in PostgreSQL.
EpochMs = Annotated[int, mapped_column(sa.BigInteger)]

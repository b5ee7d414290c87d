import sqlalchemy as sa
from sqlalchemy import orm

names = {"ix": "ix_%(column_0_label)s", "uq": "uq_%(table_name)s_%(column_0_name)s"}
Base = orm.declarative_base(metadata=sa.MetaData(naming_convention=names))


class Item(Base):
    __tablename__ = "item"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(60), nullable=False, unique=True)


class Witness(Base):
    """What a revision saw of the limits and the lock that it ran under."""

    __tablename__ = "witness"
    id = sa.Column(sa.Integer, primary_key=True)
    lock_timeout = sa.Column(sa.String(20))
    locks = sa.Column(sa.Integer)

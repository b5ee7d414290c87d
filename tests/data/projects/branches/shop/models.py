import sqlalchemy as sa
from sqlalchemy import orm

Base = orm.declarative_base()


class Item(Base):
    __tablename__ = "item"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(50), nullable=False)
    __table_args__ = (sa.Index("item_name", "name"),)


class Witness(Base):
    """What a revision saw of the limits and the lock that it ran under."""

    __tablename__ = "witness"
    id = sa.Column(sa.Integer, primary_key=True)
    lock_timeout = sa.Column(sa.String(20))
    locks = sa.Column(sa.Integer)

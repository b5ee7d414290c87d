"""The base of all models, and none of them."""

from sqlalchemy import orm

Base = orm.declarative_base()

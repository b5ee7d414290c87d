"""Probes: each asks its server or file once whether it is ready, and never sleeps."""

from bootstrap.answer import Answer, ErrorClass, Prober, State
from bootstrap.probe_postgres import Postgres
from bootstrap.probe_redis import Redis
from bootstrap.probe_sqlite import Sqlite

__all__ = ["Answer", "ErrorClass", "Postgres", "Prober", "Redis", "Sqlite", "State"]

"""Alembic's environment of dash."""

import sys
from pathlib import Path

from alembic import context

# A checkout that is not installed; last, so that it hides nothing.
sys.path.append(str(Path(__file__).parents[2]))

from bootstrap import alembic_env
from bootstrap.apps.dash import history
from bootstrap.apps.dash.models import Base

alembic_env.run(context, Base.metadata, on_version_apply=history.record)

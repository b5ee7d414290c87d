"""Alembic's environment of business_os."""

import sys
from pathlib import Path

from alembic import context

# A checkout that is not installed; last, so that it hides nothing.
sys.path.append(str(Path(__file__).parents[2]))

from bootstrap import alembic_env
from bootstrap.apps.business_os.models import Base

alembic_env.run(context, Base.metadata)

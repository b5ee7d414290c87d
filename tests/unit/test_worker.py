"""The worker runs under whatever interpreter an app has."""

import ast
import sys
from pathlib import Path

from bootstrap import child

WORKER = Path(child.__file__).with_name("worker.py")


def test_it_can_be_read_by_the_oldest_python_that_alembic_projects_still_have() -> None:
    ast.parse(WORKER.read_text(encoding="utf-8"), feature_version=(3, 8))


def test_it_needs_nothing_but_the_standard_library_before_it_opens_a_project() -> None:
    source = ast.parse(WORKER.read_text(encoding="utf-8"))
    imported = {
        name.name if isinstance(node, ast.Import) else str(node.module)
        for node in source.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
    assert "__future__" in imported

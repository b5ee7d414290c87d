"""The worker runs under whatever interpreter an app has."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap import child
from bootstrap.worker import conversation

MODULES = sorted(child.WORKER.parent.glob("*.py"))
# What runs before a project is opened, so that what fails there can be told.
FIRST = ("__init__", "__main__", "conversation", "channel", "failure")
# All else that the worker may import: what an Alembic project has anyway, and demo rows.
OTHERS = {"sqlalchemy", "alembic", ".demo"}


def imports(path: Path) -> Iterator[str]:
    """The packages that a module imports; what is of the worker itself is left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module).partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 2:
            yield from (f".{name.name}" for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1, ast.unparse(node)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_it_can_be_read_by_the_oldest_python_that_alembic_projects_still_have(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 8))
    assert "from __future__ import annotations" in source or path.stem.startswith("__")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_it_needs_nothing_but_what_an_alembic_project_has(path: Path) -> None:
    allowed = set() if path.stem in FIRST else OTHERS
    assert set(imports(path)) - sys.stdlib_module_names <= allowed


@pytest.mark.parametrize("request_name", conversation.ANSWERED_IN)
def test_each_request_has_a_function_that_answers_it(request_name: str) -> None:
    source = child.WORKER.with_name(f"{conversation.ANSWERED_IN[request_name]}.py").read_text()
    functions = {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    assert request_name in functions

"""The version table that an env.py names, where that can be read from its text alone."""

from pathlib import Path
from typing import Any

from bootstrap import revisions

DEFAULT = "alembic_version"


def named(alembic: Path, roots: tuple[Path, ...]) -> str:
    """`table` or `schema.table`; the default where nothing plain is found.

    What is wrong with the project is not for here to say.
    """
    try:
        folder = revisions.script_folder(alembic, roots)
        text = (folder / "env.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError, revisions.NotPlainError):
        return DEFAULT
    # Most have none, and to parse costs more than to look.
    if "version_table" not in text:
        return DEFAULT
    found = _options(text)
    table, schema = found.get("version_table"), found.get("version_table_schema")
    name = table if isinstance(table, str) and table else DEFAULT
    return f"{schema}.{name}" if isinstance(schema, str) and schema else name


def _options(text: str) -> dict[str, Any]:
    """What the calls of `configure` say of it, as far as it is a text or a name of one."""
    import ast

    try:
        tree = ast.parse(text)
    except SyntaxError:
        return {}
    known: dict[str, Any] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            for name in statement.targets:
                if isinstance(name, ast.Name):
                    known[name.id] = _value(statement.value, known)
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr != "configure":
                continue
            for keyword in node.keywords:
                value = _value(keyword.value, known)
                if keyword.arg is not None:
                    found[keyword.arg] = value
                elif isinstance(value, dict):
                    found.update(value)
    return found


def _value(node: Any, known: dict[str, Any]) -> Any:
    import ast

    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Dict):
        return {
            key.value: _value(value, known)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant)
        }
    return None

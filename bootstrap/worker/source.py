"""What only the source of a revision tells."""

from __future__ import annotations

import ast
import tokenize
from typing import Any

_MARK = "bootstrapd:"
_OFFLINE = ("as_sql", "is_offline_mode")


def facts(revision: Any) -> dict[str, Any]:
    """The file of a revision, its notes for bootstrapd, how it goes back, and where it looks
    whether it is only rendered."""
    path = str(revision.path)
    found: dict[str, Any] = {"path": path, "notes": [], "downgrade": "there", "offline": None}
    module = revision.module
    if not callable(getattr(module, "downgrade", None)):
        found["downgrade"] = "missing"
    try:
        found["notes"] = _notes(path)
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, tokenize.TokenError, ValueError):
        # Only compiled code is there, which has no comments either.
        return found
    functions = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
    up, down = functions.get("upgrade"), functions.get("downgrade")
    if found["downgrade"] == "missing" or (down is not None and _is_empty(down)):
        # A revision that only joins two others has nothing to take back.
        if up is not None and _is_empty(up):
            found["downgrade"] = "there"
        elif down is not None:
            found["downgrade"] = "empty"
    found["downgrade_line"] = down.lineno if down is not None else None
    for node in ast.walk(tree):
        name = getattr(node, "attr", None) or getattr(node, "id", None)
        if name in _OFFLINE and found["offline"] is None:
            found["offline"] = node.lineno  # type: ignore[attr-defined]
    return found


def _is_empty(function: ast.FunctionDef) -> bool:
    """Whether nothing but `pass`, a docstring, `...` or a bare `return` is in it."""
    return all(
        isinstance(each, ast.Pass)
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        or (isinstance(each, ast.Return) and each.value is None)
        for each in function.body
    )


def _notes(path: str) -> list[dict[str, Any]]:
    """The comments that speak to bootstrapd, each with the comment lines that continue it."""
    notes: list[dict[str, Any]] = []
    last = 0
    with open(path, "rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type != tokenize.COMMENT:
                continue
            text, line = token.string.lstrip("#").strip(), token.start[0]
            alone = not token.line[: token.start[1]].strip()
            if text.startswith(_MARK):
                notes.append({"line": line, "text": text[len(_MARK) :].strip()})
                last = line
            elif alone and notes and line == last + 1:
                notes[-1]["text"] += f" {text}"
                last = line
    return notes

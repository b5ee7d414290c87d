"""What a revision file means: its syntax tree, less all that changes nothing of what it did.

Left out are comments, docstrings, layout, annotations, imports that nothing uses and their order;
`downgrade`, since the way back may be mended after the way up was gone; and what only tells about
the revision. SQL counts by its tokens. Written out here rather than by `ast.dump`, whose text is
another one from one Python to the next.
"""

import ast
import hashlib
import warnings
from collections.abc import Iterable, Iterator, Sequence

from bootstrap import sqltext

# Goes before every checksum: another normal form would begin with another number.
FORM = "1"
_TELLS = frozenset({"branch_labels", "compatible_with", "required_stop"})
_RUNS_SQL = frozenset({"execute", "text", "exec_driver_sql", "executescript", "DDL"})
_SAME_TEXT = frozenset({"dedent", "cleandoc", "strip"})
_UNSAID = frozenset(
    {"annotation", "returns", "ctx", "kind", "type_comment", "type_params", "type_ignores"}
)


def checksum(source: str, sql: Sequence[str] = ()) -> str | None:
    """A checksum of what `source` and the SQL files that it loads mean.

    None where this Python cannot read the source.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        parts = [_Writer(tree).text, *(_sql(text) for text in sql)]
    except (SyntaxError, ValueError, RecursionError):
        return None
    return f"{FORM}:{hashlib.sha256(chr(0).join(parts).encode(errors='replace')).hexdigest()}"


class _Writer:
    """Writes one module in its normal form."""

    def __init__(self, tree: ast.Module) -> None:
        self._sql_names = _sql_names(tree)
        self._used: set[str] = set()
        body = self._body([node for node in tree.body if not _is_beside_the_point(node)])
        imports = sorted(_imported(tree.body, self._used))
        self.text = "\n".join([*imports, body])

    def _body(self, nodes: Iterable[ast.stmt]) -> str:
        """Statements without those that do nothing, docstrings among them."""
        kept = []
        for node in nodes:
            if isinstance(node, ast.Pass):
                continue
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue
            if isinstance(node, ast.AnnAssign) and node.value is None:
                continue
            kept.append(self._node(node))
        return f"[{','.join(kept)}]"

    def _node(self, node: ast.AST, *, sql: bool = False) -> str:
        if isinstance(node, ast.Constant):
            return _constant(node.value, sql=sql)
        if isinstance(node, ast.JoinedStr):
            return self._joined(node, sql=sql)
        if isinstance(node, ast.Name):
            self._used.add(node.id)
        elif isinstance(node, ast.Assign):
            return self._assigned(node.targets, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            return self._assigned([node.target], node.value)
        elif isinstance(node, ast.For) and self._is_sql_name(node.target):
            rest = self._fields(node, leave_out=("iter",))
            return f"For({rest},iter={self._node(node.iter, sql=True)})"
        elif isinstance(node, ast.Call):
            return self._call(node, sql=sql)
        elif sql and isinstance(node, (ast.List, ast.Tuple)):
            items = ",".join(self._node(item, sql=True) for item in node.elts)
            return f"{type(node).__name__}[{items}]"
        return f"{type(node).__name__}({self._fields(node)})"

    def _fields(self, node: ast.AST, *, leave_out: Sequence[str] = ()) -> str:
        written = []
        for name, value in ast.iter_fields(node):
            # What is empty is not said: a newer Python knows more fields that may be.
            if name in _UNSAID or name in leave_out or value is None or value == []:
                continue
            if isinstance(value, ast.AST):
                text = self._node(value)
            elif not isinstance(value, list):
                text = repr(value)
            elif isinstance(value[0], ast.stmt):
                text = self._body(value)
                if text == "[]":
                    continue
            else:
                text = f"[{','.join(self._item(item) for item in value)}]"
            written.append(f"{name}={text}")
        return ",".join(written)

    def _item(self, item: object) -> str:
        return self._node(item) if isinstance(item, ast.AST) else repr(item)

    def _assigned(self, targets: Sequence[ast.expr], value: ast.expr) -> str:
        names = ",".join(self._node(target) for target in targets)
        sql = all(self._is_sql_name(target) for target in targets)
        return f"Assign({names}={self._node(value, sql=sql)})"

    def _call(self, node: ast.Call, *, sql: bool) -> str:
        name = _called(node)
        sql = name in _RUNS_SQL or (sql and name in _SAME_TEXT)
        function = self._node(node.func)
        if sql and isinstance(node.func, ast.Attribute) and name in _SAME_TEXT:
            # A text's own method, as in '''...'''.strip().
            function = f"Attribute({self._node(node.func.value, sql=True)}.{name})"
        arguments = [
            self._node(each, sql=sql and not number) for number, each in enumerate(node.args)
        ]
        arguments += [self._node(each) for each in node.keywords]
        return f"Call({function}:{','.join(arguments)})"

    def _joined(self, node: ast.JoinedStr, *, sql: bool) -> str:
        """An f-string; where one constant ends and the next begins is up to the Python."""
        parts: list[str] = []
        constant = ""
        for value in node.values:
            if isinstance(value, ast.Constant):
                constant += str(value.value)
                continue
            parts += [_constant(constant)] * bool(constant)
            constant = ""
            parts.append(self._node(value))
        if not parts:
            return _constant(constant, sql=sql)
        parts += [_constant(constant)] * bool(constant)
        return f"JoinedStr[{','.join(parts)}]"

    def _is_sql_name(self, target: ast.expr) -> bool:
        return isinstance(target, ast.Name) and target.id in self._sql_names


def _is_beside_the_point(node: ast.stmt) -> bool:
    """Whether a statement of the module says nothing about the way up."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return True
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return node.name == "downgrade"
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    if names == {"depends_on"}:
        # It may as well be left out.
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        return isinstance(value, ast.Constant) and value.value is None
    return bool(names & _TELLS)


def _imported(body: Sequence[ast.stmt], used: set[str]) -> Iterator[str]:
    for node in body:
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        place = ""
        if isinstance(node, ast.ImportFrom):
            place = f"{'.' * node.level}{node.module or ''}:"
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            if bound in used or bound == "*":
                yield f"import {place}{alias.name} as {bound}"


def _sql_names(tree: ast.Module) -> set[str]:
    """The variables whose text is run as SQL."""
    nodes = list(ast.walk(tree))
    calls = (node for node in nodes if isinstance(node, ast.Call) and _called(node) in _RUNS_SQL)
    names = {name for call in calls for name in _names(call)}
    loops = (node for node in nodes if isinstance(node, ast.For))
    return names | {
        loop.iter.id
        for loop in loops
        if isinstance(loop.iter, ast.Name)
        and isinstance(loop.target, ast.Name)
        and loop.target.id in names
    }


def _names(node: ast.expr) -> Iterator[str]:
    """The variables that give an argument its text; values bound to it are none of them."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Call) and _called(node) in _RUNS_SQL | _SAME_TEXT:
        yield from (name for each in node.args[:1] for name in _names(each))
        if isinstance(node.func, ast.Attribute) and _called(node) in _SAME_TEXT:
            yield from _names(node.func.value)


def _called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _constant(value: object, *, sql: bool = False) -> str:
    if sql and isinstance(value, str):
        return f"sql:{_sql(value)!r}"
    return f"{type(value).__name__}:{value!r}"


def _sql(text: str) -> str:
    found = sqltext.tokens(text)
    return text if found is None else found

"""What the ledger's claims need, read off their source: tables, thresholds and windows.

Parsed, not imported: the Snakefile starts without pandas.
"""

import ast
from pathlib import Path

CLAIMS = Path(__file__).resolve().parents[1] / "valleyscope/claims"


def judged_tables() -> list[str]:
    """Tables that the claims are read off, in the order of first use: their arguments by position."""
    return _distinct(argument.arg for arguments in _signatures() for argument in arguments.args)


def judged_limits() -> list[str]:
    """Thresholds and windows of the configuration that the claims apply: their arguments by keyword."""
    return _distinct(argument.arg for arguments in _signatures() for argument in arguments.kwonlyargs)


def _distinct(names) -> list[str]:
    return list(dict.fromkeys(names))


def _signatures() -> list[ast.arguments]:
    """Those of every function decorated with @claim(...), in the order of the ledger."""
    modules = [node.args[0].id for node in _nodes("__init__", ast.Call) if _is(node, "claims_of")]
    return [
        function.args
        for module in modules
        for function in _nodes(module, ast.FunctionDef)
        if any(_is(decorator, "claim") for decorator in function.decorator_list)
    ]


def _nodes(module: str, kind: type) -> list:
    tree = ast.parse((CLAIMS / f"{module}.py").read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, kind)]


def _is(node: ast.expr, name: str) -> bool:
    """Whether it is a call of that function."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name

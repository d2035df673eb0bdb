"""What changes when the code of a function changes, and in no other case."""

import ast
import functools
import hashlib
import inspect
import linecache
import types
from collections.abc import Callable, Iterator
from typing import Any

from .core.references import Ref


def code_digest(function: Callable[..., object], owner: type | None = None) -> str:
    """
    The SHA-256 over the code of a function and of those functions of its package that it names, in hexadecimal.

    Docstrings, comments, annotations, the decorators of the function itself, line numbers and where the package lies
    do not count. Where there is no source, the compiled code does.

    Args:
        owner: The class whose plain methods it may call on `self`.
    """
    codes = sorted(f"{getattr(each, '__qualname__', '?')}:{_own_code(each)}" for each in _reachable(function, owner))
    return hashlib.sha256("\n".join(codes).encode("utf-8", "backslashreplace")).hexdigest()


def _reachable(function: Callable[..., object], owner: type | None) -> list[Any]:
    """The function and all it leads to within its package. It may lead back to itself."""
    start = _inner(function)
    found: dict[int, Any] = {id(start): start}
    waiting = [start]
    while waiting:
        for other in _named(waiting.pop(), owner):
            if id(other) not in found:
                found[id(other)] = other
                waiting.append(other)
    return list(found.values())


def _inner(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not isinstance(function, type):
        function = getattr(type(function), "__call__", function)  # noqa: B004  As Python looks it up.
    return inspect.unwrap(function)


def _named(function: Any, owner: type | None) -> Iterator[types.FunctionType]:
    code = getattr(function, "__code__", None)
    if code is None:
        return
    package = _package(function)
    names = {name for each in _with_nested(code) for name in each.co_names}
    cells = zip(code.co_freevars, function.__closure__ or (), strict=False)
    candidates = [_content(cell) for _, cell in cells] + [function.__globals__.get(name) for name in sorted(names)]
    for candidate in list(candidates):
        if isinstance(candidate, types.ModuleType) and candidate.__name__.partition(".")[0] == package:
            candidates += [vars(candidate).get(name) for name in sorted(names)]
    if owner is not None:
        candidates += [inspect.getattr_static(owner, name, None) for name in sorted(names)]
    for candidate in candidates:
        plain = _plain(candidate)
        if isinstance(plain, types.FunctionType) and _package(plain) == package:
            yield plain


def _plain(candidate: Any) -> Any:
    # What a name stands for is any object of the user's: only those that are known to hold a function are opened.
    if isinstance(candidate, staticmethod | classmethod):
        candidate = candidate.__func__
    if isinstance(candidate, types.FunctionType | Ref | functools._lru_cache_wrapper):
        return inspect.unwrap(candidate)  # type: ignore[arg-type]
    return candidate


def _content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # It is not bound yet.
        return None


def _package(function: Any) -> str:
    return (getattr(function, "__module__", None) or "").partition(".")[0]


def _with_nested(code: types.CodeType) -> Iterator[types.CodeType]:
    waiting = [code]
    while waiting:
        each = waiting.pop()
        yield each
        waiting += [const for const in each.co_consts if isinstance(const, types.CodeType)]


def _own_code(function: Any) -> str:
    code = getattr(function, "__code__", None)
    if code is None:
        return ""  # Written in C: it changes with its package only.
    tree = _source_of(code)
    try:
        return ast.unparse(_stripped(tree)) if tree is not None else _compiled(code)
    except RecursionError:  # An expression of many hundreds of terms.
        return _compiled(code)


def _source_of(code: types.CodeType) -> ast.AST | None:
    """The definition that was compiled to this code; None if that cannot be told for certain."""
    if code.co_name == "<lambda>":
        return None
    source = "".join(linecache.getlines(code.co_filename))
    return _definitions(source).get((code.co_firstlineno, code.co_name)) if source else None


# A module has many steps, and all are asked for one after the other.
@functools.lru_cache(maxsize=4)
def _definitions(source: str) -> dict[tuple[int, str], ast.AST]:
    """(first line, name) -> the function that is defined there."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # Such as a notebook cell with magics.
        return {}
    found: dict[tuple[int, str], ast.AST] = {}
    for each in ast.walk(tree):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([each.lineno, *(decorator.lineno for decorator in each.decorator_list)])
            found[first, each.name] = each
    return found


class _Strip(ast.NodeTransformer):
    """Takes out what does not change what a function does."""

    def _function(self, node: Any) -> Any:
        self.generic_visit(node)
        node.returns = None
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node

    visit_FunctionDef = _function
    visit_AsyncFunctionDef = _function

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(arg=node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)


def _stripped(tree: Any) -> ast.AST:
    copied = ast.parse(ast.unparse(tree)).body[0]  # The parsed file is kept for other functions.
    copied.decorator_list = []  # type: ignore[attr-defined]
    stripped: ast.AST = ast.fix_missing_locations(_Strip().visit(copied))
    return stripped


def _compiled(code: types.CodeType) -> str:
    """The compiled code as text that is the same in every process: no addresses, no order of sets, no lines."""
    # A lambda, and a constant tuple, is nested as deep as a person writes, so this may call itself.
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {[_constant(each) for each in code.co_consts]}"


def _constant(value: object) -> str:
    if isinstance(value, types.CodeType):
        return _compiled(value)
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(_constant, value)))}}}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_constant, value))})"
    return repr(value)

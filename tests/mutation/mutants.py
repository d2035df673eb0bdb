"""Small wrongs that a test should notice: one changed place of a module each."""

import ast
import copy
from collections.abc import Iterator

import attrs

Place = tuple[tuple[str, int | None], ...]
"""How to come from a module to one of its nodes: field, and number in it if it holds a list."""


@attrs.frozen(eq=False)
class Mutant:
    """One wrong: `place` in the tree of a module is replaced; None drops it. `line` counts from 1."""

    place: Place
    replacement: ast.AST | None
    line: int
    text: str

    def function(self, tree: ast.Module) -> list[str]:
        """The names that lead to the function in whose body this is: class and method; empty if it is in none."""
        node: ast.AST = tree
        names: list[str] = []
        for field, number in self.place:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                names.append(node.name)
            if isinstance(node, ast.FunctionDef):
                return names if field == "body" else []
            node = _child(node, field, number)
        return []

    def applied(self, tree: ast.Module) -> ast.Module:
        """The module with this wrong in it."""
        changed = copy.deepcopy(tree)
        holder: ast.AST = changed
        for field, number in self.place[:-1]:
            holder = _child(holder, field, number)
        field, number = self.place[-1]
        if number is None:
            setattr(holder, field, self.replacement)
        elif self.replacement is None:
            del getattr(holder, field)[number]
        else:
            getattr(holder, field)[number] = self.replacement
        return ast.fix_missing_locations(changed)


def mutants(source: str) -> list[Mutant]:
    """Every wrong of this text, in the order of its lines."""
    tree = ast.parse(source)
    found = [mutant for place, node in _nodes(tree, ()) for mutant in _of(place, node)]
    return sorted(found, key=lambda mutant: mutant.line)


def _child(node: ast.AST, field: str, number: int | None) -> ast.AST:
    value = getattr(node, field)
    child = value if number is None else value[number]
    assert isinstance(child, ast.AST)
    return child


# What says nothing about the behaviour, or says it to people and tools alone.
_LEFT_OUT = {
    ast.Import: {"names"},
    ast.ImportFrom: {"names"},
    ast.AnnAssign: {"annotation"},
    ast.arg: {"annotation"},
    ast.FunctionDef: {"returns", "decorator_list"},
    ast.ClassDef: {"decorator_list"},
    ast.Raise: {"cause"},
}


def _nodes(node: ast.AST, place: Place) -> Iterator[tuple[Place, ast.AST]]:
    """Every node below this one that may be changed, with its place."""
    for field, value in ast.iter_fields(node):
        if field in _LEFT_OUT.get(type(node), ()):
            continue
        for number, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not _is_silent(child):
                below = (*place, (field, number))
                yield below, child
                yield from _nodes(child, below)


def _is_silent(node: ast.AST) -> bool:
    """Whether this is a docstring, says to a type checker what cannot be, or names what an instance may hold."""
    match node:
        case ast.Expr(ast.Constant()):
            return True
        case ast.Expr(ast.Call(ast.Name("assert_never"))):
            return True
        case ast.Assign([ast.Name("__slots__")]):
            return True
    return False


_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,), ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
_OPPOSITES = {"any": "all", "all": "any", "min": "max", "max": "min"}


def _of(place: Place, node: ast.AST) -> Iterator[Mutant]:
    """The wrongs at this place."""
    before = ast.unparse(node) if not isinstance(node, ast.cmpop | ast.boolop | ast.operator) else ""
    line = min((each.lineno for each in ast.walk(node) if isinstance(each, ast.expr | ast.stmt)), default=0)
    for replacement in [*_other_expressions(node), *_other_conditions(node), *_other_statements(node)]:
        after = ast.unparse(ast.copy_location(replacement, node))
        yield Mutant(place, replacement, line, f"{_short(before)}  ->  {_short(after)}")
    for field, number, dropped in _parts(node):
        where = dropped.lineno if isinstance(dropped, ast.expr) else line
        yield Mutant((*place, (field, number)), None, where, f"{_short(ast.unparse(dropped))}  dropped")


def _short(text: str) -> str:
    return " ".join(text.split())[:110]


def _other_expressions(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left, [operator], right):
            for other in _COMPARISONS[type(operator)]:
                yield ast.Compare(left, [other()], right)
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
            for number in range(len(values)):
                rest = values[:number] + values[number + 1 :]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(operator, rest)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.BinOp(left, operator, right) if not isinstance(operator, ast.BitOr):
            yield ast.BinOp(left, _OPERATORS[type(operator)](), right)
        case ast.Call(ast.Name(name), arguments, keywords) if name in _OPPOSITES:
            yield ast.Call(ast.Name(_OPPOSITES[name], ast.Load()), arguments, keywords)
        case ast.Constant(value):
            yield from map(ast.Constant, _other_values(value))


def _other_values(value: object) -> list[bool | int | float | str]:
    match value:
        case bool():
            return [not value]
        case int() | float():
            return [value + 1, value - 1]
        case str():
            return ["" if value else "something"]
        case _:
            return []


def _other_conditions(node: ast.AST) -> Iterator[ast.AST]:
    """Both answers, whatever the condition."""
    for answer in (ast.Constant(True), ast.Constant(False)):
        match node:
            case ast.If(_, body, other):
                yield ast.If(answer, body, other)
            case ast.IfExp(_, body, otherwise):
                yield ast.IfExp(answer, body, otherwise)
            case ast.comprehension(target, each, conditions, is_async) if conditions:
                yield ast.comprehension(target, each, [answer], is_async)
            case ast.match_case(pattern, guard, body) if guard is not None:
                yield ast.match_case(pattern, answer, body)
            case ast.While(_, body, other) if not answer.value:
                yield ast.While(answer, body, other)


def _other_statements(node: ast.AST) -> Iterator[ast.AST]:
    nothing = ast.Constant(None)
    match node:
        case ast.Expr(ast.Call() | ast.Yield() | ast.YieldFrom()) | ast.AugAssign() | ast.Raise() | ast.Delete():
            yield ast.Pass()
        case ast.Assign([ast.Attribute() | ast.Subscript() | ast.Tuple([ast.Attribute(), *_])]):
            yield ast.Pass()
        case ast.Return(value) if value is not None and not isinstance(value, ast.Constant):
            yield ast.Return(nothing)
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
        case ast.For(target, _, body, other):
            yield ast.For(target, ast.Tuple([], ast.Load()), body, other)
    if isinstance(node, ast.AugAssign) and type(node.op) in _OPERATORS and not isinstance(node.op, ast.BitOr):
        yield ast.AugAssign(node.target, _OPERATORS[type(node.op)](), node.value)


def _parts(node: ast.AST) -> Iterator[tuple[str, int, ast.AST]]:
    """What may be left out: arguments with a name, cases of a choice, members of a set."""
    match node:
        case ast.Call(keywords=keywords):
            yield from (("keywords", number, each) for number, each in enumerate(keywords) if each.arg is not None)
        case ast.Match(cases=cases) if len(cases) > 1:
            for number, case in enumerate(cases):
                if not _is_impossible(case):
                    yield "cases", number, case
        case ast.Set(elts) if len(elts) > 1:
            yield from (("elts", number, each) for number, each in enumerate(elts))


def _is_impossible(case: ast.match_case) -> bool:
    """Whether this case says that there is no other, or that nothing is done in all others."""
    match case.body:
        case [ast.Expr(ast.Call(ast.Name("assert_never"))) | ast.Pass()]:
            return True
    return False

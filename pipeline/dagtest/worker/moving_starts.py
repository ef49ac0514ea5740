"""Start dates that are made of the time at which a file is parsed, as its text tells."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

NOW = frozenset({"now", "utcnow", "today", "days_ago", "yesterday", "tomorrow"})
Function = ast.FunctionDef | ast.AsyncFunctionDef
Named = Mapping[str, Sequence[ast.expr]]
# What makes a date of another, or of its parts.
DATES = frozenset(
    {"DateTime", "combine", "convert", "date", "datetime", "fromisoformat", "instance", "parse", "strptime"}
)


@dataclass(frozen=True)
class MovingStart:
    """A `start_date` that is made of the time of parsing.

    Attributes:
        line: Where it is written.
        first: The first line of the call that is given it, or given `default_args` with it.
        last: That call's last line.
        function: The function that the call decorates, or "".
    """

    line: int
    first: int
    last: int
    function: str = ""


def moving_starts(of_file: Sequence[ast.AST]) -> Iterator[MovingStart]:
    """Those that calls are given. Whether a call makes a DAG or a task is known once the file is imported."""
    calls = [node for node in of_file if isinstance(node, ast.Call)]
    if not any(name_of(call) in NOW for call in calls):
        return
    named = _named(of_file)
    moving = _moving_names(named)
    decorates = {id(item): node.name for node in of_file if isinstance(node, Function) for item in node.decorator_list}
    for call in calls:
        made = _start_date(call, named, moving)
        if made is not None:
            last = call.end_lineno or call.lineno
            yield MovingStart(made.lineno, call.lineno, last, decorates.get(id(call), ""))


def _named(of_file: Sequence[ast.AST]) -> Named:
    """Name → all that it stands for anywhere in the file, if assignments say so and nothing else gives it a value."""
    found: dict[str, list[ast.expr]] = {}
    others = set[str]()
    told = set[int]()
    for node in of_file:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    told.add(id(target))
                    if target.id not in _names_in(node.value):  # `start = start - day` is what it was, moved
                        found.setdefault(target.id, []).append(node.value)
        elif isinstance(node, ast.arg):
            others.add(node.arg)
        elif isinstance(node, ast.alias):
            others.add(node.asname or node.name)
    others |= {
        node.id
        for node in of_file
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in told
    }
    return {name: values for name, values in found.items() if name not in others}


def _names_in(value: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}


def _moving_names(named: Named) -> Mapping[str, ast.expr]:
    """Name that stands for nothing but the time of parsing, and dates made of it → where it is written."""
    moving: dict[str, ast.expr] = {}
    is_more = True
    while is_more:
        is_more = False
        for name, values in named.items():
            if name not in moving and values and all(_moved(value, moving) is not None for value in values):
                moving[name] = _moved(values[0], moving) or values[0]
                is_more = True
    return moving


def _made_of_now(value: ast.expr | None, moving: Mapping[str, ast.expr]) -> ast.expr | None:
    """The expression with the time of parsing that a value is made of: itself, or what a name in it stands for."""
    if value is None:
        return None
    if any(isinstance(node, ast.Call) and name_of(node) in NOW for node in _deciding(value)):
        return value
    return _moved(value, moving)


def _deciding(value: ast.expr) -> Iterator[ast.AST]:
    """The parts that a value is made of, but for what chooses: `A if now() > B else C`, `min(now(), A)`."""
    waiting: list[ast.AST] = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.IfExp):
            waiting += [node.body, node.orelse]
        elif not (isinstance(node, ast.Call) and name_of(node) == "min"):
            yield node
            waiting += ast.iter_child_nodes(node)


def _moved(value: ast.expr, moving: Mapping[str, ast.expr]) -> ast.expr | None:
    """The same for what is surely a date made of that time, and not something that was looked up with it.

    now(), a name that moves              moves
    its attribute, its method's answer    moves: `now.year`, `now.subtract(days=1)`
    a sum with it                         moves
    a date made of it                     moves: `datetime.combine(now, ...)`
    any other                             may be anything: `config(now)`, `{"b": now}["a"]`
    """
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and node.id in moving:
            return moving[node.id]
        if isinstance(node, ast.Call):
            if name_of(node) in NOW:
                return value
            waiting.append(node.func)
            if name_of(node) in DATES:
                waiting += [*node.args, *(keyword.value for keyword in node.keywords)]
        elif isinstance(node, ast.Attribute):
            waiting.append(node.value)
        elif isinstance(node, ast.BinOp):
            waiting += [node.left, node.right]
    return None


def _start_date(call: ast.Call, named: Named, moving: Mapping[str, ast.expr]) -> ast.expr | None:
    """Where the start date that a call is given, itself or with `default_args`, is made of the time of parsing."""
    for keyword in call.keywords:
        given, made = keyword.value, list[ast.expr | None]()
        if keyword.arg == "start_date":
            made = [_made_of_now(given, moving)]
        elif keyword.arg == "default_args":
            values = named.get(given.id, ()) if isinstance(given, ast.Name) else [given]
            made = [_made_of_now(_member(value, "start_date", named), moving) for value in values]
        if made and None not in made:  # whichever of them it is
            return made[0]
    return None


def _member(mapping: ast.expr, name: str, named: Named, deep: int = 5) -> ast.expr | None:
    """The value of a name in a mapping that is written out: `{"name": ...}` or `dict(name=...)`; the last one counts.

    So it does in mappings that are put into it by name, `{**common, ...}` or `dict(common, ...)`, and a few in those.
    """
    if isinstance(mapping, ast.Name):
        values = named.get(mapping.id, ())
        return _member(values[0], name, named, deep - 1) if deep and len(values) == 1 else None
    pairs: list[tuple[object, ast.expr]] = []
    if isinstance(mapping, ast.Dict):
        keys = (getattr(key, "value", "") if key is not None else None for key in mapping.keys)
        pairs = list(zip(keys, mapping.values, strict=True))
    elif isinstance(mapping, ast.Call) and name_of(mapping) == "dict":
        pairs = [*((None, value) for value in mapping.args), *((each.arg, each.value) for each in mapping.keywords)]
    found = None
    for key, value in pairs:
        if key == name:
            found = value
        elif key is None and deep:
            found = _member(value, name, named, deep - 1) or found
    return found


def name_of(node: ast.expr) -> str:
    """The last name of what is called, or of the name itself."""
    found = node.func if isinstance(node, ast.Call) else node
    return found.attr if isinstance(found, ast.Attribute) else getattr(found, "id", "")

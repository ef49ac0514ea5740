"""Whether importing a file can change what other files find when they are imported in the same process.

It is decided by the text, and in doubt it can. A plain file makes DAGs and nothing else: it changes only what it made
itself, and uses nothing that reaches into the process. Most DAG files are plain, and so are most helpers.
"""

import ast
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.dagtest.worker.ahead import by_text
from pipeline.dagtest.worker.modules import files_named
from pipeline.dagtest.worker.source import nodes, parsed

# Packages whose import changes nothing for others.
LIBRARIES = frozenset({"boto3", "botocore", "jinja2", "numpy", "pandas", "pendulum", "requests", "yaml"})
# Of Airflow, what DAGs are made of; not its settings, its plugins, its database.
DAG_PARTS = (
    *("airflow.assets", "airflow.datasets", "airflow.decorators", "airflow.exceptions", "airflow.models"),
    *("airflow.operators", "airflow.providers", "airflow.sdk", "airflow.sensors", "airflow.timetables"),
    *("airflow.triggers", "airflow.utils.edgemodifier", "airflow.utils.task_group", "airflow.utils.trigger_rule"),
)
# Modules of Python with functions that change the process, and what of them does not.
REACHING = frozenset(
    {"asyncio", "atexit", "builtins", "codecs", "concurrent", "contextvars", "ctypes", "decimal", "faulthandler", "gc"}
    | {"importlib", "inspect", "linecache", "locale", "logging", "mimetypes", "multiprocessing", "os", "pkgutil"}
    | {"random", "resource", "runpy", "signal", "site", "socket", "sqlite3", "subprocess", "sys", "sysconfig"}
    | {"threading", "tracemalloc", "unittest", "warnings"}
)
HARMLESS = (
    *("asyncio.sleep", "logging.getLogger", "os.environ.get", "os.getenv", "os.path", "os.sep", "sys.platform"),
    "sys.version_info",
)
ASKING = frozenset({"BaseHook", "Variable"})  # of Airflow's: an access, which is told of a file by itself
# Functions that can change anything by its name, or print, and attributes that lead from an object to what others use.
BY_NAME = frozenset(
    {"__import__", "breakpoint", "delattr", "eval", "exec", "getattr", "globals", "locals", "print", "setattr", "vars"}
)
INNER = frozenset(
    {"__bases__", "__builtins__", "__class__", "__code__", "__defaults__", "__dict__", "__func__", "__globals__"}
    | {"__kwdefaults__", "__mro__", "__self__", "__subclasses__", "__wrapped__", "function"}
)
ASKING_ABOUT = frozenset({"isinstance", "issubclass"})
# What of libraries is handed on a lot, and can be changed by nobody.
UNCHANGEABLE = frozenset(
    {f"{owner}.{name}" for owner in ("datetime", "datetime.datetime", "datetime.timezone") for name in ("UTC", "utc")}
    | {"datetime.timezone.utc", "pendulum.UTC", "datetime.datetime", "datetime.timedelta", "datetime.date"}
)
# Where a value gets another name: by a parameter, as a member, as an answer, in a loop.
HANDED_ON: Mapping[type[ast.AST], Callable[[Any], Iterable[ast.expr | None]]] = {
    ast.Call: lambda node: [*node.args, *(keyword.value for keyword in node.keywords)],
    ast.arguments: lambda node: [*node.defaults, *node.kw_defaults],
    ast.Lambda: lambda node: [node.body],
    **dict.fromkeys((ast.List, ast.Set), lambda node: node.elts),
    ast.Dict: lambda node: node.values,
    **dict.fromkeys((ast.Return, ast.Yield, ast.YieldFrom, ast.Starred), lambda node: [node.value]),
    **dict.fromkeys((ast.For, ast.AsyncFor, ast.comprehension), lambda node: _members(node.iter)),
    ast.Assign: lambda node: () if isinstance(node.targets[0], ast.Name) else _members(node.value),
    ast.IfExp: lambda node: [node.body, node.orelse],
    ast.BoolOp: lambda node: node.values,
}
TASKS = ("airflow.decorators.task", "airflow.sdk.task")  # decorators of functions that a run calls, not a parser


def is_plain(path: Path, folders: tuple[Path, ...]) -> bool:
    """Whether a file, and each module of the team's that is imported with it, is plain.

    Args:
        path: The file.
        folders: Where the team's modules are found.
    """
    waiting, reached = [path], set[Path]()
    while waiting:
        file = waiting.pop()
        if file in reached:
            continue
        reached.add(file)
        plain, imported = by_itself(file, folders)
        if not plain:
            return False
        waiting += imported
    return True


@by_text
def by_itself(file: Path, folders: tuple[Path, ...]) -> tuple[bool, tuple[Path, ...]]:
    """Whether a file's own text is plain, and the team's modules that it imports."""
    try:
        plain = _changes_nothing(file, folders)
    except RecursionError:  # a chain of a thousand tasks is as deep
        plain = False
    return plain, _imported(nodes(file), folders)


def _imported(of_file: Sequence[ast.AST], folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """The team's modules that a file imports."""
    names: list[str] = []
    for node in of_file:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(file for name in dict.fromkeys(names) for file in files_named(name, folders))


def _changes_nothing(file: Path, folders: Sequence[Path]) -> bool:
    tree = parsed(file)
    if tree is None:
        return False
    imports = _Imports(folders)
    imports.visit(tree)
    if not imports.plain:
        return False
    _follow_aliases(nodes(file), imports.others)
    if any(_hands_on(node, imports.others) for node in nodes(file)):
        return False
    uses = _Uses(imports.others, _made(nodes(file)))
    uses.visit(tree)
    return uses.plain


class _Parsing(ast.NodeVisitor):
    """Visits what may happen while a file is parsed: all but the bodies of tasks.

    Attributes:
        plain: Whether all that was visited is.
        others: Name in the file → what it stands for outside: `pd` → `pandas`, `DAG` → `airflow.sdk.DAG`.
    """

    def __init__(self, others: dict[str, str]) -> None:
        self.plain = True
        self.others = others

    def visit_Constant(self, _: ast.Constant) -> None:
        """Nothing happens; Python's own visitor asks whether methods of old names are there."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        decorators = [item.func if isinstance(item, ast.Call) else item for item in node.decorator_list]
        meant = [_meant(item, self.others) or "" for item in decorators]
        if any(f"{name}.".startswith(f"{task}.") for name in meant for task in TASKS):
            node = ast.FunctionDef(node.name, node.args, [], node.decorator_list, node.returns)
        self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """As any other function."""
        self.visit_FunctionDef(ast.FunctionDef(node.name, node.args, node.body, node.decorator_list, node.returns))


class _Imports(_Parsing):
    """What a file imports that is not its team's: it is plain when none of that changes something."""

    def __init__(self, folders: Sequence[Path]) -> None:
        super().__init__({})
        self._folders = folders

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root = alias.name.partition(".")[0]
            self.plain = self.plain and self._is_harmless(alias.name)
            if not self._is_own(root):
                self.others[alias.asname or root] = alias.name if alias.asname else root

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        names = [f"{module}.{alias.name}" for alias in node.names]
        told = not node.level and "*" not in [alias.name for alias in node.names]
        harmless = all(map(self._is_harmless, names)) if module == "airflow" else self._is_harmless(module)
        self.plain = self.plain and told and harmless
        if not self._is_own(module):  # that is imported anew for each file, so that it may be changed
            self.others |= {alias.asname or alias.name: name for alias, name in zip(node.names, names, strict=True)}

    def _is_harmless(self, module: str) -> bool:
        root = module.partition(".")[0]
        if root == "airflow":
            return module in ("airflow", "airflow.DAG") or any(
                f"{module}.".startswith(f"{part}.") for part in DAG_PARTS
            )
        return root in LIBRARIES or root in sys.stdlib_module_names or self._is_own(module)

    def _is_own(self, module: str) -> bool:
        root = module.partition(".")[0]
        return any((folder / root).is_dir() or (folder / f"{root}.py").is_file() for folder in self._folders)


def _follow_aliases(of_file: Sequence[ast.AST], others: dict[str, str]) -> None:
    """A name that is given another's value, without a call, stands for the same thing."""
    assignments = [node for node in of_file if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr)]
    for _ in assignments:
        before = len(others)
        for node in assignments:
            meant = _meant(node.value, others) if node.value is not None else None
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if meant is not None:
                others.update({target.id: meant for target in targets if isinstance(target, ast.Name)})
        if len(others) == before:
            return


def _hands_on(node: ast.AST, others: dict[str, str]) -> bool:
    """Whether something of a library's gets another name, by which it could be changed unseen."""
    if isinstance(node, ast.Call) and (root := _root(node.func)) and (root in others or root in ASKING_ABOUT):
        return False  # a library does not change what it is given of another's
    return any(_is_of_a_library(each, others) for each in HANDED_ON.get(type(node), lambda _: ())(node))


def _members(node: ast.expr) -> Sequence[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _is_of_a_library(node: ast.expr | None, others: dict[str, str]) -> bool:
    """Whether an expression is something of a library's, not of Airflow's, which Airflow itself hands on."""
    meant = _meant(node, others) if node is not None else None
    return meant is not None and meant.partition(".")[0] != "airflow" and meant not in UNCHANGEABLE


def _made(of_file: Sequence[ast.AST]) -> set[str]:
    """Names that only stand for what the file makes: by a call, or as a literal."""
    made, given = {"self"}, set[str]()
    for node in of_file:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            is_made = isinstance(node.value, ast.Call | ast.Dict | ast.List | ast.Set | ast.DictComp | ast.ListComp)
            (made if is_made else given).update(target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
            (made if isinstance(node.context_expr, ast.Call) else given).add(node.optional_vars.id)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension | ast.NamedExpr):
            given.update(name.id for name in ast.walk(node.target) if isinstance(name, ast.Name))
        elif isinstance(node, ast.arg) and node.arg != "self":
            given.add(node.arg)
    return made - given


class _Uses(_Parsing):
    """How a file uses what is not its own: it is plain when it changes nothing of it."""

    def __init__(self, others: dict[str, str], made: set[str]) -> None:
        super().__init__(others)
        self._made = made

    def visit_Name(self, node: ast.Name) -> None:
        self._demand(node.id not in BY_NAME)
        if isinstance(node.ctx, ast.Load):
            self._demand(_only_reads(self.others.get(node.id, "")))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._demand(node.attr not in INNER)
        self._demand(isinstance(node.ctx, ast.Load) or _root(node.value) in self._made)
        meant = _meant(node, self.others)
        if meant is None:
            self.visit(node.value)
        else:
            self._demand(_only_reads(meant))

    def visit_Subscript(self, node: ast.Subscript) -> None:
        # An item of what a function was given: a dictionary of arguments, most of the time.
        self._demand(isinstance(node.ctx, ast.Load) or _root(node.value) not in {"", *self.others})
        self.visit(node.slice)
        if _meant(node.value, self.others) != "os.environ":
            self.visit(node.value)

    def visit_Expr(self, node: ast.Expr) -> None:
        """A function that is called for what it does, not for its answer, changes something."""
        if isinstance(node.value, ast.Call):
            root = _root(node.value.func)
            self._demand(self.others.get(root, "").partition(".")[0] in ("", "airflow"))
        self.generic_visit(node)

    def visit_While(self, _: ast.While) -> None:
        """It may not end, which would hold up those that it shares a process with."""
        self.plain = False

    def _demand(self, fulfilled: bool) -> None:
        self.plain = self.plain and fulfilled


def _only_reads(meant: str) -> bool:
    root, *parts = meant.split(".")
    if root == "airflow":
        return ASKING.isdisjoint(parts)
    return root not in REACHING or any(f"{meant}.".startswith(f"{name}.") for name in HARMLESS)


def _root(node: ast.expr) -> str:
    """The first name of `a.b(c).d[e]`; "" when it begins with none."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _meant(node: ast.expr, others: dict[str, str]) -> str | None:
    """`pandas.options` for `pd.options`; None for what is no name, or begins with one of the file's own."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name) and node.id in others:
        return ".".join([others[node.id], *reversed(parts)])
    return None

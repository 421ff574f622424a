"""The page docs/coverage.md: what Genesis has of PyTorch's vocabulary, found out by calling every name.

A line of tests/names.txt calls one name, with ``t`` for genesis or torch and the operands of :func:`operands`. It is
run eagerly, its gradients are taken, it is compiled for C and for Triton, and its function is called wrongly. Nothing
on the page is written by hand. Reasons are the marks ``__eager_only__``, messages of errors, types of results, and the
parts of ``genesis/scope.py``.
"""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

import genesis
from compiler.errors import GenesisError
from compiler.ir.types import DType
from genesis.absent import OUT_OF_SCOPE
from genesis.fft import ComplexTensor
from genesis.functions.table import FUNCTIONAL, FUNCTIONS, IN_PLACE, METHODS
from genesis.scope import reason_of
from tests.declarations import attributes_of_a_tensor

HERE = Path(__file__).parent
LINES = (HERE / "names.txt").read_text().splitlines()
YES = "✓"


def operands(t: Any) -> dict[str, Any]:
    """The names that the lines may use, with the tensors of library ``t``."""
    rng = np.random.default_rng(0)

    def floats(*shape: int) -> Any:
        return t.tensor(rng.uniform(0.1, 0.9, shape).astype(np.float32), requires_grad=True)

    root = rng.uniform(0.1, 0.9, (3, 3))
    made = {
        "t": t,
        "np": np,
        "F": t.nn.functional,
        "x": floats(2, 3),
        "y": floats(2, 3),
        "v": floats(3),
        "w": floats(3),
        "k": floats(2),
        "s": t.tensor((root @ root.T + np.eye(3)).astype(np.float32), requires_grad=True),
        "line": floats(2, 2, 8),
        "img": floats(2, 2, 6, 6),
        "cube": floats(1, 2, 4, 4, 4),
        "q": floats(2, 2, 4, 3),
        "seq": floats(4, 2, 6),
        "p": t.nn.Parameter(floats(2, 3).detach()),
        "i": t.tensor([[0, 2, 1], [1, 0, 2]]),
        "j": t.tensor([2, 0]),
        "n": t.tensor([3, 1, 2]),
        "b": t.tensor([[True, False, True], [False, True, True]]),
    }
    made["p"].grad = made["y"].detach().clone()
    return made


class Called:
    """The outermost call of a line.

    Attributes:
        name: what is called: ``nn.functional.relu``, ``Tensor.unfold``, ``nn.Linear`` of ``t.nn.Linear(3, 2)(x)``.
        function: takes ``args`` and ``options``; of a layer, its call.
        reason: its mark, that it has no place in a compiled step.
        overwrites: whether it writes into its first argument.
    """

    def __init__(self, line: str, t: Any) -> None:
        space = operands(t)
        call = ast.parse(line, mode="eval").body
        assert isinstance(call, ast.Call), line

        def value(node: ast.expr) -> Any:
            return eval(compile(ast.Expression(node), line, "eval"), space)

        self.line, self.t = line, t
        self.args: list[Any] = []
        for node in call.args:
            self.args += [*value(node.value)] if isinstance(node, ast.Starred) else [value(node)]
        self.options = {str(keyword.arg): value(keyword.value) for keyword in call.keywords}
        owner = value(call.func.value) if isinstance(call.func, ast.Attribute) else None
        if isinstance(call.func, ast.Attribute) and isinstance(owner, t.Tensor):
            self.name = f"Tensor.{call.func.attr}"
            self.args.insert(0, owner)
            self.function = getattr(t.Tensor, call.func.attr)
        else:
            self.name = _path(call.func)
            self.function = value(call.func)
        self.reason = reason_of(self.function) or reason_of(type(owner))
        self.overwrites = self.name.endswith("_") and self.name.startswith(("Tensor.", "nn.functional."))
        self.overwrites &= self.name != "Tensor.requires_grad_"

    def __call__(self, *tensors: Any) -> Any:
        """The call with ``tensors`` in the place of those among its arguments."""
        left = list(tensors)
        args = [self._exchanged(arg, left) for arg in self.args]
        if self.overwrites:
            args[0] = args[0] * 1  # a leaf must not be written
        return self.function(*args, **self.options)

    def _exchanged(self, thing: Any, left: list[Any]) -> Any:
        if isinstance(thing, self.t.Tensor) and not isinstance(thing, self.t.nn.Parameter):
            return left.pop(0)
        return type(thing)([self._exchanged(x, left) for x in thing]) if type(thing) in (list, tuple) else thing

    def tensors(self) -> list[Any]:
        """Those among the arguments, as leaves."""
        found = [x for x in _leaves(self.args, self.t) if not isinstance(x, self.t.nn.Parameter)]
        copies = [x.detach().clone() for x in found]
        return [x.requires_grad_() if x.is_floating_point() else x for x in copies]

    def in_place(self, name: str) -> Called:
        """The same call of the method ``name``, which overwrites its tensor."""
        other = Called(self.line, self.t)
        other.name, other.function, other.overwrites = f"Tensor.{name}", getattr(self.t.Tensor, name), True
        return other


def _path(node: ast.expr) -> str:
    """The dotted name that an expression begins with, up to its first call."""
    inside = node
    while isinstance(inside, ast.Attribute | ast.Call | ast.Subscript):
        if isinstance(inside, ast.Call):
            node = inside.func
        inside = inside.func if isinstance(inside, ast.Call) else inside.value
    return ast.unparse(node).replace("F.", "nn.functional.", 1).removeprefix("t.")


def _leaves(thing: Any, t: Any) -> Iterator[Any]:
    """The tensors in lists, tuples and packed sequences."""
    if isinstance(thing, t.Tensor):
        yield thing
    elif isinstance(thing, t.nn.utils.rnn.PackedSequence):
        yield thing.data
    elif isinstance(thing, ComplexTensor):
        yield from (thing.real, thing.imag)
    elif isinstance(thing, list | tuple):
        for item in thing:
            yield from _leaves(item, t)


class Facts(NamedTuple):
    """The findings about a name: a tick or a reason for each column."""

    eager: str
    gradient: str
    c: str
    triton: str
    errors: str


def measured(call: Called) -> Facts:
    """Run, differentiate, compile and misuse one call. Raises AssertionError where a mark does not say what happens."""
    tensors = call.tensors()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        genesis.manual_seed(0)
        try:
            results = list(_leaves(call(*tensors), genesis))
        except GenesisError as error:
            reason = str(error).partition("\n")[0].rpartition(": ")[2]
            return Facts(*[reason] * 4, errors=YES)
        gradient = _gradient(results, tensors)
        compiled = _compiled(call, tensors, with_gradient=gradient == YES)
        return Facts(YES, gradient, *compiled, _misused(call))


def _gradient(results: Sequence[Any], tensors: Sequence[Any]) -> str:
    carrying = [x for x in results if x.requires_grad]
    if carrying:
        return YES
    if not results:
        return "gives no tensor"
    kinds = {x.dtype for x in results}
    if all(not kind.is_floating_point for kind in kinds):
        return f"gives {' and '.join(sorted(kind.name for kind in kinds))}"
    return "carries none" if tensors else "of no tensor"


def _compiled(call: Called, tensors: Sequence[Any], with_gradient: bool) -> tuple[str, str]:
    wanted = [x for x in tensors if x.requires_grad]

    def step(*given: Any) -> Any:
        results = list(_leaves(call(*given), genesis))
        carrying = [x for x in results if x.requires_grad]
        leaves = [x for x in given if x.requires_grad]
        if not (with_gradient and wanted and carrying):
            return results
        total = sum((x * 1.0).sum() for x in carrying)
        return results, genesis.autograd.grad(total, leaves, allow_unused=True)

    program = genesis.compile(step, backend="interpret")
    genesis.manual_seed(0)
    try:
        program(*tensors)
    except GenesisError as error:
        assert call.reason, f"{call.line} does not compile, and has no mark that says so: {error}"
        return call.reason, call.reason
    assert not call.reason, f"{call.line} compiles, and is marked: {call.reason}"
    graph = program._latest().traced.stages.latest
    calls = {(node.op.name, tuple(v.type.dtype for v in node.inputs)) for node in graph.nodes}
    if not calls <= _EMITTED:
        for language in ("c", "triton"):
            assert program.source(language), call.line
        _EMITTED.update(calls)
    return YES, YES


_EMITTED: set[tuple[str, tuple[DType, ...]]] = set()
"""Ops, and the types of their operands, that have become C and Triton; what consists of them does, too."""


def _misused(call: Called) -> str:
    """Whether a call with an object of a foreign class in the place of an argument is an error of Genesis."""
    kept = int(call.name.startswith("Tensor."))  # the tensor whose method it is
    args = [*call.args[:kept], object(), *call.args[kept + 1 :]]
    try:
        call.function(*args, **call.options)
    except GenesisError:
        return YES
    except Exception as error:
        if kept and not call.args[1:] and not call.options and not _takes_more(call.function):
            return "takes no argument"
        if _raised_in(error) == call.line:
            return "those of the user's function"
        return f"Python's {type(error).__name__}"
    return "takes any object"


def _takes_more(method: Any) -> bool:
    """Whether a method has an argument beside its tensor."""
    return len(inspect.signature(method).parameters) > 1


def _raised_in(error: Exception) -> str:
    """The file in which an error was raised; of a function in a line of tests/names.txt it is the line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else trace.tb_frame.f_code.co_filename


class Row(NamedTuple):
    """A name, where it is, and what was found out about it."""

    name: str
    places: str
    facts: Facts


def rows() -> dict[str, list[Row]]:
    """All names by section."""
    calls = [Called(line, genesis) for line in LINES]
    found: dict[str, Facts] = {}
    by_function: dict[int, Called] = {}
    for call in calls:
        assert call.name not in found, f"two lines call {call.name}"
        found[call.name] = measured(call)
        by_function[id(call.function)] = call
    sections: dict[str, list[Row]] = {}

    def known(function: Any, name: str) -> Facts | None:
        call = by_function.get(id(function))
        return found.get(name) or (None if call is None else found[call.name])

    places = (
        (FUNCTIONS, "genesis", ""),
        (METHODS, "Tensor", "Tensor."),
        (FUNCTIONAL, "nn.functional", "nn.functional."),
    )
    functions = sections["Functions and methods"] = []
    for name in sorted({*FUNCTIONS, *METHODS, *FUNCTIONAL} - {*IN_PLACE}):
        for function in dict.fromkeys(table[name] for table, _, _ in places if name in table):
            there = [(where, prefix) for table, where, prefix in places if table.get(name) is function]
            facts = next((f for _, prefix in there if (f := known(function, prefix + name))), None)
            assert facts is not None, f"tests/names.txt has no line for {there[0][1]}{name}"
            functions.append(Row(name, ", ".join(where for where, _ in there), facts))
    overwriting = sections["In place"] = []
    for name in sorted(IN_PLACE):
        facts = found.get(f"Tensor.{name}")
        if facts is None:
            facts = measured(by_function[id(IN_PLACE[name])].in_place(name))
        overwriting.append(Row(name, "Tensor, genesis" if name in FUNCTIONS else "Tensor", facts))
    tensor = sections["Tensor"] = []
    for name, thing in attributes_of_a_tensor():
        if name not in METHODS and name not in IN_PLACE and not name.startswith("_") and name not in _INSIDE:
            facts = found.get(f"Tensor.{name}") or _attribute(name, thing)
            tensor.append(Row(name, "Tensor", facts))
    for section in SECTIONS:
        module = _module(section)
        listed = sections[section or "genesis"] = []
        for name in _names(module, [call.name for call in calls]):
            path = f"{section}.{name}" if section else name
            if section or name not in FUNCTIONS:
                thing = getattr(module, name)
                listed.append(Row(name, module.__name__, known(thing, path) or _no_op(thing)))
    protocol = sections["nn.Module"] = []
    for name in sorted(n for n in dir(genesis.nn.Module) if not n.startswith("_")):
        protocol.append(Row(name, "genesis.nn.Module", _no_op(inspect.getattr_static(genesis.nn.Module, name))))
    return sections


SECTIONS = (
    "", "linalg", "special", "fft", "masked", "nn", "nn.init", "nn.utils", "nn.utils.rnn", "nn.utils.parametrize",
    "nn.utils.parametrizations", "nn.attention.bias", "optim", "optim.lr_scheduler", "optim.swa_utils", "autograd",
    "autograd.functional", "func", "amp", "distributions", "utils.data", "utils.checkpoint", "cuda", "backends", "jit",
    "distributed", "random", "serialization", "testing",
)  # fmt: skip

_INSIDE = ("move", "shows_as", "value", "view_as_op", "write")
"""What Genesis itself uses of a Tensor."""


def _module(path: str) -> Any:
    found: Any = genesis
    for part in path.split(".") if path else ():
        found = getattr(found, part)
    return found


def _names(module: Any, called: Sequence[str]) -> list[str]:
    """The names that ``module`` gives to users, without modules, and without imported ones that no line calls."""
    listed = getattr(module, "__all__", None)
    names = [n for n in (dir(module) if listed is None else listed) if not n.startswith("_")]
    made = [(name, getattr(module, name)) for name in sorted(set(names))]
    own = [(n, x) for n, x in made if not isinstance(x, ModuleType)]
    if listed is None:
        place = module.__name__.removeprefix("genesis.")
        there = [str(getattr(x, "__module__", "")).startswith(module.__name__) for _, x in own]
        own = [(n, x) for (n, x), is_own in zip(own, there, strict=True) if is_own or f"{place}.{n}" in called]
    return [name for name, _ in own]


def _attribute(name: str, thing: Any) -> Facts:
    """A property of tensors, or an attribute of their class."""
    call = Called("x.size()", genesis)
    call.line = call.name = f"x.{name}"
    call.function = lambda x: getattr(x, name)
    facts = measured(call)
    return facts._replace(errors="no call")


def _no_op(thing: Any) -> Facts:
    """The reason why a name is no op: its mark, or its kind."""
    kind = "a class" if inspect.isclass(thing) else "works on whole programs" if callable(thing) else "a value"
    reason = reason_of(thing) or kind
    return Facts(YES, reason, reason, reason, "no call" if kind == "a value" else "Python's")


OF_GENESIS = (
    "Device GenesisWarning load_checkpoint load_graph lr_finder monitor save_checkpoint verify_resume left_empty "
    "get_constant_schedule_with_warmup get_cosine_schedule_with_warmup get_linear_schedule_with_warmup WorkerError "
    "advance_by advance_recorded"
).split()
"""Names that PyTorch does not have."""


def named_by_oracle_tests() -> set[str]:
    """Attributes and texts in tests/oracle: the names that its tests compare with PyTorch."""
    found: set[str] = set()
    for file in sorted((HERE / "oracle").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.update(node.value.split())
    return found


def coverage_page() -> str:
    """``docs/coverage.md``."""
    compared = named_by_oracle_tests() | {Called(line, genesis).name.rpartition(".")[2] for line in LINES}
    compared |= {*IN_PLACE}  # by tests/oracle/test_in_place_oracle.py
    lines = [
        "# Coverage",
        "",
        "Written by `pytest --update-golden tests/genesis/test_coverage.py`, which calls every name: it runs the",
        "lines of [tests/names.txt](../tests/names.txt), takes their gradients, compiles them with these gradients for",
        "both targets, and calls them with an object of a foreign class. A name whose ops became C and Triton",
        "already, on operands of the same types, is not written again. A cell is a tick, or the reason why not.",
        "The last column says whether a test in tests/oracle compares the name with PyTorch.",
    ]
    total = 0
    for section, found in rows().items():
        if not found:
            continue
        lines += ["", f"## {section}", "", "| name | in | eager | gradient | C | Triton | errors | PyTorch |"]
        lines += ["|---|---|---|---|---|---|---|---|"]
        for row in found:
            test = "not in PyTorch" if row.name in OF_GENESIS else YES if row.name in compared else "no test"
            lines.append(f"| `{row.name}` | {row.places} | {' | '.join(row.facts)} | {test} |")
            total += 1
    lines += ["", "## Out of scope", "", "| reason | names |", "|---|---|"]
    for reason in dict.fromkeys(OUT_OF_SCOPE.values()):
        names = ", ".join(f"`{name}`" for name, given in OUT_OF_SCOPE.items() if given == reason)
        lines.append(f"| {reason} | {names} |")
    count = [f"{total} names are here; {len(OUT_OF_SCOPE)} are out of scope.", ""]
    return "\n".join([*lines[:8], *count, *lines[8:]]) + "\n"

"""``opset.pyi``, the types of ``o.mul`` and all other ops, is written from the records and the samples."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import compiler.ops.all  # noqa: F401
from compiler.ir.op import OPS, REQUIRED, Op, OpSet, o
from tests.samples import sample_graph, samples_of

ATTRIBUTES = {
    "axes": "Sequence[int]",
    "axis": "int",
    "dims": "Sequence[int]",
    "fill": "float",
    "shape": "Sequence[int]",
    "start": "Sequence[int]",
    "step": "Sequence[int]",
    "stop": "Sequence[int]",
    "to": "DType",
}
"""Types of attributes whose default does not tell, by name."""


def results(op: Op) -> str:
    """The type of a call: a value, a tuple of values, or either where the operands decide."""
    if op.is_structure:
        return "Any"
    nodes = [n for sample in samples_of(op.name) for n in sample_graph(sample).nodes]
    counts = {len(n.outputs) for n in nodes if n.op is op}
    if counts == {1}:
        return "Value"
    return f"tuple[{', '.join(['Value'] * counts.pop())}]" if len(counts) == 1 else "Any"


def signature(op: Op) -> str:
    """The parameters of a call: operands by position, attributes by name."""
    operand = "Value" if op.prepare is None else "Operand"
    parts, variadic = [], False
    for parameter in inspect.signature(op.infer).parameters.values():
        if parameter.name in op.attrs or parameter.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        variadic = parameter.kind is inspect.Parameter.VAR_POSITIONAL
        if variadic:
            parts += ["/"] * bool(parts) + [f"*{parameter.name}: {operand}"]
        elif parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            parts.append(f"{parameter.name}: {operand}")
    parts += ["/"] * (bool(parts) and not variadic) + ["*"] * (bool(op.attrs) and not variadic)
    return ", ".join(["self", *parts, *(attribute(name, default) for name, default in op.attrs.items())])


def attribute(name: str, default: object) -> str:
    kind = type(default).__name__ if isinstance(default, int | float | str) else "Any"
    return f"{name}: {ATTRIBUTES.get(name, kind)}" + " = ..." * (default is not REQUIRED)


def stub() -> str:
    head = '''"""The op set, typed. Written by tests/compiler/ir/test_opset.py with --update-golden."""
# fmt: off

from collections.abc import Sequence
from typing import Any

from compiler.ir.graph import Value
from compiler.ir.op import Op
from compiler.ir.types import DType

Operand = Value | float

'''
    ops = [OPS[name] for name in sorted(OPS)]  # whatever was imported first
    records = [f"class _{op.name}(Op):\n    def __call__({signature(op)}) -> {results(op)}: ...\n" for op in ops]
    names = "".join(f"    {op.name}: _{op.name}\n" for op in ops)
    return head + "\n".join(records) + f"\nclass OpSet:\n{names}\no: OpSet\n"


def test_the_stub_is_current(generated: Callable[[str, str], None]) -> None:
    generated("compiler/ir/opset.pyi", stub())


@pytest.mark.parametrize("path", [*Path("compiler").rglob("*.py"), *Path("genesis").rglob("*.py")], ids=str)
def test_rules_name_ops_that_exist(path: Path) -> None:
    """Also in lambdas, which mypy does not look into."""
    used = set(re.findall(r"(?<![\w.])o\.([a-z]\w*)\(", path.read_text()))
    assert used <= OPS.keys() | vars(OpSet).keys(), path


def test_an_op_that_is_not_there_is_named() -> None:
    with pytest.raises(AttributeError, match="no op named 'mull'"):
        o.mull  # type: ignore[attr-defined]  # noqa: B018


def test_few_places_ask_for_the_name_of_an_op() -> None:
    """They ask the record: a new op would be forgotten in lists of names."""
    test = re.compile(r"op\.name (==|!=|in|not in) (?!self\.|ops\b|OPS\b)|(?<![\w.])name (==|!=|in|not in) \(?\"")
    files = Path("compiler").rglob("*.py")
    found = [f"{f}: {line.strip()}" for f in files for line in f.read_text().splitlines() if test.search(line)]
    asked = [line for line in found if "for name in" not in line]
    assert len(asked) < 40, "\n".join(asked)

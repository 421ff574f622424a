"""Names in generated C, by family, so that none can hide another; and those after what the user wrote.

A kernel is called with ``a0, a1, ...`` (what it reads), ``o0, ...`` (what it writes) and ``part0, ...`` (partial
results, by the number of the result). Inside, ``t1, in2, u3`` are values in the order they were first needed, ``sum4``
and ``amax5`` reductions of a row, and ``s0, ...`` the running totals of the results. Coordinates of loops have one
letter, in products ``b0, ...`` for the batch. Templates name their own variables otherwise: none is one of these and a
number, which a test has the C compiler look for (``-Wshadow``). In the step, ``s0_weight`` is a parameter of the graph,
``out0`` a result, ``x0`` a temporary.

Kernels, and what they read and write, then get names like ``layer_norm``, ``grad``, ``exp_avg``. Kernels of one
text are one function, so that its names come from the first node: the second layer's say the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import count

from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import OPS
from compiler.naming import composite, derived

_TAKEN = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while asm typeof "
    "linux unix i386 errno stdin stdout stderr bool true false".split()
).union(dir(math))
"""Words of C, macros that compilers and headers define, and functions of C, most of which Python's ``math`` has."""
_OWN = re.compile(r"(?:a|in|o|part|s|t|u)\d+")
_OPERAND = re.compile(r"\b(?:lanes_|nan_)?((?:[aost]|part)\d+)\b")
_READ = re.compile(r" *const \w+ (t\d+) = (?:\w+_to_f32\()?(\w+)\[([^]]*)\]\)?;")
_STORED = re.compile(r" *(\w+)\[[^]]*\] = (t\d+);")


def kernel_name(node: Node) -> str:
    """A name for the work of a kernel: the composites that its ops come from, or its kind and last op."""
    found = [composite(n) for n in node.inner.nodes if n.inputs and n.op.kind != "view"]
    ops = [n.op.name for n in node.inner.nodes if not n.op.is_free]
    ops = [name for name in ops if not OPS[name].converts] or ops
    kind = node.attrs["kind"]
    composites = list(dict.fromkeys(filter(None, found)))[-2:]
    if not composites:
        return "dot" if kind == "contract" else "_".join(dict.fromkeys((kind, ops[-1] if ops else "copy")))
    return "_".join(composites) + ("_backward" if node.phase == "backward" else "")


def operand_names(node: Node, labels: Mapping[Value, str], text: str) -> dict[str, str]:
    """Names for what the ``text`` of a node's kernel reads, ``a0, ...``, and writes, ``o0, ...``.

    Also for the totals that it keeps, ``s0, ...``, and the partial results that it leaves, ``part0, ...``.

    ``labels`` are the names of the graph's parameters. A value that a kernel of the forward pass makes is called after
    its composite, ``gelu``; a statistic on the way to it after its op, too: ``layer_norm_mean``, ``layer_norm_rsqrt``.
    """
    updates = any(OPS[name].updates for n in node.inner.nodes if (name := composite(n)))
    roles = {f"a{i}": _roles(value, labels, updates) for i, value in enumerate(node.inputs)}
    written = {match[1] for match in _OPERAND.finditer(text)}
    found: dict[str, str] = {}
    for i, value in enumerate(node.outputs):
        whole, total = f"o{i}", f"s{i}"
        roles |= {whole: _made(value), total: _made(value, "_total" if whole in written else "")}
        roles[f"part{i}"] = _parts(found, total, value)
    for place in (place for place in roles if place in written):
        for role in roles[place]:
            name = role.lower() if role.isupper() else role  # macros are in capitals
            if name not in {*_TAKEN, *found.values()} and re.match(r"[A-Za-z]", name) and not _is_own(name):
                found[place] = name
                break
    return found


def _is_own(name: str) -> bool:
    """Whether ``name`` is one of those that kernels give themselves; see above."""
    total = re.fullmatch(r"([a-z_]+)\d+", name)
    return bool(_OWN.fullmatch(name)) or bool(total and total[1] in OPS and OPS[total[1]].kind == "reduce")


def _roles(value: Value, labels: Mapping[Value, str], updates: bool) -> Iterator[str]:
    """Names that a value may have: ``weight`` or ``norm1_weight`` for ``0.norm1.weight``, ``lr`` for ``lr[0]``."""
    label = labels.get(value, "")
    if not label:
        yield from _made(value)
    elif updates and "[" not in label and value.type.size > 1:
        yield "param"
    elif words := [re.sub(r"\W", "_", w) for w in label.split("[")[0].split(".") if not w.isdigit()]:
        yield from (words[-1], "_".join(words[-2:]))


def _parts(found: Mapping[str, str], total: str, value: Value) -> Iterator[str]:
    """Names for partial results, after the ``total`` that they take."""
    yield from [f"{found[total]}_parts"] if total in found else _made(value, "_parts")


def _made(value: Value, end: str = "") -> Iterator[str]:
    """Names for the result of a kernel, the best first, with an ``end``."""
    kernel = value.producer
    if kernel is None or kernel.body is None:
        return
    if kernel.phase == "backward":
        name = "grad" if value.type.size > 1 else ""
    else:
        name = _result(kernel.body, kernel.body.outputs[kernel.outputs.index(value)])
    if name:
        yield from _numbered(f"{name}{end}")


def _numbered(name: str) -> Iterator[str]:
    """``name``, and names for more like it."""
    yield name
    yield from (f"{name}_{n}" for n in count(2))


def _result(body: Graph, value: Value) -> str:
    """The composite that ``value`` is the result of; a smaller value on the way to it is called after its op, too."""
    while (node := value.producer) and node.op.converts:
        value = node.inputs[0]
    whole = composite(node) if node else ""
    largest = max(v.type.size for v in (*body.inputs(), *body.outputs))
    if not node or not whole or value.type.size == largest or any(n.op.anchor for n in body.nodes):
        return whole
    return derived(node)


def renamed(text: str, operands: Mapping[str, str]) -> str:
    """``text`` with the names of ``operands`` for its parameters, unless it uses such a name itself."""
    used = set(re.findall(r"[A-Za-z_]\w*", text))
    return _replaced(text, {a: name for a, name in operands.items() if name not in used})


def with_names_of_elements(text: str, operands: Mapping[str, str]) -> str:
    """``text`` where elements of named ``operands`` are called after these: ``weight_c``, ``new_exp_avg``."""
    named, used = set(operands.values()), set(re.findall(r"[A-Za-z_]\w*", text))
    found: dict[str, str] = {}
    lines = text.split("\n")
    for pattern in (_READ, _STORED):
        for line in lines:
            if match := pattern.fullmatch(line):
                if pattern is _READ:
                    value, source, place = match.groups()
                    name = f"{source}_{''.join(re.findall(r'[a-z]+', place)) or '0'}"
                else:
                    source, value = match.groups()
                    name = f"new_{source}"
                alike = len(set(re.findall(rf"\w+ {value} = .*", text))) == 1
                if source in named and alike and value not in found:
                    found[value] = next(n for n in _numbered(name) if n not in used)
                    used.add(found[value])
    return _replaced(text, found)


def _replaced(text: str, found: Mapping[str, str]) -> str:
    return _OPERAND.sub(lambda m: m[0].replace(m[1], found.get(m[1], m[1])), text) if found else text

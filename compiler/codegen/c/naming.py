"""Names of kernels, and of what they read, after what the user wrote: ``layer_norm``, ``grad``, ``exp_avg``.

Kernels of one text are one function, so that its names are those of the first node: the second layer's say the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from compiler.codegen.c import names
from compiler.ir.graph import Node, Value
from compiler.ir.op import OPS

_TAKEN = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while asm typeof "
    "linux unix i386 errno stdin stdout stderr bool true false".split()
)
"""Words of C, and macros that compilers and headers define."""
_OWN = re.compile(r"(?:a|in|m|o|part|s|t|u)\d+")  # see names.py
_READ = re.compile(r" *const \w+ (t\d+) = (?:\w+_to_f32\()?(\w+)\[([^]]*)\]\)?;")
_STORED = re.compile(r" *(\w+)\[[^]]*\] = (t\d+);")


def kernel_name(node: Node) -> str:
    """What a kernel computes: the composites that its ops come from, or its kind and last op."""
    assert node.body is not None
    found = [_composite(n) for n in node.body.nodes if n.inputs and n.op.kind != "view"]
    ops = [n.op.name for n in node.body.nodes if not n.op.is_free and not n.op.converts]
    kind = node.attrs["kind"]
    composites = list(dict.fromkeys(filter(None, found)))[-2:]
    if not composites:
        return "dot" if kind == "contract" else "_".join(dict.fromkeys((kind, ops[-1] if ops else "copy")))
    return "_".join(composites) + ("_backward" if node.phase == "backward" else "")


def _composite(node: Node) -> str:
    """The composite that a node was written as, or ""."""
    words = [*node.loc.note.split(), node.op.name]
    return next((w for w in words if w in OPS and OPS[w].expand is not None), "")


def operand_names(node: Node, labels: Mapping[Value, str]) -> dict[str, str]:
    """Names for the parameters ``a0, ...`` of a node's kernel; ``labels`` are the names of the graph's parameters."""
    assert node.body is not None
    updates = any(OPS[name].updates for n in node.body.nodes if (name := _composite(n)))
    found: dict[str, str] = {}
    for i, value in enumerate(node.inputs):
        for role in _roles(value, labels, updates):
            name = role.lower() if role.isupper() else role  # macros are in capitals
            if name not in {*_TAKEN, *found.values()} and re.match(r"[A-Za-z]", name) and not _OWN.fullmatch(name):
                found[names.operand(i)] = name
                break
    return found


def _roles(value: Value, labels: Mapping[Value, str], updates: bool) -> list[str]:
    """What a value may be called: ``weight`` or ``norm1_weight`` for ``0.norm1.weight``, ``lr`` for ``lr[0]``."""
    label = labels.get(value, "")
    if not label:
        backward = value.producer is not None and value.producer.phase == "backward" and value.type.size > 1
        return ["grad", "grad_2", "grad_3"] if backward else []
    words = [re.sub(r"\W", "_", w) for w in label.split("[")[0].split(".") if not w.isdigit()]
    if updates and "[" not in label and value.type.size > 1:
        return ["param"]
    return [words[-1], "_".join(words[-2:])] if words else []


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
                once = len(re.findall(rf"\w+ {value} = ", text)) == 1
                if source in named and once and value not in found and name not in used:
                    found[value] = name
                    used.add(name)
    return _replaced(text, found)


def _replaced(text: str, found: Mapping[str, str]) -> str:
    return re.sub(r"\b[at]\d+\b", lambda m: found.get(m[0], m[0]), text) if found else text

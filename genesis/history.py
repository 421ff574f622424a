"""Walking back from results to what they were computed from: gradients of values, eager and while recording.

Eager, the nodes an op leaves behind are pulled back at once. While a step is being recorded, gradients are ``grad``
nodes. Where Python has a say (hooks, custom functions, gradients of inner values) the way back is cut: one ``grad``
node leads to the cut, Python runs there, another ``grad`` node goes on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from math import inf
from typing import Any

from compiler.errors import AutogradError
from compiler.ir.builder import Call, constant
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import Op, o
from compiler.ops.structure import made_by
from compiler.ops.vjp import pull_back
from compiler.pipeline import differentiated
from genesis.anomaly import Anomalies, check
from genesis.context import current_recording, grad_mode, session
from genesis.eager.calls import Taped
from genesis.memory.cells import Hook, changes
from genesis.memory.values import held
from genesis.saved import check_saved, reached_from

Grads = dict[Value, Value]
PullBack = Callable[[Sequence[Value | None]], Sequence[Value | None]]

SECOND_BACKWARD = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been "
    "freed). Specify retain_graph=True if you need to backward through the graph a second time"
)


class Ended(Node):
    """A node at which the way back ends with an error: the history behind it is gone, or cannot be."""

    __slots__ = ("message",)

    def __init__(self, message: str) -> None:
        super().__init__(Op("ended", lambda: (), "grad"), (), (), {})
        self.message = message


_FREED = Ended(SECOND_BACKWARD)


class Handle:
    """Takes a hook away again."""

    _ids = itertools.count()

    def __init__(self, hooks: dict[float, Hook], hook: Hook, last: bool = False) -> None:
        self._hooks = hooks
        self.id = inf if last else next(self._ids)
        hooks[self.id] = hook

    def remove(self) -> None:
        """Unregister the hook; does nothing the second time."""
        if self._hooks.pop(self.id, None) is not None:
            changes.tick()

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.remove()


def add_hook(value: Value, hook: Hook, last: bool = False) -> Handle:
    """Call ``hook`` with the finished gradient of ``value``; what it returns, unless None, replaces the gradient.

    ``last``: after all others of the value.
    """
    recording, leaf = current_recording(), held(value).leaf
    if recording is not None:
        return Handle(recording.hooks.setdefault(leaf or value, {}), hook, last)
    if leaf is not None:
        leaf.hooks = {} if leaf.hooks is None else leaf.hooks
        handle = Handle(leaf.hooks, hook, last)
        changes.tick()
        return handle
    node = value.producer
    assert isinstance(node, Taped)
    node.hooks = {} if node.hooks is None else node.hooks
    return Handle(node.hooks.setdefault(value, {}), hook, last)


def _hooks(value: Value, border: bool = False) -> list[Hook]:
    """The hooks of ``value`` in order; at the ``border`` of a step, only those put on inside of it."""
    recording, leaf = current_recording(), held(value).leaf
    node = value.producer
    found: dict[float, Hook] = {}
    if leaf is not None and not border:
        found |= leaf.hooks or {}
    if recording is not None:
        found |= recording.hooks.get(leaf or value, {})
    elif isinstance(node, Taped) and node.hooks is not None:
        found |= node.hooks.get(value, {})
    return [found[place] for place in sorted(found)]


def _hooked(value: Value, g: Value, border: bool = False) -> Value:
    for hook in _hooks(value, border):
        changed = hook(g)
        g = g if changed is None else changed
    return g


def custom(name: str, inputs: Sequence[Value], results: Sequence[Value], pull: PullBack) -> list[Value]:
    """``results`` as values whose gradients ``pull`` takes back to ``inputs``."""
    op = Op(name, lambda *types: types, "composite", vjp=lambda o, node, *grads: pull(grads))
    recording = current_recording()
    types = tuple(v.type for v in results)
    if recording is None:
        taped = Taped(Call(op, tuple(inputs), types, {}))
        for value, result in zip(taped.outputs, results, strict=True):
            value.data, value.requires_grad = held(result).data, True
        return list(taped.outputs)
    node = Node(op, tuple(inputs), (), {})
    with grad_mode(False):
        made = [held(o.detach(v)) for v in results]
    for value in made:
        value.requires_grad, value.cut = True, False
        recording.customs[value] = node
    node.outputs = tuple(made)
    return list(node.outputs)


def _is_leaf(value: Value) -> bool:
    return held(value).leaf is not None


# Walking


def producer(value: Value) -> Node | None:
    """The node that a gradient of ``value`` goes back through."""
    recording = current_recording()
    return value.producer if recording is None else recording.customs.get(value, value.producer)


def history(roots: Sequence[Value], stops: frozenset[Value] = frozenset()) -> tuple[list[Node], list[Value]]:
    """The nodes that ``roots`` were computed by, in program order, and the leaves and ``stops`` they start from."""
    recording = current_recording()
    freed = () if recording is None else recording.freed
    order: list[Node] = []
    ends: dict[Value, None] = {}
    seen: set[Node] = set()
    stack: list[tuple[Node, Iterator[Value]]] = []

    def visit(value: Value) -> None:
        asked = held(value)
        if not asked.requires_grad:
            return
        node = producer(value)
        if asked.leaf is not None or value in stops:
            ends[value] = None
        elif isinstance(node, Ended):
            raise AutogradError(node.message)
        elif node in freed:
            raise AutogradError(SECOND_BACKWARD)
        elif node is not None and node not in seen:
            seen.add(node)
            stack.append((node, iter(node.inputs)))

    for root in roots:
        visit(root)
        while stack:
            node, inputs = stack[-1]
            following = next(inputs, None)
            if following is None:
                order.append(node)
                stack.pop()
            else:
                visit(following)
    return order, list(ends)


def need_history(roots: Sequence[Value]) -> tuple[list[Node], list[Value]]:
    """:func:`history`, or PyTorch's error where there is none."""
    for i, root in enumerate(roots):
        if not held(root).requires_grad:
            raise AutogradError(f"element {i} of tensors does not require grad and does not have a grad_fn")
    return history(roots)


# Gradients


def seed_for(root: Value, given: Value | None, index: int = 0) -> Value | None:
    """``given`` as the weights of ``root``'s elements."""
    if given is None:
        return None
    if given.shape != root.shape:
        raise AutogradError(
            f"Mismatch in shape: grad_output[{index}] has a shape of {list(given.shape)} and output[{index}] has a "
            f"shape of {list(root.shape)}."
        )
    return given if given.dtype is root.dtype else o.cast(given, to=root.dtype)


def gradients(
    roots: Sequence[Value], seeds: Sequence[Value | None], wrt: Sequence[Value], create_graph: bool, retain: bool
) -> list[Value | None]:
    """The gradients of ``wrt``: None where ``roots`` do not depend on it. A seed None is one, for a single element."""
    for root, seed in zip(roots, seeds, strict=True):
        if root.type.size != 1 and seed is None:
            raise AutogradError(
                f"grad can be implicitly created only for scalar outputs; the output has shape {list(root.shape)}"
            )
    nodes, _ = history(roots)
    needed = reached_from(wrt, nodes)
    check_saved(nodes, needed)
    with grad_mode(create_graph):
        if current_recording() is None:
            found = _pulled(roots, seeds, wrt, nodes, needed)
        else:
            found = _recorded(roots, seeds, wrt, nodes)
    if not (retain or create_graph):
        _free([n for n in nodes if n.op.kind != "view" and not needed.isdisjoint(n.inputs)])
    return [found.get(v) for v in wrt]


def _free(nodes: Sequence[Node]) -> None:
    """Let no other backward pass go through ``nodes``. Views, which save nothing, are left out, as in PyTorch."""
    recording = current_recording()
    if recording is not None:
        recording.freed.update(nodes)
        return
    for node in nodes:
        for value in node.outputs:
            value.producer = _FREED
        node.inputs = ()


def _ones(root: Value) -> Value:
    return o.expand(constant(1.0, root.dtype), shape=root.shape)


def _add(adjoints: Grads, value: Value, g: Value) -> None:
    adjoints[value] = o.add(adjoints[value], g) if value in adjoints else g


def _pulled(
    roots: Sequence[Value],
    seeds: Sequence[Value | None],
    wrt: Sequence[Value],
    nodes: Sequence[Node],
    needed: set[Value],
) -> Grads:
    """The gradients of ``wrt``, computed at once. ``needed``: ``wrt`` and all that ``nodes`` computed from them."""
    adjoints: Grads = {}
    for root, seed in zip(roots, seeds, strict=True):
        _add(adjoints, root, _ones(root) if seed is None else seed)
    for node in reversed(nodes):
        for value in node.outputs:
            if value in adjoints:
                adjoints[value] = _hooked(value, adjoints[value])
        _pull(node, adjoints, needed)
        if Anomalies.on:
            check(node, adjoints)
    return {v: _hooked(v, g) if _is_leaf(v) else g for v, g in adjoints.items() if v in wrt}


def _pull(node: Node, adjoints: Grads, needed: set[Value]) -> None:
    """:func:`pull_back` through one node; as a piece where no gradient of the gradient is asked for."""
    here = session()
    if isinstance(node, Taped) and node.known is not None and not here.grad_enabled and here.autocast is None:
        wanted = tuple([v in needed for v in node.inputs])
        grads = [adjoints.get(v) for v in node.outputs]
        given = tuple([g is not None for g in grads])
        if True not in wanted or True not in given:
            return
        back = node.known.back(wanted, given)
        if back is not None:
            for value, g in back(node, grads):
                _add(adjoints, value, g)
            return
    pull_back([node], adjoints, needed.__contains__)


def at_border(roots: Sequence[Value], seeds: Sequence[Value], leaves: Sequence[Value]) -> list[Value | None]:
    """The gradients of ``leaves``, as they leave a step that is being recorded: to be hooked and added up outside."""
    nodes, _ = history(roots)
    check_saved(nodes, reached_from(leaves, nodes))
    with grad_mode(False):
        found = _recorded(roots, seeds, leaves, nodes, border=True)
    return [found.get(v) for v in leaves]


def _recorded(
    roots: Sequence[Value],
    seeds: Sequence[Value | None],
    wrt: Sequence[Value],
    nodes: Sequence[Node],
    border: bool = False,
) -> Grads:
    """The gradients of ``wrt`` as results of ``grad`` nodes, one for each stretch between cuts."""
    if len(roots) > 1:
        roots, seeds = [_weighed_sum(roots, seeds)], [None]
        nodes, _ = history(roots)
    needed = reached_from(wrt, nodes)
    cuts = frozenset(v for v in _cuts(nodes, wrt) if v in needed and not _is_leaf(v))
    adjoints: Grads = {}
    (root,), (seed,) = roots, seeds
    if seed is not None or root in cuts or _is_leaf(root) or any(_hooks(root)):
        adjoints[root] = _ones(root) if seed is None else seed
    for node in reversed(nodes):
        for value in node.outputs:
            if value in adjoints:
                adjoints[value] = _hooked(value, adjoints[value])
        if node in _customs():
            pull_back([node], adjoints, needed.__contains__)
        if Anomalies.on:
            check(node, adjoints)
            continue
        for value in node.outputs:
            if value in adjoints or value is root:
                ends = [v for v in history([value], cuts - {value})[1] if v in needed]
                for end, g in zip(ends, _grad(value, adjoints.get(value), ends), strict=True):
                    _add(adjoints, end, g)
    if any(node.op.kind == "grad" for node in nodes):
        adjoints = _reached(adjoints)
    return {v: _hooked(v, g, border) if _is_leaf(v) else g for v, g in adjoints.items() if v in wrt}


def _reached(adjoints: Grads) -> Grads:
    """``adjoints`` without those that are zero since nothing leads there.

    The gradient of a gradient does not depend on all that the first result depends on, and only the pass that expands
    ``grad`` nodes knows on what.
    """
    recording = current_recording()
    assert recording is not None
    graph = Graph("", recording.graph.params, list(recording.builder.nodes), [], list(adjoints.values()))
    expanded = differentiated(graph).outputs
    there = [made_by(v, "zeros") is None for v in expanded]
    return {v: g for (v, g), found in zip(adjoints.items(), there, strict=True) if found}


def _customs() -> set[Node]:
    recording = current_recording()
    return set() if recording is None else set(recording.customs.values())


def _cuts(nodes: Sequence[Node], wrt: Sequence[Value]) -> Iterator[Value]:
    """Values where the gradient must be seen whole before it goes on."""
    yield from wrt
    customs = _customs()
    for node in nodes:
        for value in node.outputs:
            if node in customs or any(_hooks(value)):
                yield value
        if node in customs:
            yield from node.inputs


def _grad(root: Value, seed: Value | None, ends: Sequence[Value]) -> list[Value]:
    """One ``grad`` node."""
    if not ends:
        return []
    found = o.grad(root, *(() if seed is None else (seed,)), *ends, seed=seed is not None)
    values = [held(v) for v in (found if isinstance(found, tuple) else (found,))]
    keeps = session().grad_enabled
    for value in values:
        value.requires_grad, value.cut = keeps, not keeps
    return list(values)


def _weighed_sum(roots: Sequence[Value], seeds: Sequence[Value | None]) -> Value:
    """A scalar whose gradient is the gradient of all ``roots`` together."""
    with grad_mode(True):
        parts = [
            o.sum(root if seed is None else o.mul(root, seed), axes=tuple(range(root.type.rank)))
            for root, seed in zip(roots, seeds, strict=True)
        ]
        return reduce(o.add, parts)

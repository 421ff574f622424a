"""``backward`` and ``grad``, eager and while a step is being recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ContextDecorator
from typing import Any

from compiler.errors import AutogradError
from compiler.ir.builder import constant
from compiler.ir.graph import Node, Value
from compiler.ir.op import o
from compiler.vjp import pull_back
from genesis.context import Taped, current_recording, grad_mode, session


class _GradMode(ContextDecorator):
    """Context manager and decorator that sets the grad mode."""

    enabled = True

    def __enter__(self) -> None:
        self._open = grad_mode(self.enabled)
        self._open.__enter__()

    def __exit__(self, *exc: Any) -> None:
        self._open.__exit__(*exc)

    def _recreate_cm(self) -> _GradMode:
        return type(self)()


class no_grad(_GradMode):
    """Ops inside keep no history: their results do not require a gradient."""

    enabled = False


class enable_grad(_GradMode):
    """Ops inside keep history again, within a ``no_grad`` block."""


class inference_mode(no_grad):
    """The same as :class:`no_grad`."""


class set_grad_enabled(_GradMode):
    """Switch history on or off by a flag; takes effect at once, and as a context manager until its end."""

    def __init__(self, mode: bool) -> None:
        self._before = session().grad_enabled
        self.enabled = mode
        session().grad_enabled = mode

    def __exit__(self, *exc: Any) -> None:
        super().__exit__(*exc)
        session().grad_enabled = self._before

    def _recreate_cm(self) -> _GradMode:
        return set_grad_enabled(self.enabled)


def is_grad_enabled() -> bool:
    """Whether ops keep history here."""
    return session().grad_enabled


_FREED = Node.__new__(Node)


def history(root: Value) -> tuple[list[Node], list[Value]]:
    """The nodes ``root`` was computed by, in program order, and the leaves they start from."""
    order: list[Node] = []
    leaves: dict[Value, None] = {}
    seen: set[Node] = set()
    stack: list[tuple[Node, Iterator[Value]]] = []

    def visit(value: Value) -> None:
        if not value.requires_grad:
            return
        if value.leaf is not None:
            leaves[value] = None
        elif value.producer is _FREED:
            raise AutogradError(
                "Trying to backward through the graph a second time (or directly access saved tensors after they have "
                "already been freed). Specify retain_graph=True if you need to backward through the graph a second time"
            )
        elif value.producer is not None and value.producer not in seen:
            seen.add(value.producer)
            stack.append((value.producer, iter(value.producer.inputs)))

    visit(root)
    while stack:
        node, inputs = stack[-1]
        following = next(inputs, None)
        if following is None:
            order.append(node)
            stack.pop()
        else:
            visit(following)
    return order, list(leaves)


def _check_ages(nodes: Sequence[Node]) -> None:
    for node in nodes:
        for cell, age in node.ages if isinstance(node, Taped) else ():
            if cell.age() != age:
                raise AutogradError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: "
                    f"{cell.label or 'a tensor'} {cell.type} was updated by a compiled step after {node.op.name} read it"
                )


def gradients(
    root: Value, seed: Value | None, wrt: Sequence[Value], nodes: Sequence[Node], create_graph: bool, retain: bool
) -> list[Value | None]:
    """The adjoints of ``wrt``: computed at once, or recorded as one ``grad`` node."""
    if root.type.size != 1 and seed is None:
        raise AutogradError(f"grad can be implicitly created only for scalar outputs; the output has shape {list(root.shape)}")
    if current_recording() is not None:
        with grad_mode(create_graph):
            found = o.grad(root, *(() if seed is None else (seed,)), *wrt, seed=seed is not None)
        return list(found) if isinstance(found, tuple) else [found]
    _check_ages(nodes)
    needed: set[Value] = set(wrt)
    for node in nodes:
        if any([v in needed for v in node.inputs]):
            needed.update(node.outputs)
    with grad_mode(create_graph):
        adjoints = {root: seed if seed is not None else o.expand(constant(1.0, root.dtype), shape=root.shape)}
        pull_back([n for n in nodes if not set(wrt).intersection(n.outputs)], adjoints, needed.__contains__)
    if not (retain or create_graph):
        for node in nodes:
            for value in node.outputs:
                value.producer = _FREED
            node.inputs = ()
    return [adjoints.get(v) for v in wrt]


def need_history(root: Value) -> tuple[list[Node], list[Value]]:
    """:func:`history`, or PyTorch's error when there is none."""
    if not root.requires_grad:
        raise AutogradError("element 0 of tensors does not require grad and does not have a grad_fn")
    return history(root)

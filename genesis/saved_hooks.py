"""Hooks on what eager ops keep for their gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, contextmanager
from dataclasses import replace
from typing import Any

from compiler.errors import AutogradError, TraceError
from compiler.ir.builder import Call
from compiler.ir.graph import Node, Value
from compiler.ir.location import here, user_location
from compiler.ir.op import OpSet, o
from genesis.context import current_recording, grad_mode, session
from genesis.eager.calls import EagerBuilder, Taped
from genesis.eager.known import Known
from genesis.history import custom
from genesis.memory.values import TensorValue
from genesis.saved import saved_by
from genesis.tensor import Tensor, wrap

_refusals: list[str] = []


class saved_tensors_hooks(ContextDecorator):
    """Ops inside keep ``pack_hook(tensor)`` for their gradients, which compute with ``unpack_hook`` of that.

    Both get one argument; ``unpack_hook`` gives a tensor of the same shape and dtype. It concerns eager ops that have a
    gradient rule, and what a :class:`~genesis.autograd.Function` saves. The innermost of nested ones counts. A compiled
    step decides itself what it keeps, and computes the rest again: TraceError inside of one.
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> saved_tensors_hooks:
        builder = session()
        if not isinstance(builder, EagerBuilder):
            raise TraceError(
                f"{type(self).__name__} in a step that is being compiled\n  at {user_location()}\n  the compiled step "
                "decides what it keeps; compile with activation_memory= for a limit, or use utils.checkpoint"
            )
        if _refusals:
            raise AutogradError(here(_refusals[-1]))
        self._builder, self._before = builder, vars(builder).get("emit")
        vars(builder)["emit"] = self._emit
        return self

    def __exit__(self, *exc: Any) -> None:
        _put_back(self._builder, self._before)

    def _emit(self, call: Call, known: Known | None = None) -> tuple[TensorValue, ...]:
        outputs = EagerBuilder.emit(self._builder, call, known)
        node = outputs[0].producer if outputs else None
        if isinstance(node, Taped) and node.op is call.op and call.op.vjp is not None:
            self._pack(node)
        return outputs

    def _pack(self, node: Taped) -> None:
        """Keep what the hook gives, and let the gradient of ``node`` read that."""
        op, inputs, outputs, attrs, body = node.op, node.inputs, node.outputs, node.attrs, node.body
        saved = saved_by(node, {v for v in inputs if v.requires_grad})
        packed = {v: self.packed(v) for v in (*inputs, *outputs) if v in saved}

        def pull(o: OpSet, _: Node, *grads: Value | None) -> Any:
            known = {value: unpacked() for value, unpacked in packed.items()}
            stand_in = Node(op, tuple([known.get(v, v) for v in inputs]), (), attrs, body)
            stand_in.outputs = tuple([known.get(v, v) for v in outputs])
            assert op.vjp is not None
            return op.vjp(o, stand_in, *grads)

        node.op, node.known = replace(op, vjp=pull), None

    def packed(self, value: TensorValue) -> Callable[[], Value]:
        """The way to get ``value`` back from what the hook keeps of it."""
        with _without_hooks(self._builder):
            kept = self.pack_hook(wrap(o.detach(value)))
        return lambda: self._unpacked(value, kept)

    def _unpacked(self, value: TensorValue, kept: Any) -> Value:
        with grad_mode(False):
            tensor = self.unpack_hook(kept)
        if not isinstance(tensor, Tensor) or tensor._type != value.type:
            shown = tensor._type if isinstance(tensor, Tensor) else type(tensor).__name__
            raise AutogradError(here(f"unpack_hook: a tensor {value.type} was packed, and {shown} came out of it"))
        if not (session().grad_enabled and value.requires_grad):
            return tensor.value
        return custom("unpack", [value], [tensor.value], lambda grads: grads)[0]


def innermost() -> saved_tensors_hooks | None:
    """The hooks that count now."""
    emit = vars(session()).get("emit")
    return None if emit is None else emit.__self__


class save_on_cpu(saved_tensors_hooks):
    """Eager ops keep everything for their gradients on the CPU, so that nothing changes."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda x: x, lambda x: x)

    def __enter__(self) -> save_on_cpu:
        if current_recording() is not None:
            super().__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        pass


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """A context in which :class:`saved_tensors_hooks` raise RuntimeError with this message."""
    _refusals.append(error_message)
    try:
        yield
    finally:
        _refusals.pop()


@contextmanager
def _without_hooks(builder: EagerBuilder) -> Iterator[None]:
    """Ops inside run plainly and keep no history."""
    before = vars(builder).pop("emit", None)
    try:
        with grad_mode(False):
            yield
    finally:
        _put_back(builder, before)


def _put_back(builder: EagerBuilder, emit: Any) -> None:
    if emit is None:
        vars(builder).pop("emit", None)
    else:
        vars(builder)["emit"] = emit

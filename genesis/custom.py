"""Functions with a backward pass written by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from compiler.errors import AutogradError, UndefinedError
from compiler.ir.graph import Value
from compiler.ir.op import o
from genesis.context import grad_mode, session
from genesis.history import custom
from genesis.memory.values import held
from genesis.saved_hooks import innermost
from genesis.tensor import Tensor, wrap


class Context:
    """The ``ctx`` of :class:`Function`, in which ``forward`` leaves things for ``backward``; any attribute may be set.

    Attributes:
        needs_input_grad: for each argument of ``forward``, whether its gradient is wanted.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._saved: list[tuple[Tensor | None, Value | None]] = []
        self._packed: list[Callable[[], Value] | None] | None = None
        self._constant: tuple[Tensor, ...] = ()
        self._materialize = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep arguments or results of ``forward``."""
        self._saved = [(t, None if t is None else t.value) for t in tensors]

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What :meth:`save_for_backward` kept; raises RuntimeError for one that was written in place since.

        Where :class:`~genesis.autograd.graph.saved_tensors_hooks` packed them, what comes out of these.
        """
        if self._packed is not None:
            return tuple(None if unpacked is None else wrap(unpacked()) for unpacked in self._packed)
        for tensor, value in self._saved:
            if tensor is not None and tensor.value is not value:
                raise AutogradError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: "
                    f"a saved tensor of type {tensor._type}"
                )
        return tuple(tensor for tensor, _ in self._saved)

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Results that carry no gradient."""
        self._constant = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` gets zeros (the default) or None for results that nothing depends on."""
        self._materialize = value

    def _exchange(self, made: dict[int, Tensor]) -> None:
        """Saved results of ``forward`` become those that have a history; hooks pack all that is saved."""
        for i, (tensor, _) in enumerate(self._saved):
            if id(tensor) in made:
                self._saved[i] = made[id(tensor)], made[id(tensor)].value
        hooks = innermost()
        if hooks is not None:
            self._packed = [None if value is None else hooks.packed(held(value)) for _, value in self._saved]
            self._saved = []


class Function:
    """A function with its own gradient, called by :meth:`apply`.

    A subclass defines the static methods ``forward(ctx, *args)`` and ``backward(ctx, *grads)``, which returns a
    gradient (or None) for every argument; or ``forward(*args)`` with ``setup_context(ctx, inputs, output)``. Ops in
    ``forward`` keep no history of their own. Inside a compiled step both become part of the step.
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise UndefinedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        raise UndefinedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise UndefinedError("You must implement the backward method for your custom autograd.Function.")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """The result of ``forward``, differentiable by ``backward``."""
        needs = tuple(isinstance(x, Tensor) and x.requires_grad for x in args)
        ctx = Context(needs)
        with grad_mode(False):
            if cls.setup_context is Function.setup_context:
                result = cls.forward(ctx, *args)
            else:
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
        if not (session().grad_enabled and any(needs)):
            return result
        results = result if isinstance(result, tuple) else (result,)
        traced = [
            x for x in results if isinstance(x, Tensor) and x.dtype.is_floating_point and not _is_in(x, ctx._constant)
        ]
        inputs = [x.value for x in args if isinstance(x, Tensor)]

        def pull(grads: Sequence[Value | None]) -> list[Value | None]:
            by_result = {id(x): g for x, g in zip(traced, grads, strict=True)}
            return cls._pull(ctx, args, [_filled(by_result.get(id(x)), x, ctx._materialize) for x in results])

        values = custom(cls.__name__, inputs, [x.value for x in traced], pull)
        made = {id(old): wrap(new) for old, new in zip(traced, values, strict=True)}
        ctx._exchange(made)
        outputs = tuple(made.get(id(x), x) for x in results)
        return outputs if isinstance(result, tuple) else outputs[0]

    @classmethod
    def _pull(cls, ctx: Context, args: Sequence[Any], given: Sequence[Tensor | None]) -> list[Value | None]:
        found = cls.backward(ctx, *given)
        found = found if isinstance(found, tuple) else (found,)
        if len(found) != len(args):
            raise AutogradError(
                f"function {cls.__name__}Backward returned an incorrect number of gradients "
                f"(expected {len(args)}, got {len(found)})"
            )
        return [_checked(cls, g, x) for g, x in zip(found, args, strict=True) if isinstance(x, Tensor)]


def _is_in(tensor: Tensor, tensors: Sequence[Tensor]) -> bool:
    return any(tensor is t for t in tensors)


def _filled(g: Value | None, result: Any, materialize: bool) -> Tensor | None:
    """The gradient that ``backward`` gets for a result."""
    if g is not None:
        return wrap(g)
    if not materialize or not isinstance(result, Tensor):
        return None
    return wrap(o.zeros(shape=tuple(result.shape), dtype=result.dtype))


def _checked(function: type[Function], g: Tensor | None, x: Tensor) -> Value | None:
    """A gradient in the type of its argument."""
    if g is None or not x.requires_grad:
        return None
    if g.shape != x.shape:
        raise AutogradError(
            f"Function {function.__name__}Backward returned an invalid gradient: got {list(g.shape)} but expected "
            f"shape compatible with {list(x.shape)}"
        )
    return g.value if g.dtype is x.dtype else o.cast(g.value, to=x.dtype)

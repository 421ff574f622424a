"""Grad modes, gradients as values, custom functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ContextDecorator
from functools import reduce, wraps
from inspect import isgeneratorfunction
from typing import Any, TypeVar, overload

import numpy as np

from compiler.errors import AutogradError, MisuseError
from compiler.ir.graph import Value
from compiler.ir.op import o
from genesis.anomaly import Anomalies
from genesis.context import current_recording, session
from genesis.context import grad_mode as _grad_mode
from genesis.custom import Context, Function
from genesis.functions.creation import randn_like, zeros_like
from genesis.functions.shapes import stack
from genesis.gradients import accumulate
from genesis.history import gradients, need_history, seed_for
from genesis.memory.values import held
from genesis.misuse import explained
from genesis.saved_hooks import disable_saved_tensors_hooks as disable_saved_tensors_hooks
from genesis.saved_hooks import save_on_cpu as save_on_cpu
from genesis.saved_hooks import saved_tensors_hooks as saved_tensors_hooks
from genesis.scope import ANSWERED, eager_only
from genesis.tensor import Tensor, from_array, wrap

__all__ = [
    "Function",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_multithreading_enabled",
]


F = TypeVar("F", bound=Callable[..., Any])
Mode = TypeVar("Mode", bound="_GradMode")


class _GradMode(ContextDecorator):
    """Context manager and decorator that sets the grad mode. A generator that it decorates runs in the mode, too."""

    enabled = True

    def __enter__(self) -> None:
        here = session()
        self._left, here.grad_enabled = (here, here.grad_enabled), self.enabled

    def __exit__(self, *exc: Any) -> None:
        here, enabled = self._left
        here.grad_enabled = enabled

    def _recreate_cm(self) -> _GradMode:
        return type(self)()

    def __call__(self, func: F) -> F:
        if not isgeneratorfunction(func):
            return super().__call__(func)

        @wraps(func)
        def generator(*args: Any, **kwargs: Any) -> Any:
            steps, sent = func(*args, **kwargs), None
            while True:
                try:
                    with self._recreate_cm():
                        item = steps.send(sent)
                except StopIteration as end:
                    return end.value
                sent = yield item

        return generator  # type: ignore[return-value]


class _Bare(_GradMode):
    """A mode that decorates without parentheses as well: ``@no_grad``."""

    @overload
    def __new__(cls: type[Mode], func: None = None) -> Mode: ...
    @overload
    def __new__(cls, func: Callable[..., Any]) -> Any: ...
    def __new__(cls, func: Any = None) -> Any:
        made = super().__new__(cls)
        return made if func is None else made(func)


class no_grad(_Bare):
    """Ops inside keep no history: their results do not require a gradient."""

    enabled = False


class enable_grad(_Bare):
    """Ops inside keep history again, within a ``no_grad`` block."""


class inference_mode(_GradMode):
    """The same as :class:`no_grad`; ``inference_mode(False)`` keeps history."""

    @overload
    def __new__(cls: type[Mode], mode: bool = True) -> Mode: ...
    @overload
    def __new__(cls, mode: Callable[..., Any]) -> Any: ...
    def __new__(cls, mode: Any = True) -> Any:
        made = super().__new__(cls)
        made.enabled = not mode if isinstance(mode, bool) else False
        return made if isinstance(mode, bool) else made(mode)

    def __init__(self, mode: Any = True) -> None:
        pass

    def _recreate_cm(self) -> inference_mode:
        return inference_mode(not self.enabled)


class set_grad_enabled(_GradMode):
    """Switch history on or off by a flag; takes effect at once, as a context manager until its end.

    As a decorator it concerns the decorated function only.
    """

    def __init__(self, mode: bool) -> None:
        self._before = session().grad_enabled
        self.enabled = mode
        session().grad_enabled = mode

    def __exit__(self, *exc: Any) -> None:
        super().__exit__(*exc)
        session().grad_enabled = self._before

    def __call__(self, func: Any) -> Any:
        session().grad_enabled = self._before
        return super().__call__(func)

    def _recreate_cm(self) -> set_grad_enabled:
        return set_grad_enabled(self.enabled)


def is_grad_enabled() -> bool:
    """Whether ops keep history here."""
    return session().grad_enabled


class set_detect_anomaly:
    """Look for NaN in backward passes from here on, or not; as a context manager until its end.

    An eager ``backward()`` then raises RuntimeError at the first gradient that is not a number, with the line of the op
    whose gradient it is. Compiled steps have ``@genesis.compile(check_numerics=True)`` for it.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        if mode and current_recording() is not None:
            raise MisuseError("detect_anomaly looks at eager gradients; use @genesis.compile(check_numerics=True)")
        self._before = Anomalies.on, Anomalies.nan
        Anomalies.on, Anomalies.nan = mode, check_nan

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: Any) -> None:
        Anomalies.on, Anomalies.nan = self._before


class detect_anomaly(set_detect_anomaly):
    """``set_detect_anomaly(True)`` as a context manager."""

    def __init__(self, check_nan: bool = True) -> None:
        self._check_nan = check_nan

    def __enter__(self) -> None:
        super().__init__(True, self._check_nan)


def is_anomaly_enabled() -> bool:
    """Whether backward passes look for NaN."""
    return Anomalies.on


# Gradients as values

Tensors = Tensor | Sequence[Tensor]


def _several(given: Any, count: int = 1) -> list[Any]:
    if given is None:
        return [None] * count
    return [given] if isinstance(given, Tensor) else list(given)


def backward(
    tensors: Tensors,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Add the gradients of ``tensors``, weighed by ``grad_tensors``, to the ``.grad`` of every leaf they depend on.

    With ``inputs``, to those leaves only. ``grad_variables`` is the old name of ``grad_tensors``.
    """
    roots = _several(tensors)
    weights = grad_tensors if grad_variables is None else grad_variables
    accumulate(roots, _several(weights, len(roots)), retain_graph, create_graph, inputs)


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of ``outputs``, weighed by ``grad_outputs`` and summed, with respect to each of ``inputs``.

    ``create_graph`` makes them differentiable. Raises RuntimeError for an input that no output depends on;
    with ``allow_unused`` its gradient is None, with ``materialize_grads`` zeros. ``is_grads_batched``: the weights have
    one more dimension in front, and so have the gradients, one backward pass for each of its entries. ``only_inputs``
    changes nothing.
    """
    if materialize_grads and allow_unused is False:
        raise AutogradError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: False."
        )
    unused = materialize_grads or bool(allow_unused)
    if is_grads_batched:
        several = _several(grad_outputs)
        rows = [
            grad(outputs, inputs, [w[i] for w in several], True, create_graph, True, unused, False, materialize_grads)
            for i in range(len(several[0]))
        ]
        with _grad_mode(create_graph):
            return tuple([None if c[0] is None else stack(c) for c in zip(*rows, strict=True)])
    found = _gradients(outputs, inputs, grad_outputs, retain_graph, create_graph, unused)
    if materialize_grads:
        return tuple([zeros_like(x) if g is None else g for g, x in zip(found, _several(inputs), strict=True)])
    return found


def _gradients(
    outputs: Tensors, inputs: Tensors, grad_outputs: Any, retain_graph: bool | None, create_graph: bool, unused: bool
) -> tuple[Tensor | None, ...]:
    roots, wanted = [t.value for t in _several(outputs)], [t.value for t in _several(inputs)]
    weights = _several(grad_outputs, len(roots))
    seeds = [
        seed_for(r, None if w is None else w.value, i) for i, (r, w) in enumerate(zip(roots, weights, strict=True))
    ]
    if not all(v.requires_grad for v in wanted):
        raise AutogradError("One of the differentiated Tensors does not require grad")
    _, leaves = need_history(roots)
    # A leaf that was updated on the way has one value for each time it was read.
    places = [[leaf for leaf in leaves if held(leaf).leaf is v.leaf] if v.leaf is not None else [v] for v in wanted]
    flat = [v for place in places for v in place]
    retain = create_graph if retain_graph is None else retain_graph
    found = dict(zip(flat, gradients(roots, seeds, flat, create_graph, retain), strict=True))
    return tuple(_sum_of([found[v] for v in place], create_graph, unused) for place in places)


def _sum_of(parts: Sequence[Value | None], create_graph: bool, allow_unused: bool) -> Tensor | None:
    there = [g for g in parts if g is not None]
    if there:
        with _grad_mode(create_graph):
            return wrap(reduce(o.add, there))
    if allow_unused:
        return None
    raise AutogradError(
        "One of the differentiated Tensors appears to not have been used in the graph. "
        "Set allow_unused=True if this is the desired behavior."
    )


@eager_only(ANSWERED)
@explained
def gradcheck(
    func: Callable[..., Any],
    inputs: Tensors,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compare the gradients of ``func`` with central differences; ``inputs`` should be float64.

    Raises RuntimeError naming the output and input whose Jacobians differ; without ``raise_exception`` returns False.
    """
    given = _several(inputs)
    for j, x in enumerate(given):
        if not x.requires_grad:
            continue
        for i, (y, slopes) in enumerate(zip(_several(func(*given)), _differences(func, given, x, eps), strict=True)):
            exact = _jacobian(y, x)
            if not np.allclose(exact, slopes, rtol, atol):
                if not raise_exception:
                    return False
                raise AutogradError(
                    f"Jacobian mismatch for output {i} with respect to input {j},\n"
                    f"numerical: {slopes}\nanalytical: {exact}"
                )
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensors,
    grad_outputs: Tensors | None = None,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """:func:`gradcheck` of the gradients of ``func`` by ``inputs``, weighted by ``grad_outputs`` or normal numbers."""
    given = _several(inputs)
    outputs = [y for y in _several(func(*given)) if y.requires_grad]
    seeds = [randn_like(y) for y in outputs] if grad_outputs is None else _several(grad_outputs)

    def slopes(*args: Tensor) -> tuple[Tensor, ...]:
        with _grad_mode(True):
            leaves = [
                a.detach().requires_grad_() if x.requires_grad and not a.requires_grad else a
                for a, x in zip(args, given, strict=True)
            ]
            results = [y for y in _several(func(*leaves)) if y.requires_grad]
            wanted = [x for x in leaves if x.requires_grad]
            found = grad(results, wanted, seeds, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(slopes, given, eps, atol, rtol, raise_exception)


class set_multithreading_enabled(ContextDecorator):
    """Accept either ``mode``: a backward pass runs in one thread, a compiled one in all."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: Any) -> None:
        pass


def _jacobian(y: Tensor, x: Tensor) -> np.ndarray:
    """d y / d x as [elements of y, elements of x]."""
    rows = np.zeros((y.numel(), x.numel()))
    for row, direction in zip(rows, np.eye(y.numel(), dtype=y.dtype.numpy), strict=True):
        weight = from_array(direction.reshape(y.shape))
        (g,) = grad(y, x, weight, retain_graph=True, allow_unused=True) if y.requires_grad else (None,)
        row[:] = 0 if g is None else np.asarray(g.value.data, np.float64).reshape(-1)
    return rows


def _differences(func: Callable[..., Any], inputs: Sequence[Tensor], x: Tensor, eps: float) -> list[np.ndarray]:
    """The same Jacobians, one per output, by central differences."""
    start = np.array(x._array("gradcheck"))

    def outputs(place: int, step: float) -> list[np.ndarray]:
        moved = start.copy()
        moved.reshape(-1)[place] += step
        given = [from_array(moved) if t is x else t for t in inputs]
        return [np.array(y._array("gradcheck"), np.float64).reshape(-1) for y in _several(func(*given))]

    with _grad_mode(False):
        columns = [
            [(up - down) / (2 * eps) for up, down in zip(outputs(k, eps), outputs(k, -eps), strict=True)]
            for k in range(x.numel())
        ]
    return [np.stack(column, axis=1) for column in zip(*columns, strict=True)]


class _VariableMeta(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)

    def __call__(cls, data: Any, requires_grad: bool = False, volatile: bool = False) -> Tensor:
        """``data`` itself where nothing has to change, else on the same memory, with or without a gradient."""
        return data if requires_grad == data.requires_grad else data.detach().requires_grad_(requires_grad)


class Variable(metaclass=_VariableMeta):
    """The old name of a tensor: ``Variable(x)`` is ``x``."""


FunctionCtx = Context


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A ``backward`` whose results are not differentiated again."""

    @wraps(fn)
    def backward(ctx: Any, *args: Any) -> Any:
        with _grad_mode(False):
            return fn(ctx, *args)

    return backward

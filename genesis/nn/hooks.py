"""Hooks on the calls of modules, on registrations in them, and on their gradients."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from compiler.errors import OpError, UnsupportedError
from compiler.ir.graph import Value
from compiler.ir.op import o
from compiler.ir.types import TensorType
from genesis.context import session
from genesis.history import custom
from genesis.hooks import RemovableHandle, add
from genesis.nn.tables import HookTable, Table
from genesis.replaced import Watched
from genesis.tensor import Tensor, wrap

FORWARD_PRE: OrderedDict[int, Any] = OrderedDict()
FORWARD: OrderedDict[int, Any] = OrderedDict()
BACKWARD_PRE: OrderedDict[int, Any] = OrderedDict()
BACKWARD: OrderedDict[int, Any] = OrderedDict()
REGISTRATION: dict[str, OrderedDict[int, Any]] = {kind: OrderedDict() for kind in ("parameter", "buffer", "module")}
OF_ALL = {
    "forward pre-hooks": FORWARD_PRE,
    "forward hooks": FORWARD,
    "backward hooks": BACKWARD,
    "backward pre-hooks": BACKWARD_PRE,
}
"""The hooks of all modules that are part of what a call does."""


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, args)`` before every forward of every module, as ``register_forward_pre_hook`` does."""
    return add(FORWARD_PRE, (hook, False))


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call ``hook(module, args, output)`` after every forward of every module, as ``register_forward_hook`` does."""
    return add(FORWARD, (hook, with_kwargs, always_call))


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """``register_full_backward_pre_hook`` on every module."""
    return add(BACKWARD_PRE, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """``register_full_backward_hook`` on every module."""
    return add(BACKWARD, hook)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, name, parameter)`` whenever one is registered; its result, unless None, is taken instead."""
    return add(REGISTRATION["parameter"], hook)


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, name, buffer)`` whenever one is registered; its result, unless None, is taken instead."""
    return add(REGISTRATION["buffer"], hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, name, submodule)`` whenever one is registered; its result, unless None, is taken instead."""
    return add(REGISTRATION["module"], hook)


def as_registered(kind: str, module: object, name: str, member: Any) -> Any:
    """``member`` as the hooks on registrations leave it."""
    for hook in tuple(REGISTRATION[kind].values()):
        changed = hook(module, name, member)
        member = member if changed is None else changed
    return member


def run_pre_hook(
    module: object, hook: Callable[..., Any], with_kwargs: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a module's call as a hook before it leaves them."""
    changed = hook(module, args, kwargs) if with_kwargs else hook(module, args)
    if changed is None:
        return args, kwargs
    if not with_kwargs:
        return (changed if isinstance(changed, tuple) else (changed,)), kwargs
    if not (isinstance(changed, tuple) and len(changed) == 2):
        raise OpError(
            f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed} from {hook}."
        )
    return changed


Hooks = Sequence[Callable[..., Any]]


class Watch:
    """The way back through one call of a module: hooks before its gradients are computed, and after."""

    def __init__(self, module: object, before: Hooks, after: Hooks) -> None:
        self._module, self._before, self._after = module, before, after
        self._outputs: tuple[Tensor | None, ...] = ()
        self._reached = False

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments; their gradients go through the hooks."""
        places, watched = self._watched("Inputs", args, self._leave)
        self._reached = bool(places)
        self._places, self._args = places, _types(args)
        return watched

    def exit(self, result: Any) -> Any:
        """The results; their gradients are what the hooks see."""
        several = isinstance(result, tuple)
        places, watched = self._watched("Outputs", result if several else (result,), self._arrive)
        self._results, self._outgoing = _types(watched), places
        return watched if several else watched[0]

    def _watched(
        self, name: str, things: tuple[Any, ...], pull: Callable[[Sequence[Value | None]], list[Value | None]]
    ) -> tuple[list[int], tuple[Any, ...]]:
        """``things`` with tensors that need a gradient replaced by equal ones, whose gradients go through ``pull``."""
        places = [i for i, x in enumerate(things) if isinstance(x, Tensor) and x.requires_grad]
        if not places or not session().grad_enabled:
            return [], things
        values = [things[i].value for i in places]
        passed = list(things)
        for i, value in zip(places, custom(f"{type(self._module).__name__}{name}", values, values, pull), strict=True):
            passed[i] = wrap(value)
        return places, tuple(passed)

    def _arrive(self, grads: Sequence[Value | None]) -> list[Value | None]:
        outputs = _spread(grads, self._outgoing, self._results)
        for hook in self._before:
            changed = hook(self._module, outputs)
            if changed is not None:
                outputs = _replaced("grad_outputs", changed, outputs)
        self._outputs = outputs
        if not self._reached:  # no gradient leaves the module
            for hook in self._after:
                if hook(self._module, (None,) * len(self._args), outputs) is not None:
                    raise OpError(
                        "backward hook for Modules where no input requires gradient should always return None or None "
                        "for all gradients."
                    )
        return [None if outputs[i] is None else outputs[i].value for i in self._outgoing]  # type: ignore[union-attr]

    def _leave(self, grads: Sequence[Value | None]) -> list[Value | None]:
        inputs = _spread(grads, self._places, self._args)
        for hook in self._after:
            changed = hook(self._module, inputs, self._outputs)
            if changed is not None:
                inputs = _replaced("grad_input", changed, inputs)
        return [None if inputs[i] is None else inputs[i].value for i in self._places]  # type: ignore[union-attr]


Types = Sequence[TensorType | None]


def _types(things: Sequence[Any]) -> Types:
    return [x._type if isinstance(x, Tensor) else None for x in things]


def _spread(grads: Sequence[Value | None], places: Sequence[int], types: Types) -> tuple[Tensor | None, ...]:
    """A gradient for every tensor, zeros where there is none."""
    known = dict(zip(places, grads, strict=True))

    def gradient(i: int, kind: TensorType | None) -> Tensor | None:
        g = known.get(i)
        if g is None:
            return None if kind is None else wrap(o.zeros(shape=kind.shape, dtype=kind.dtype))
        return wrap(g)

    return tuple([gradient(i, kind) for i, kind in enumerate(types)])


def _replaced(what: str, changed: Any, old: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    new = changed if isinstance(changed, tuple) else (changed,)
    if len(new) != len(old):
        raise OpError(f"Backward hook returned an invalid number of {what}, got {len(new)}, but expected {len(old)}")
    return new


class Hooked(metaclass=Watched):
    """The part of a module that runs its hooks around ``forward``."""

    _hooks: dict[str, Table]
    _forward_hooks = HookTable("_forward_hooks")
    _forward_pre_hooks = HookTable("_forward_pre_hooks")
    _backward_hooks = HookTable("_backward_hooks")
    _backward_pre_hooks = HookTable("_backward_pre_hooks")

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; every subclass defines it."""
        raise UnsupportedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not any(self._hooks.values()) and not any(OF_ALL.values()):
            return self.forward(*args, **kwargs)
        for hook, with_kwargs in (*FORWARD_PRE.values(), *self._forward_pre_hooks.values()):
            args, kwargs = run_pre_hook(self, hook, with_kwargs, args, kwargs)
        before = (*BACKWARD_PRE.values(), *self._backward_pre_hooks.values())
        after = (*BACKWARD.values(), *self._backward_hooks.values())
        watch = Watch(self, before, after) if before or after else None
        given = args if watch is None else watch.enter(args)
        waiting = [*FORWARD.values(), *self._forward_hooks.values()]
        result = None
        try:
            result = self.forward(*given, **kwargs)
            while waiting:
                hook, with_kwargs, _ = waiting.pop(0)
                changed = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
                result = result if changed is None else changed
        except Exception:
            for hook, with_kwargs, always in waiting:
                if always:
                    hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
            raise
        return result if watch is None else watch.exit(result)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before every forward; what it returns, unless None, replaces the arguments."""
        return add(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after every forward; its result, unless None, replaces the output.

        ``always_call``: also when the call fails.
        """
        return add(self._forward_hooks, (hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before gradients go back through a call; its result replaces them."""
        return add(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of a call's positional tensors are known.

        Both are tuples. The hook's result, unless None, replaces ``grad_input``.
        """
        return add(self._backward_hooks, hook, prepend)

    register_backward_hook = register_full_backward_hook

"""The module: a tree of parameters, buffers and submodules with a forward function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ParamSpec, Protocol, TypeVar

import numpy as np

from compiler.errors import (
    ArgumentError,
    ChoiceError,
    KeyedError,
    MissingNameError,
    TraceError,
)
from compiler.ir.location import user_location
from compiler.ir.types import DType, bf16, f16, f32, f64
from compiler.ir.types import dtype as as_dtype
from genesis.context import current_recording, grad_mode
from genesis.device import Device
from genesis.functions.conversion import copy_, detach, to, zero_
from genesis.members import Buffer, Parameter
from genesis.memory.cells import changes
from genesis.misuse import UNNAMED, refuse
from genesis.nn import hooks
from genesis.nn.hooks import Hooked
from genesis.nn.state_dict import Stateful
from genesis.nn.tables import HOOKS, Table
from genesis.replaced import Watched
from genesis.tensor import Tensor, from_array

M = TypeVar("M", bound="Module")
Found = TypeVar("Found")

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class HasForward(Protocol[P, R_co]):
    """A module as seen by its call, which takes and returns what ``forward`` does."""

    def forward(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The computation."""


SIMPLE = (bool, int, float, str, type(None))


class Module(Hooked, Stateful, metaclass=Watched):
    """Base of all layers and models. Names, order and meaning of everything registered are PyTorch's.

    A subclass calls ``super().__init__()``, assigns parameters and submodules as attributes and defines ``forward``.
    """

    training: bool
    _modules: dict[str, Module | None]

    def __init__(self) -> None:
        start = {
            "training": True,
            "_parameters": Table(),
            "_buffers": Table(),
            "_non_persistent_buffers_set": set(),
            "_modules": Table(),
            "_hooks": {name: Table() for name in HOOKS},
        }
        self.__dict__.update(start)

    # Calling

    def __call__(self: HasForward[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the hooks and ``forward``, on tensors for NumPy arrays; ops recorded inside carry the module's name.

        After ``compile()``, a call that is no part of a compiled step runs compiled.
        """
        module: Any = self
        recording = current_recording()
        compiled = module.__dict__.get("_compiled_call") if recording is None else None
        if compiled is not None:
            result: R = compiled(*args, **kwargs)
            return result
        given = tuple([from_array(x) if isinstance(x, np.ndarray) else x for x in args])
        scopes = None if recording is None else recording.builder.scopes
        if recording is not None and scopes is not None:
            scopes.append(recording.module_names.get(module, scopes[-1] if scopes else ""))
        try:
            result = module._call_with_hooks(given, kwargs)
            return result
        except UNNAMED:
            if self.forward.__module__.startswith("genesis."):  # a class of a user speaks for itself
                refuse(type(self).__name__, self.forward, given, kwargs)
            raise
        finally:
            if scopes is not None:
                scopes.pop()

    # Attributes

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for table in ("_parameters", "_buffers", "_modules"):
            if table in own and name in own[table]:
                return own[table][name]
        raise MissingNameError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        registered = self.__dict__.get("_parameters")
        if registered is None:
            if isinstance(value, Parameter | Module):
                kind = "parameters" if isinstance(value, Parameter) else "module"
                raise MissingNameError(f"cannot assign {kind} before Module.__init__() call")
            object.__setattr__(self, name, value)
            return
        if isinstance(value, Parameter):
            self._refuse_while_recording(name, registered.get(name), value)
            self._forget(name, registered)
            self.register_parameter(name, value)
        elif isinstance(value, Buffer):
            self._refuse_while_recording(name, self._buffers.get(name), value)
            self._forget(name, self._buffers)
            self.register_buffer(name, value, value.persistent)
        elif isinstance(value, Module):
            self._refuse_while_recording(name, self._modules.get(name), value)
            self._forget(name, self._modules)
            self._modules[name] = hooks.as_registered("module", self, name, value)
        elif name in registered or name in self._modules:
            self._clear_registered(name, value)
        elif name in self._buffers:
            self._set_buffer(name, value)
        else:
            old = self.__dict__.get(name, self)
            # Tensors, and what holds some, may come and go: the recording is audited for what is there at its end.
            if isinstance(value, SIMPLE) and value is not None and not isinstance(old, Tensor):
                self._refuse_while_recording(name, old, value)
            object.__setattr__(self, name, value)
        changes.tick()

    def _clear_registered(self, name: str, value: Any) -> None:
        table: dict[str, Any] = self._parameters if name in self._parameters else self._modules
        if value is not None:
            kind = "parameter" if table is self._parameters else "child module"
            wanted = "Parameter" if table is self._parameters else "Module"
            raise ArgumentError(
                f"cannot assign '{type(value).__name__}' as {kind} '{name}' (genesis.nn.{wanted} or None expected)"
            )
        self._refuse_while_recording(name, table[name], None)
        table[name] = None

    def _set_buffer(self, name: str, value: Any) -> None:
        """Another tensor for a buffer. While recording, a detached one of the same type gives it its contents only."""
        if value is not None and not isinstance(value, Tensor):
            raise ArgumentError(
                f"cannot assign '{type(value).__name__}' object to buffer '{name}' (genesis.Tensor or None required)"
            )
        old = self._buffers[name]
        if current_recording() is not None and value is not None and old is not None and _alike(value, old):
            with grad_mode(False):
                copy_(old, value)
        else:
            self._buffers[name] = value

    def _refuse_while_recording(self, name: str, old: Any, new: Any) -> None:
        """A changed attribute would be written once, when the step is traced, and never again.

        ``old`` is the module itself where there was nothing: a module made inside the step is still being filled.
        """
        recording = current_recording()
        if recording is None or new is old or (isinstance(new, SIMPLE) and type(new) is type(old) and new == old):
            return
        if (old is self or old is None) and self not in recording.module_names:
            return
        raise TraceError(
            f"{type(self).__name__}.{name} is changed inside a step that is being compiled; "
            f"the assignment would run once, not at every call\n  at {user_location()}\n"
            "  keep it in a buffer (register_buffer) that tensor ops update, or assign outside the step"
        )

    def _forget(self, name: str, keep: Mapping[str, Any]) -> None:
        """Remove what a table other than ``keep`` holds under ``name``."""
        for table in (self.__dict__, self._parameters, self._buffers, self._modules):
            if table is not keep:
                table.pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def __delattr__(self, name: str) -> None:
        if not isinstance(self.__dict__.get(name), Tensor):
            self._refuse_while_recording(name, getattr(self, name, self), self)
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                self._non_persistent_buffers_set.discard(name)
                break
        else:
            object.__delattr__(self, name)
        changes.tick()

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._parameters, *self._buffers, *self._modules})

    def _check_name(self, kind: str, name: str, table: Mapping[str, Any]) -> None:
        if "_parameters" not in self.__dict__:
            raise MissingNameError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise ArgumentError(f"{kind} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyedError(f'{kind} name can\'t contain "."')
        if name == "":
            raise KeyedError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in table:
            raise KeyedError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None keeps the name without a tensor."""
        self._check_name("parameter", name, self.__dict__.get("_parameters", {}))
        if param is not None and not isinstance(param, Parameter):
            raise ArgumentError(
                f"cannot assign '{type(param).__name__}' object to parameter '{name}' "
                "(genesis.nn.Parameter or None required)"
            )
        self._parameters[name] = hooks.as_registered("parameter", self, name, param)
        changes.tick()

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but is not trained; one that is not ``persistent`` stays out of the state dict."""
        self._check_name("buffer", name, self.__dict__.get("_buffers", {}))
        if tensor is not None and not isinstance(tensor, Tensor):
            raise ArgumentError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' (genesis.Tensor or None required)"
            )
        self._buffers[name] = hooks.as_registered("buffer", self, name, tensor)
        (self._non_persistent_buffers_set.discard if persistent else self._non_persistent_buffers_set.add)(name)
        changes.tick()

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule."""
        if module is not None and not isinstance(module, Module):
            raise ArgumentError(f"{type(module).__name__} is not a Module subclass")
        self._check_name("module", name, self.__dict__.get("_modules", {}))
        self._modules[name] = hooks.as_registered("module", self, name, module)
        changes.tick()

    register_module = add_module

    # Walking the tree

    def _members(self, table: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, member in module.__dict__[table].items():
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield f"{path}.{name}" if path else name, member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """``(name, parameter)`` of this module and those below; a shared parameter once."""
        return self._members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters of this module and those below; a shared one once."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """``(name, buffer)`` of this module and those below."""
        return self._members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers of this module and those below."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """``(name, module)`` of the direct submodules."""
        seen: set[Module] = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct submodules."""
        return (m for _, m in self.named_children())

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """``(name, module)`` of this module (named ``prefix``) and all below, depth first; a shared module once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below."""
        return (m for _, m in self.named_modules(remove_duplicate=remove_duplicate))

    def get_submodule(self, target: str) -> Module:
        """The module with the dotted name ``target``."""
        module: Module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise MissingNameError(f"{type(module).__name__} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise MissingNameError(f"`{name}` is not an nn.Module")
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with the dotted name ``target``."""
        return self._get(target, "_parameters", "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with the dotted name ``target``."""
        return self._get(target, "_buffers", "a buffer")

    def _get(self, target: str, table: str, kind: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise MissingNameError(f"{type(module).__name__} has no attribute `{name}`")
        if name not in module.__dict__[table]:
            raise MissingNameError(f"`{name}` is not {kind}")
        return module.__dict__[table][name]

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put ``module`` in the place with the dotted name ``target``, or, if not ``strict``, in a new one."""
        path, _, name = target.rpartition(".")
        if not name:
            raise ChoiceError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ChoiceError(f"`module` is not an nn.Module, found {type(module)}")
        owner = self.get_submodule(path)
        if strict and not isinstance(getattr(owner, name, None), Module):
            raise MissingNameError(f"{type(owner).__name__} has no attribute `{name}`")
        setattr(owner, name, module)

    # Changing the whole tree

    def apply(self: M, fn: Callable[[Module], Any]) -> M:
        """Call ``fn`` on every module below, then on this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self: M, convert: Callable[[Tensor], Tensor]) -> M:
        """Replace the contents of all parameters, their gradients and buffers by ``convert`` of them."""
        with grad_mode(False):
            for member in (*self.parameters(), *self.buffers()):
                for target in (member, member._cell.grad):
                    if isinstance(target, Tensor):
                        converted = convert(detach(target))
                        if converted.dtype is not target.dtype:
                            target.data = converted
        changes.tick()
        return self

    def to(
        self: M,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: bool = False,
        memory_format: Any = None,
    ) -> M:
        """Floating parameters and buffers in another dtype, everything on another device; in place.

        ``memory_format`` changes nothing: tensors are contiguous.
        """
        for argument in args:
            if isinstance(argument, Tensor):
                dtype, device = argument.dtype, argument.device
            elif isinstance(argument, DType):
                dtype = argument
            elif isinstance(argument, str | Device):
                device = argument
        if dtype is not None:
            dtype = as_dtype(dtype)
            if not dtype.is_floating_point:
                raise ArgumentError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype!r}")
        return self._apply(lambda t: to(t, dtype=dtype if t.is_floating_point() else None, device=device))

    def float(self: M) -> M:
        """Floating parameters and buffers as float32."""
        return self.to(f32)

    def double(self: M) -> M:
        """Floating parameters and buffers as float64."""
        return self.to(f64)

    def half(self: M) -> M:
        """Floating parameters and buffers as float16."""
        return self.to(f16)

    def bfloat16(self: M) -> M:
        """Floating parameters and buffers as bfloat16."""
        return self.to(bf16)

    def type(self: M, dst_type: Any) -> M:
        """All parameters and buffers in another dtype."""
        return self._apply(lambda t: to(t, dtype=as_dtype(dst_type)))

    def to_empty(self: M, *, device: Any, recurse: bool = True) -> M:
        """Everything on another device, with any contents."""
        return self.to(device)

    def share_memory(self: M) -> M:
        """The module itself: its memory is not shared with other processes."""
        return self

    def cpu(self: M) -> M:
        """Everything on the CPU."""
        return self.to("cpu")

    def cuda(self: M, device: int | None = None) -> M:
        """Everything on a CUDA device."""
        return self.to("cuda" if device is None else f"cuda:{device}")

    def train(self: M, mode: bool = True) -> M:
        """Training mode for this module and all below: dropout drops.

        Inside a compiled step it holds from there on, in this call and, as in eager mode, after it.
        """
        if not isinstance(mode, bool):
            raise ChoiceError("training mode is expected to be boolean")
        recording = current_recording()
        if recording is None:
            self._set_mode(mode)
        else:
            recording.host.act(lambda numbers: self._set_mode(mode))
        return self

    def _set_mode(self, mode: bool) -> Callable[[], None]:
        """Set the mode of every module that is in the other one; returns how to take it back."""
        others = [module for module in self.modules() if module.training is not mode]

        def put(flag: bool) -> None:
            for module in others:
                module.__dict__["training"] = flag
            if others:
                changes.tick()

        put(mode)
        return lambda: put(not mode)

    def eval(self: M) -> M:
        """Evaluation mode for this module and all below."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Whether the parameters collect gradients."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        changes.tick()
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or set them to zero."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                with grad_mode(False):
                    zero_(parameter.grad)

    # Printing

    def extra_repr(self) -> str:
        """The text between the parentheses of the module's own line."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [_indented(row) for row in self._shown_children()]
        if len(lines) == 1 and not children:
            return f"{type(self).__name__}({lines[0]})"
        body = "".join(f"\n  {line}" for line in lines + children)
        return f"{type(self).__name__}({body}\n)" if body else f"{type(self).__name__}()"

    def _shown_children(self) -> list[str]:
        return [f"({name}): {module!r}" for name, module in self._modules.items()]


def _alike(value: Tensor, old: Tensor) -> bool:
    """Whether the storage of ``old`` can hold ``value``, as far as anybody sees."""
    return (value.dtype, value.shape) == (old.dtype, old.shape) and not value.requires_grad and not old.requires_grad


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")

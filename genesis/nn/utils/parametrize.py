"""Parameters that are functions of other parameters, with the names and state dicts of PyTorch's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from compiler.errors import ChoiceError, MisuseError
from genesis.context import current_recording, grad_mode
from genesis.functions.conversion import copy_
from genesis.members import Parameter
from genesis.nn.container import ModuleDict, ModuleList
from genesis.nn.module import Module
from genesis.nn.utils.computed import compute, store
from genesis.tensor import Tensor

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]

_kept: dict[Any, Tensor] = {}
_depth = 0


@contextmanager
def cached() -> Iterator[None]:
    """Inside, each parametrized tensor is computed once."""
    global _depth
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if not _depth:
            _kept.clear()


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, the first one first, and what they start from.

    That is ``original``, or ``original0``, ``original1``, ... if the first ``right_inverse`` gives several tensors.
    """

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if not modules:
            raise ChoiceError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        with grad_mode(False):
            new = _inverted(modules, original)
        self.is_tensor = isinstance(new, Tensor)
        if self.is_tensor:
            if new.dtype is not original.dtype:
                raise ChoiceError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                    f"original.dtype: {original.dtype!r}\nright_inverse(original).dtype: {new.dtype!r}"
                )
            original.data = new
            _register(self, "original", original)
        else:
            for i, part in enumerate(_several(new)):
                made = Parameter(part, original.requires_grad) if isinstance(original, Parameter) else part
                _register(self, f"original{i}", made)
        self.ntensors = 1 if self.is_tensor else len(new)
        if not unsafe:
            _check_alike(self(), original, "parametrized", "unparametrized")

    def right_inverse(self, value: Tensor) -> None:
        """Assign: store what gives ``value``, as the parametrizations' ``right_inverse`` say."""
        with grad_mode(False):
            for module in self:
                if not hasattr(module, "right_inverse"):
                    raise MisuseError(f"parametrization {type(module).__name__} does not implement right_inverse.")
            new = _inverted(list(self), value)
            parts = [new] if self.is_tensor else _several(new)
            if len(parts) != self.ntensors:
                raise ChoiceError(
                    f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. "
                    f"Got a sequence of length {len(parts)}."
                )
            for old, part in zip(self._originals(), parts, strict=True):
                if old.dtype is not part.dtype:
                    raise ChoiceError(
                        f"The tensor returned by `right_inverse` has dtype {part.dtype!r} "
                        f"while `original` has dtype {old.dtype!r}"
                    )
                if old.shape == part.shape:
                    copy_(old, part)
                else:
                    old.data = part

    def _originals(self) -> list[Tensor]:
        return [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def forward(self) -> Tensor:
        """The tensor."""
        first, *rest = self
        result: Tensor = first(*self._originals())
        for module in rest:
            result = module(result)
        return result


def _inverted(modules: Sequence[Module], value: Any) -> Any:
    """The start of the first parametrization that gives ``value``; one without ``right_inverse`` is the identity."""
    for module in reversed(modules):
        if hasattr(module, "right_inverse"):
            try:
                value = module.right_inverse(value)
            except NotImplementedError:
                continue
    return value


def _several(new: Any) -> Sequence[Tensor]:
    if not isinstance(new, Sequence) or not all(isinstance(part, Tensor) for part in new):
        raise ChoiceError(
            f"'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got {type(new).__name__}"
        )
    return new


def _check_alike(new: Any, old: Tensor, made: str, before: str) -> None:
    """ValueError if a parametrization does not keep what a tensor is."""
    if not isinstance(new, Tensor):
        raise ChoiceError(f"A parametrization must return a tensor. Got {type(new).__name__}.")
    for what, is_, was in (("dtype", new.dtype, old.dtype), ("shape", new.shape, old.shape)):
        if is_ != was:
            raise ChoiceError(
                f"Registering a parametrization may not change the {what} of the tensor, unless `unsafe` flag is "
                f"enabled.\n{before} {what}: {was!r}\n{made} {what}: {is_!r}"
            )


def _register(module: Module, name: str, tensor: Tensor) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _read(name: str) -> Any:
    def read(module: Any) -> Tensor:
        if not _depth:
            result: Tensor = module.parametrizations[name]()
            return result
        key = id(module), name, id(current_recording())
        if key not in _kept:
            _kept[key] = module.parametrizations[name]()
        return _kept[key]

    return read


def _write(name: str) -> Any:
    def write(module: Any, value: Tensor) -> None:
        module.parametrizations[name].right_inverse(value)

    return write


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """From now on ``module.tensor_name`` is ``parametrization(X)``, where ``X`` is what it was; returns ``module``.

    ``X`` becomes ``module.parametrizations.tensor_name.original``, after ``parametrization.right_inverse`` if there is
    one. A second parametrization is applied to the result of the first. Unless ``unsafe``, raises ValueError for one
    that changes the dtype or shape; also for a name that is neither a parameter nor a buffer.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        entry = module.parametrizations[tensor_name]
        before = getattr(module, tensor_name)
        if not unsafe:
            after = parametrization(before)
            _check_alike(after, before, "parametrized", "unparametrized")
            if hasattr(parametrization, "right_inverse"):
                _check_alike(_inverted([parametrization], after), before, "right_inverse's", "unparametrized")
        entry.append(parametrization)
        entry.unsafe |= unsafe
    elif tensor_name in module._parameters or tensor_name in module._buffers:
        entry = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            module.parametrizations = ModuleDict()
        compute(module, tensor_name, _read(tensor_name), _write(tensor_name), "Parametrized{}")
        module.parametrizations[tensor_name] = entry
    else:
        raise ChoiceError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name "
            f"'{tensor_name}'"
        )
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether ``module`` has a parametrization, or one of ``tensor_name``."""
    entries = module._modules.get("parametrizations")
    if not isinstance(entries, ModuleDict):
        return False
    return bool(len(entries)) if tensor_name is None else tensor_name in entries


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """``module.tensor_name`` is a parameter or buffer again; returns ``module``.

    It keeps its value of now, or with ``leave_parametrized=False`` takes ``original``'s, which ValueError refuses
    where there are several originals.
    """
    if not is_parametrized(module, tensor_name):
        raise ChoiceError(f"Module {module} does not have a parametrization on {tensor_name}")
    entry = module.parametrizations[tensor_name]
    if not entry.is_tensor and not leave_parametrized:
        raise ChoiceError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
            "sequence of tensors."
        )
    with grad_mode(False):
        value = getattr(module, tensor_name).clone()
    first = entry._originals()[0]
    if entry.is_tensor:
        if leave_parametrized:
            first.data = value
    elif isinstance(first, Parameter):
        first = Parameter(value, first.requires_grad)
    else:
        first = value
    store(module, tensor_name)
    del module.parametrizations[tensor_name]
    if not len(module.parametrizations):
        del module.parametrizations
    _register(module, tensor_name, first)
    return module


def type_before_parametrizations(module: Module) -> type[Module]:
    """The class that the module had."""
    kind: type[Module] = getattr(type(module), "_plain_class", type(module))
    return kind


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Parametrize ``to_module`` as ``from_module`` is, with the same parametrizations, and copy the originals."""
    for name in [tensor_name] if tensor_name is not None else list(from_module.parametrizations):
        entry = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            _register(to_module, name, getattr(from_module, name).detach())
        for parametrization in entry:
            register_parametrization(to_module, name, parametrization, unsafe=entry.unsafe)
        with grad_mode(False):
            for mine, theirs in zip(to_module.parametrizations[name]._originals(), entry._originals(), strict=True):
                copy_(mine, theirs)
    return to_module

"""Weight and spectral norm as before there were parametrizations: ``name_g``, ``name_v``; ``name_orig``, ``name_u``."""

from __future__ import annotations

from typing import Any

import genesis.functions as fn
import genesis.nn.functional as F
from compiler.errors import ChoiceError, MisuseError
from genesis.members import Parameter
from genesis.nn.module import Module
from genesis.nn.utils.computed import compute, store
from genesis.nn.utils.norms import as_matrix, iterate, norm_except, over_largest, weight_of
from genesis.nn.utils.parametrizations import channels
from genesis.tensor import Tensor


class _Norm:
    """A norm of one parameter, kept among the hooks before the module's forward."""

    kind = ""

    def __init__(self, name: str) -> None:
        self.name = name

    def weight(self, module: Any) -> Tensor:
        """The parameter's value now."""
        raise NotImplementedError

    def __call__(self, module: Any, args: Any) -> None:
        """Runs before every forward."""

    def put_on(self, module: Module) -> None:
        if _find(module, type(self), self.name):
            raise MisuseError(f"Cannot register two {self.kind} hooks on the same parameter {self.name}")
        module.register_forward_pre_hook(self)

    def take_off(self, module: Module, key: int, members: tuple[str, ...]) -> None:
        value = self.weight(module).detach().clone()
        store(module, self.name)
        for end in members:
            delattr(module, self.name + end)
        module.register_parameter(self.name, Parameter(value))
        del module._forward_pre_hooks[key]


class WeightNorm(_Norm):
    kind = "weight_norm"

    def __init__(self, name: str, dim: int | None) -> None:
        super().__init__(name)
        self.dim = -1 if dim is None else dim

    def weight(self, module: Any) -> Tensor:
        return weight_of(getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v"), self.dim)


class SpectralNorm(_Norm):
    kind = "spectral_norm"

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__(name)
        if n_power_iterations <= 0:
            raise ChoiceError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.n_power_iterations, self.dim, self.eps = n_power_iterations, dim, eps

    def _parts(self, module: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        weight, u, v = (getattr(module, self.name + end) for end in ("_orig", "_u", "_v"))
        return weight, as_matrix(weight, self.dim), u, v

    def weight(self, module: Any) -> Tensor:
        return over_largest(*self._parts(module))

    def __call__(self, module: Any, args: Any) -> None:
        if module.training:
            _, matrix, u, v = self._parts(module)
            iterate(matrix, u, v, self.n_power_iterations, self.eps, "vu")


def _find(module: Module, kind: type[_Norm], name: str) -> list[tuple[int, Any]]:
    return [
        (key, entry[0])
        for key, entry in module._forward_pre_hooks.items()
        if isinstance(entry[0], kind) and entry[0].name == name
    ]


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """``module.name`` becomes ``g v / |v|``, with the parameters ``name_g`` and ``name_v``.

    The same as :func:`genesis.nn.utils.parametrizations.weight_norm`, with the names of before.
    """
    norm = WeightNorm(name, dim)
    norm.put_on(module)
    weight = getattr(module, name)
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(norm_except(weight.detach(), norm.dim)))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    compute(module, name, norm.weight)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """``module.name`` is a parameter again, with its value of now."""
    for key, norm in _find(module, WeightNorm, name):
        norm.take_off(module, key, ("_g", "_v"))
        return module
    raise ChoiceError(f"weight_norm of '{name}' not found in {module}")


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """``module.name`` is ``name_orig`` over its largest singular value, which buffers ``name_u``, ``name_v`` follow.

    The same as :func:`genesis.nn.utils.parametrizations.spectral_norm`, with the names of before; the vectors follow
    before every forward in training.
    """
    norm = SpectralNorm(name, n_power_iterations, channels(module) if dim is None else dim, eps)
    if name in module._parameters and module._parameters[name] is None:
        raise ChoiceError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
    norm.put_on(module)
    weight = module.get_parameter(name)
    matrix = as_matrix(weight.detach(), norm.dim)
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    for end, size in zip(("_u", "_v"), matrix.shape, strict=True):
        module.register_buffer(name + end, F.normalize(fn.randn(size, dtype=weight.dtype), dim=0, eps=eps))
    compute(module, name, norm.weight)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """``module.name`` is a parameter again, with its value of now."""
    for key, norm in _find(module, SpectralNorm, name):
        norm.take_off(module, key, ("_orig", "_u", "_v"))
        return module
    raise ChoiceError(f"spectral_norm of '{name}' not found in {module}")

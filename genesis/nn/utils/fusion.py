"""A batch norm in evaluation as part of the layer in front of it."""

from __future__ import annotations

from copy import deepcopy

import genesis.functions as fn
from compiler.errors import InvariantError
from genesis.context import grad_mode
from genesis.functions.conversion import to
from genesis.members import Parameter
from genesis.nn.module import Module
from genesis.tensor import Tensor


def fuse_conv_bn_eval(conv: Module, bn: Module, transpose: bool = False) -> Module:
    """A convolution that does what ``conv`` and ``bn`` do, both in evaluation. ``transpose``: a transposed one."""
    return _fused(conv, bn, 1 if transpose else 0)


def fuse_linear_bn_eval(linear: Module, bn: Module) -> Module:
    """A linear layer that does what ``linear`` and ``bn`` do, both in evaluation."""
    if bn.num_features not in (1, linear.out_features):
        raise InvariantError("To fuse, linear.out_features == bn.num_features or bn.num_features == 1")
    return _fused(linear, bn, 0)


def _fused(layer: Module, bn: Module, dim: int) -> Module:
    if layer.training or bn.training:
        raise InvariantError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise InvariantError("bn.running_mean and bn.running_var must not be None")
    fused = deepcopy(layer)
    fused.weight, fused.bias = _weights(
        layer.weight, layer.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, dim
    )
    return fused


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of a convolution and a batch norm together."""
    return _weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 1 if transpose else 0)


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of a linear layer and a batch norm together."""
    return _weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 0)


def _weights(
    weight: Tensor,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    scale: Tensor | None,
    shift: Tensor | None,
    dim: int,
) -> tuple[Parameter, Parameter]:
    with grad_mode(False):
        factor = fn.rsqrt(fn.add(var, eps))
        factor = factor if scale is None else fn.mul(factor, scale)
        shape = [1] * weight.ndim
        shape[dim] = -1
        offset = fn.neg(mean) if bias is None else fn.sub(bias, mean)
        offset = fn.mul(offset, factor)
        offset = offset if shift is None else fn.add(offset, shift)
        made = fn.mul(weight, fn.reshape(factor, *shape))
        needs = (weight.requires_grad, bias is not None and bias.requires_grad)
        kinds = (weight.dtype, weight.dtype if bias is None else bias.dtype)
        first, second = (
            Parameter(to(x, dtype=kind), need) for x, kind, need in zip((made, offset), kinds, needs, strict=True)
        )
    return first, second

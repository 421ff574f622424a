"""Attention fused nodes as calls of the flash-style templates: strides, masks and packed gradients."""

from __future__ import annotations

from math import prod

from compiler.codegen.c.attention_backward import backward_kernel
from compiler.codegen.c.attention_forward import forward_kernel
from compiler.codegen.c.attention_layout import AttentionGradSpec, AttentionSpec, Strides
from compiler.codegen.c.gemm_plan import Operand
from compiler.codegen.c.isa import Isa
from compiler.codegen.c.kernels import TeamKernel, window_of
from compiler.ir.graph import Node, Value
from compiler.layout import pieces
from compiler.ops.contract import attention_scale


def attention_kernel(isa: Isa, node: Node) -> TeamKernel:
    """Attention, forward or backward, on the flash-style templates."""
    graph = node.inner
    op = next(n for n in graph.nodes if n.op.anchor == "attention")
    windows = [(operand, _four(v, strides)) for v in op.inputs for operand, _, strides in [window_of(graph, v)]]
    outs = {}
    for i, value in enumerate(graph.outputs):
        parts = pieces(value)
        assert parts is not None, "fuse packs only what stands in strides"
        outs.update({root: (("out", i, offset), _four(root, strides)) for root, offset, strides in parts})
    results = [outs[v] for v in op.outputs]
    backward, attrs = op.op.gradient, op.attrs
    extra = 6 if backward else 3
    mask = None
    if attrs["mask"]:
        given = op.inputs[extra]
        mask = Operand("bool" if given.dtype.kind == "bool" else given.dtype.short, windows[extra][1])
    *lead, queries, dim = op.inputs[0].shape
    q, k, v, *gradients = [strides for _, strides in windows[:extra]]
    spec = AttentionSpec(
        prod(lead[:-1]), lead[-1] if lead else 1, queries, op.inputs[1].shape[-2], dim, op.inputs[0].dtype.short,
        q, k, v, results[0][1], attention_scale(attrs["scale"], dim), attrs["causal"], mask, attrs["dropout"],
        attrs["index"],
    )  # fmt: skip
    if backward:
        delta, _, do = gradients
        whole = AttentionGradSpec(spec, delta, do, *(strides for _, strides in results))
        text, private = backward_kernel(isa, whole)
    else:
        text, private = forward_kernel(isa, spec)
    # The templates take the mask and the random state, which the op has last, behind q, k and v.
    operands = [operand for operand, _ in (*windows[:3], *windows[extra:], *windows[3:extra], *results)]
    return TeamKernel(text, operands, 0, private)


def _four(value: Value, strides: tuple[int, ...]) -> Strides:
    """Strides as (batch, head, row, column); leading dimensions in front of the heads must be one."""
    if len(strides) > 4:
        raise NotImplementedError(f"attention over {value.type.rank} dimensions; reshape to [batch, heads, T, D]")
    padded = (0,) * (4 - len(strides)) + tuple(strides)
    sizes = (1,) * (4 - len(strides)) + value.shape
    b, h, r, c = (0 if n == 1 else s for n, s in zip(sizes, padded, strict=True))
    return b, h, r, c

"""Attention fused nodes as calls of the flash-style templates: strides, masks and packed gradients."""

from __future__ import annotations

from math import prod

from compiler.codegen.c.attention_backward import backward_kernel
from compiler.codegen.c.attention_forward import forward_kernel
from compiler.codegen.c.attention_layout import AttentionGradSpec, AttentionSpec, Mask, scratch_bytes
from compiler.codegen.c.isa import Isa
from compiler.codegen.c.kernels import TeamKernel
from compiler.index import concat_starts, matrix_strides, place_in_concat, view_chain
from compiler.ir.graph import Node, Value
from compiler.ops.contract import attention_scale


def attention_kernel(isa: Isa, node: Node) -> TeamKernel:
    """Attention, forward or backward, on the flash-style templates."""
    graph = node.inner
    params = graph.inputs()
    op = next(n for n in graph.nodes if n.op.anchor == "attention")
    windows = []
    for value in op.inputs:
        window = matrix_strides(value)
        assert window is not None, "fuse copies operands that are no strided window"
        windows.append((params.index(window[0]), window[1], _four(value, window[2])))
    q, k = op.inputs[:2]
    attrs = op.attrs
    backward = op.op.gradient
    extra = 6 if backward else 3
    mask = None
    if attrs["mask"]:
        given = op.inputs[extra]
        mask = Mask("bool" if given.dtype.kind == "bool" else given.dtype.short, windows[extra][2])
    *lead, queries, dim = q.shape
    batch, heads = prod(lead[:-1]), lead[-1] if lead else 1
    spec = AttentionSpec(
        "NAME", batch, heads, queries, k.shape[-2], dim, q.dtype.short,
        windows[0][2], windows[1][2], windows[2][2], _contiguous(op.outputs[0]),
        attention_scale(attrs["scale"], dim), attrs["causal"], mask, attrs["dropout"], attrs["index"],
    )  # fmt: skip
    # The templates take the mask and the random state, which the op has last, behind q, k and v.
    ins = [("in", i, offset) for i, offset, _ in (*windows[:3], *windows[extra:], *windows[3:extra])]
    outs = [("out", i, 0) for i in range(len(graph.outputs))]
    if backward:
        packed = graph.outputs[0].producer
        assert packed is not None
        grads = [_contiguous(v) for v in op.outputs]
        if packed.op.reads == "parts":
            places = _packed_gradients(op, packed)
            outs = [("out", 0, offset) for offset, _ in places]
            grads = [strides for _, strides in places]
        whole = AttentionGradSpec("NAME", spec, windows[3][2], windows[5][2], *grads)
        text, micro, private = backward_kernel(isa, whole), whole.micro_kernels(isa), scratch_bytes(isa, whole, 1)
    else:
        text, micro, private = forward_kernel(isa, spec), spec.micro_kernels(isa), scratch_bytes(isa, spec, 1)
    return TeamKernel(text, ins + outs, micro, 0, private)


def _packed_gradients(op: Node, concat: Node) -> list[tuple[int, tuple[int, int, int, int]]]:
    """Offset and strides of dq, dk, dv in the packed gradient."""
    parts = {view_chain(v)[0]: (v, start) for v, start in zip(concat.inputs, concat_starts(concat), strict=True)}
    found = []
    for root in op.outputs:
        part, start = parts[root]
        place = place_in_concat(root, part, concat, start)
        assert place is not None, "fuse packs only what stands in strides"
        found.append((place[0], _four(root, place[1])))
    return found


def _four(value: Value, strides: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Strides as (batch, head, row, column); leading dimensions in front of the heads must be one."""
    if len(strides) > 4:
        raise NotImplementedError(f"attention over {value.type.rank} dimensions; reshape to [batch, heads, T, D]")
    padded = (0,) * (4 - len(strides)) + tuple(strides)
    sizes = (1,) * (4 - len(strides)) + value.shape
    b, h, r, c = (0 if n == 1 else s for n, s in zip(sizes, padded, strict=True))
    return b, h, r, c


def _contiguous(value: Value) -> tuple[int, int, int, int]:
    *_, rows, columns = value.shape
    heads = value.shape[-3] if value.type.rank > 2 else 1
    return heads * rows * columns, rows * columns, columns, 1

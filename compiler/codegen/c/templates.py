"""Kernels that are no plain loop: contractions through the tile templates, concatenation, scattering."""

from __future__ import annotations

from math import prod

from compiler.codegen.c import attention, gemm, names
from compiler.codegen.c.body import Body, Run, Scope
from compiler.codegen.c.gemm_plan import GemmSpec, Operand, Plan
from compiler.codegen.c.isa import Isa
from compiler.codegen.c.kernels import LoopKernel, TeamKernel, parameters_of
from compiler.codegen.c.spelling import COMPUTE, STORAGE, index_text
from compiler.codegen.c.writer import Writer
from compiler.codegen.kernel import Sink, Touched, own_rows
from compiler.domain import reduction_of
from compiler.index import Index, Var, concat_starts, join, matrix_strides, place_in_concat, split, view_chain
from compiler.ir.graph import Node, Value
from compiler.ir.types import DType, bf16, f16, f32
from compiler.ops.contract import attention_scale


def contract_kernel(
    isa: Isa, node: Node, aliases: dict[int, int], check_base: int, fixed: frozenset[int] = frozenset()
) -> TeamKernel | LoopKernel:
    """A matrix product with everything fused behind it; operands in ``fixed`` are the same in many runs."""
    graph = node.body
    assert graph is not None
    dot = next(n for n in graph.nodes if n.op.kind == "contract")
    if dot.inputs[0].dtype not in (f32, bf16, f16):
        return _plain_product(node, dot, aliases, check_base)
    params = graph.inputs()
    windows = [matrix_strides(v, casts=True) for v in dot.inputs]
    roots = []
    for window in windows:
        assert window is not None, "fuse copies operands that are no strided window"
        roots.append(window)
    *batch, m, k = dot.inputs[0].shape
    n = dot.inputs[1].shape[-1]
    body = Body(graph, {v: names.operand(i) for i, v in enumerate(params)}, check_base)
    coordinates = [f"b{d}" for d in range(len(batch))]
    place, first_place = (
        join(
            [Index.of(Var(x, s)) for x, s in zip((*coordinates, "i", j), dot.output.shape, strict=True)],
            dot.output.shape,
        )
        for j in ("j", "j0")
    )
    out, ahead = Writer(), Writer()
    inner = Scope(out)
    body.run = Run(place, first_place, "j - j0", "width", Scope(ahead))
    acc = "acc"
    if dot.output.dtype.is_half:
        acc = f"round_{dot.output.dtype.short}(acc)"
    inner.known[dot.output, place] = acc
    sums = {i: found.inputs[0] for i, v in enumerate(graph.outputs) if (found := reduction_of(v)) is not None}
    terms = {i: (names.partial(i), body.value(value, place, inner)) for i, value in sums.items()}
    by_column = {i for i in sums if graph.outputs[i].type.size > 1}
    totals = tuple(term for i, term in terms.items() if i not in by_column)
    column_totals = tuple(term for i, term in terms.items() if i in by_column)
    texts = {i: body.to_store(v, place, inner) for i, v in enumerate(graph.outputs) if i not in sums}
    result = next((i for i, text in texts.items() if text == "acc" and i not in aliases), None)
    for i, text in texts.items():
        target = names.target(i, aliases)
        if i != result:
            out(f"{target}[{index_text(place)}] = {text};")
    read = {v for v, _ in body.loaded}
    streams = [(names.operand(i), v.dtype.itemsize) for i, v in enumerate(params) if (v, place) in body.loaded]
    streams += [(names.result(i), graph.outputs[i].dtype.itemsize) for i in texts if i not in aliases]
    skip = {i for i, v in enumerate(params) if v not in read}
    parameters, operands = parameters_of(params, graph.outputs, aliases, skip, sums, checked=bool(body.checks))
    first = [("in", params.index(root), offset) for root, offset, _ in roots]
    factors = [Operand(root.dtype.short, strides) for root, _, strides in roots]
    compute = "bf16" if dot.inputs[0].dtype is bf16 else "f32"
    spec = GemmSpec(
        "NAME", tuple(batch), m, n, k, factors[0], factors[1], compute, ", ".join(parameters), out.text(),
        "" if result is None else names.result(result), totals, column_totals, ahead.text(), tuple(streams),
        first[1][1] in fixed,
    )  # fmt: skip
    plan = Plan(isa, spec)
    touched: Touched = frozenset()
    if prod(batch) == 1:
        touched = own_rows(graph, Var("i", m), body.loaded, [(i, place) for i in texts]) - {first[1][:2]}
        if not _row_by_row(*roots[0], m, k):
            touched -= {first[0][:2]}
    text = (gemm.pack_kernel(plan) + "\n" if plan.packed_bytes else "") + gemm.gemm_kernel(plan)
    sinks = [Sink(i, "sum", f32, n, plan.row_parts) if i in by_column else Sink(i, "sum", f32, 1) for i in sums]
    pointers = [*first, *((kind, i, 0) for kind, i in operands)]
    return TeamKernel(
        text, pointers, plan.micro_kernels, plan.shared_bytes, plan.private_bytes, body.checks, touched,
        plan.even, sinks, plan.parts, plan.packed_bytes,
    )  # fmt: skip


def _row_by_row(root: Value, offset: int, strides: tuple[int, ...], m: int, k: int) -> bool:
    """Whether row i of a matrix [m, k] lies in the i-th of m equal parts of the memory it is a window of."""
    row, column = strides[-2:]
    return row * m == root.type.size and offset + (k - 1) * column < row


def _plain_product(node: Node, dot: Node, aliases: dict[int, int], check_base: int) -> LoopKernel:
    """A product of f64 or integer matrices: three loops."""
    graph = node.body
    assert graph is not None
    params = graph.inputs()
    body = Body(graph, {v: names.operand(i) for i, v in enumerate(params)}, check_base)
    *batch, m, k = dot.inputs[0].shape
    n = dot.inputs[1].shape[-1]
    rows = prod(batch) * m
    row, column, inner = Var("r", rows), Var("c", n), Var("k", k)
    lead = split(Index.of(row), (*batch, m))
    scope = Scope(Writer(3), frozenset({"r", "c", "k"}))
    a = body.value(dot.inputs[0], join([*lead, Index.of(inner)], dot.inputs[0].shape), scope)
    b = body.value(dot.inputs[1], join([*lead[:-1], Index.of(inner), Index.of(column)], dot.inputs[1].shape), scope)
    scope.out(f"acc += {a} * {b};")
    place = Index.of(row) * n + Index.of(column)
    after = Scope(Writer(3), frozenset({"r", "c"}))
    after.known[dot.output, place] = "acc"
    texts = [body.to_store(value, place, after) for value in graph.outputs]  # a result may overwrite an operand
    for i, text in enumerate(texts):
        after.out(f"{names.target(i, aliases)}[{index_text(place)}] = {text};")
    parameters, operands = parameters_of(params, graph.outputs, aliases)
    out = Writer()
    out.open(f"KERNEL void NAME(long begin, long end, {', '.join(parameters)})")
    out.open("for (long r = begin; r < end; r++)")
    out.open(f"for (long c = 0; c < {n}; c++)")
    out(f"{COMPUTE[dot.output.dtype]} acc = 0;")
    out.open(f"for (long k = 0; k < {k}; k++)")
    out.extend(scope.out)
    out.close()
    out.extend(after.out)
    out.close()
    out.close()
    out.close()
    return LoopKernel(out.text(), operands, rows, checks=body.checks)


def concat_kernel(node: Node, check_base: int) -> LoopKernel:
    """``concat``: each part copied to its place; ``slice_scatter``: the base copied, then the part over it."""
    graph = node.body
    assert graph is not None
    params = graph.inputs()
    body = Body(graph, {v: names.operand(i) for i, v in enumerate(params)}, check_base)
    (value,) = graph.outputs
    join_node = value.producer
    assert join_node is not None
    out = Writer(2)
    if join_node.op.reads == "parts":
        axis = join_node.attrs["axis"]
        rows = prod(value.shape[:axis])
        width = prod(value.shape[axis:])
        start = 0
        for part in join_node.inputs:
            columns = prod(part.shape[axis:])
            _copy_row(body, out, value, part, rows, columns, Index.of(Var("r", rows)) * width, start)
            start += columns
    else:
        base, part = join_node.inputs
        rows = value.shape[0]
        width = prod(value.shape[1:])
        _copy_row(body, out, value, base, rows, width, Index.of(Var("r", rows)) * width, 0)
        _scatter_row(body, out, join_node, part, width)
    parameters, operands = parameters_of(params, graph.outputs, {})
    text = Writer()
    text.open(f"KERNEL void NAME(long begin, long end, {', '.join(parameters)})")
    text.open("for (long r = begin; r < end; r++)")
    text.extend(out)
    text.close()
    text.close()
    return LoopKernel(text.text(), operands, rows, checks=body.checks)


def _copy_row(
    body: Body, out: Writer, value: Value, part: Value, rows: int, columns: int, row: Index, start: int
) -> None:
    if not columns:
        return
    outer = Scope(Writer(2), frozenset({"r"}))
    inner = Scope(Writer(3), frozenset({"c"}), outer)
    linear = Index.of(Var("r", rows)) * columns + Index.of(Var("c", columns))
    text = body.to_store(part, linear, inner)
    inner.out(f"o0[{index_text((row + Index.of(Var('c', columns))).shifted(start))}] = {text};")
    out.open("")
    out.extend(outer.out)
    out("#pragma omp simd")
    out.open(f"for (long c = 0; c < {columns}; c++)")
    out.extend(inner.out)
    out.close()
    out.close()


def _scatter_row(body: Body, out: Writer, scatter: Node, part: Value, width: int) -> None:
    """Write the rows of ``part`` that fall on row r of the result."""
    start, step = scatter.attrs["start"], scatter.attrs["step"]
    if not part.type.size:
        return
    columns = prod(part.shape[1:])
    outer = Scope(Writer(3), frozenset({"q"}))
    inner = Scope(Writer(4), frozenset({"c"}), outer)
    column = Var("c", columns)
    text = body.value(part, Index.of(Var("q", part.shape[0])) * columns + Index.of(column), inner)
    coordinates = split(Index.of(column), part.shape[1:])
    moved = [(c * s).shifted(a) for c, a, s in zip(coordinates, start[1:], step[1:], strict=True)]
    place = join(moved, scatter.output.shape[1:])
    inner.out(f"o0[{width} * r + {index_text(place)}] = {body.stored(scatter.output, text)};")
    out(f"const long q = (r - {start[0]}) / {step[0]};")
    out.open(f"if (q >= 0 && q < {part.shape[0]} && q * {step[0]} + {start[0]} == r)")
    out.extend(outer.out)
    out.open(f"for (long c = 0; c < {columns}; c++)")
    out.extend(inner.out)
    out.close()
    out.close()


def scatter_kernel(node: Node, check_base: int) -> LoopKernel:
    """``scatter_rows`` and ``scatter_add``: added in the order of the index, so that the result never varies."""
    graph = node.body
    assert graph is not None
    (value,) = graph.outputs
    scatter = value.producer
    assert scatter is not None
    if value.dtype.is_half:
        raise NotImplementedError(
            f"{scatter.op.name} of 16-bit values in C; cast the source to float32 first\n  at {scatter.loc}"
        )
    params = graph.inputs()
    body = Body(graph, {v: names.operand(i) for i, v in enumerate(params)}, check_base)
    text, total = (_scatter_rows if scatter.op.name == "scatter_rows" else _scatter_add)(body, scatter)
    parameters, operands = parameters_of(params, graph.outputs, {})
    head = Writer()
    head.open(f"KERNEL void NAME(long begin, long end, {', '.join(parameters)})")
    head.extend(text)
    head.close()
    return LoopKernel(
        head.text(),
        operands,
        total,
        16 if total > 1 else 1,
        checks=body.checks,
    )


def _scatter_rows(body: Body, scatter: Node) -> tuple[Writer, int]:
    """A range of columns: cleared, then every source row added to its target."""
    index, source = scatter.inputs
    rows, count = scatter.attrs["rows"], index.type.size
    width = source.type.size // count if count else 1
    out = Writer(1)
    out(f"for (long r = 0; r < {rows}; r++)")
    out(f"  for (long c = begin; c < end; c++) o0[{width} * r + c] = 0;")
    outer = Scope(Writer(2), frozenset({"n"}))
    inner = Scope(Writer(3), frozenset({"c"}), outer)
    n, c = Var("n", count), Var("c", width)
    target = body.value(index, Index.of(n), outer)
    text = body.value(source, Index.of(n) * width + Index.of(c), inner)
    out.open(f"for (long n = 0; n < {count}; n++)")
    out.extend(outer.out)
    out(f"{STORAGE[scatter.output.dtype]} *restrict row = o0 + {width} * {target};")
    out("#pragma omp simd")
    out.open("for (long c = begin; c < end; c++)")
    out.extend(inner.out)
    out(f"row[c] += {text};")
    out.close()
    out.close()
    return out, width


def _scatter_add(body: Body, scatter: Node) -> tuple[Writer, int]:
    """One thread: the base copied, then every source element added at its place."""
    base, index, source = scatter.inputs
    axis = scatter.attrs["axis"]
    out = Writer(1)
    copy = Scope(Writer(2), frozenset({"i"}))
    i = Var("i", base.type.size)
    text = body.value(base, Index.of(i), copy)
    out.open(f"for (long i = 0; i < {base.type.size}; i++)")
    out.extend(copy.out)
    out(f"o0[i] = {text};")
    out.close()
    add = Scope(Writer(2), frozenset({"n"}))
    n = Index.of(Var("n", source.type.size))
    target = body.value(index, n, add)
    value = body.value(source, n, add)
    coordinates = list(split(n, source.shape))
    coordinates[axis] = Index()
    width = prod(base.shape[axis + 1 :])
    out.open(f"for (long n = 0; n < {source.type.size}; n++)")
    out.extend(add.out)
    out(f"o0[{index_text(join(coordinates, base.shape))} + {width} * {target}] += {value};")
    out.close()
    return out, 1


def attention_kernel(isa: Isa, node: Node) -> TeamKernel:
    """Attention, forward or backward, on the flash-style templates."""
    graph = node.body
    assert graph is not None
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
        mask = attention.Mask("bool" if given.dtype.kind == "bool" else given.dtype.short, windows[extra][2])
    *lead, queries, dim = q.shape
    batch, heads = prod(lead[:-1]), lead[-1] if lead else 1
    out_value = op.inputs[3] if backward else op.outputs[0]
    out_strides = windows[3][2] if backward else _contiguous(out_value)
    spec = attention.AttentionSpec(
        "NAME", batch, heads, queries, k.shape[-2], dim, _name(q.dtype),
        windows[0][2], windows[1][2], windows[2][2], out_strides,
        attention_scale(attrs["scale"], dim), attrs["causal"], mask, attrs["dropout"], attrs["index"],
    )  # fmt: skip
    middle = list(windows[extra:])
    ins = [("in", i, offset) for i, offset, _ in windows[:3]] + [("in", i, offset) for i, offset, _ in middle]
    outs = [("out", i, 0) for i in range(len(graph.outputs))]
    if backward:
        packed = graph.outputs[0].producer
        assert packed is not None
        grads = [_contiguous(v) for v in op.outputs]
        if packed.op.reads == "parts":
            places = _packed_gradients(op, packed)
            outs = [("out", 0, offset) for offset, _ in places]
            grads = [strides for _, strides in places]
        whole = attention.AttentionGradSpec("NAME", spec, windows[5][2], *grads)
        text = attention.backward_kernel(isa, whole)
        ins += [("in", i, offset) for i, offset, _ in windows[3:6]]
        return _team(isa, text, ins + outs, whole)
    return _team(isa, attention.forward_kernel(isa, spec), ins + outs, spec)


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


def _team(
    isa: Isa,
    text: str,
    pointers: list[tuple[str, int, int]],
    spec: attention.AttentionSpec | attention.AttentionGradSpec,
) -> TeamKernel:
    private = attention.scratch_bytes(isa, spec, 1)
    return TeamKernel(text, pointers, spec.micro_kernels(isa), 0, private)


def _name(dtype: DType) -> str:
    return dtype.short


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

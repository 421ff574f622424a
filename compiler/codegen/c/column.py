"""Column kernels: reductions over the rows, a range of columns at a time.

There are no partial results, and the order of a sum is the same for any range.
"""

from __future__ import annotations

from compiler.codegen.c.body import Scope
from compiler.codegen.c.kernels import LoopKernel, range_kernel
from compiler.codegen.c.loops import Loops
from compiler.codegen.c.reduction import join_text, start_text
from compiler.codegen.c.spelling import COMPUTE
from compiler.codegen.c.writer import Writer
from compiler.codegen.kernel import Kernel

BLOCK = 512  # columns whose running sums stand on the stack


def claims(kernel: Kernel) -> bool:
    """Whether every reduction of a kernel leaves a number for each column."""
    return kernel.kind == "column" and all(s.width > 1 for s in kernel.sinks.values())


class ColumnSums(Loops):
    """Writes the kernel of a node that :func:`claims` accepts."""

    def write(self) -> LoopKernel:
        kernel, out = self.kernel, Writer()
        for sink in kernel.sinks.values():
            out(f"{COMPUTE[sink.dtype]} s{sink.output}[{BLOCK}];")
        around = Scope()
        rows = Scope("r", around)
        inner = Scope("c", rows)
        joins = []
        for value, sink in kernel.sinks.items():
            assert value.producer is not None
            term = self.body.value(value.producer.inputs[0], self.element, inner)
            joins.append(join_text(sink.op, sink.dtype, f"s{sink.output}[c - from]", term))
        joins += self.stores({i: v for i, v in enumerate(kernel.outputs) if not kernel.is_sink(v)}, inner)
        with out.block(f"for (long from = begin; from < end; from += {BLOCK})"):
            out(f"const long to = from + {BLOCK} < end ? from + {BLOCK} : end;")
            for sink in kernel.sinks.values():
                start = start_text(sink.op, sink.dtype)
                out(f"for (long c = from; c < to; c++) s{sink.output}[c - from] = {start};")
            out(*around.lines)
            with out.block(f"for (long r = 0; r < {kernel.rows}; r++)"):
                out(*rows.lines, "#pragma omp simd")
                out.nest("for (long c = from; c < to; c++)", [*inner.lines, *joins])
            for value, sink in kernel.sinks.items():
                stored = self.body.stored(value, f"s{sink.output}[c - from]")
                out(f"for (long c = from; c < to; c++) o{sink.output}[c] = {stored};")
        return range_kernel(self.body, out, kernel.columns, 16)

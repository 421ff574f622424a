"""Order along the last axis: a heap of the places that come first, which is taken apart from its root.

The root is the last of the places kept so far. One that comes before it takes its place: where only few are wanted,
most elements of a long row cost one comparison.
"""

from __future__ import annotations

from compiler.codegen.c.body import Body, Scope
from compiler.codegen.c.kernels import LoopKernel, parameters_of
from compiler.codegen.kernel import only_op
from compiler.index import Index, Var
from compiler.ir.graph import Node

_TEXT = """\
/* Whether place a of row r comes before place b. */
INLINE int NAME_before(long r, long a, long b{inputs}) {{
{loads}
  const int less = {less}, more = {more};
  return less || (!more && a < b);
}}

/* Puts a place into a heap of n, at the root `at` or below it, under all places that come behind it. */
INLINE void NAME_sink(int64_t *heap, long n, long at, long place, long r{inputs}) {{
  for (long next = 2 * at + 1; next < n; next = 2 * at + 1) {{
    if (next + 1 < n && NAME_before(r, heap[next], heap[next + 1]{passed})) ++next;
    if (!NAME_before(r, place, heap[next]{passed})) break;
    heap[at] = heap[next];
    at = next;
  }}
  heap[at] = place;
}}

KERNEL void NAME(long begin, long end, {parameters}) {{
  for (long r = begin; r < end; r++) {{
    int64_t *const heap = o0 + r * {count};
    for (long n = 0; n < {count}; n++) heap[n] = n;
    for (long n = {count} / 2 - 1; n >= 0; n--) NAME_sink(heap, {count}, n, heap[n], r{passed});
    for (long n = {count}; n < {length}; n++)
      if (NAME_before(r, n, heap[0]{passed})) NAME_sink(heap, {count}, 0, n, r{passed});
    for (long n = {count} - 1; n > 0; n--) {{
      const long place = heap[n];
      heap[n] = heap[0];
      NAME_sink(heap, n, 0, place, r{passed});
    }}
  }}
}}
"""


def sort_kernel(node: Node) -> LoopKernel:
    """``argsort``; threads share the rows."""
    sort, body = only_op(node), Body(node.inner)
    (x,), count = sort.inputs, sort.attrs["count"]
    length = x.shape[-1]
    rows = x.type.size // length if count else 0
    scope = Scope("ab")
    row = Index.of(Var("r", rows)) * length
    first, second = (body.value(x, row + Index.of(Var(place, length)), scope) for place in "ab")
    less, more = (f"{p} < {q}" for p, q in ((first, second), (second, first)))
    if x.dtype.kind == "float":
        less += f" || ({second} != {second} && {first} == {first})"
        more += f" || ({first} != {first} && {second} == {second})"
    if sort.attrs["descending"]:
        less, more = more, less
    parameters, operands = parameters_of(body)
    inputs = [(text, f"a{i}") for text, (kind, i, _) in zip(parameters, operands, strict=True) if kind == "in"]
    text = _TEXT.format(
        inputs="".join(f", {text}" for text, _ in inputs),
        passed="".join(f", {name}" for _, name in inputs),
        parameters=", ".join(parameters),
        loads="\n".join(f"  {line}" for line in scope.lines),
        less=less,
        more=more,
        count=count,
        length=length,
    )
    return LoopKernel(text, operands, rows, checks=body.checks)

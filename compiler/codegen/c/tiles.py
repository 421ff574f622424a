"""Register tiles and panel packing: the static functions that matrix kernels of one C file share.

A panel of width W holds a block of a matrix as [k][W] f32, or as [ceil(k / 2)][W] pairs of bf16 for the dot product.
"""

from __future__ import annotations

from dataclasses import dataclass

from compiler.codegen.c.isa import Isa

C_TYPE = {"f32": "float", "bf16": "bf16", "f16": "f16"}
TO_F32 = {"f32": "{}", "bf16": "bf16_to_f32({})", "f16": "f16_to_f32({})"}
FROM_F32 = {"f32": "{}", "bf16": "f32_to_bf16({})", "f16": "f32_to_f16({})"}
CONVERSIONS: dict[str, tuple[str, ...]] = {"f32": (), "bf16": ("bf16_to_f32",), "f16": ("f16_to_f32",)}


@dataclass(frozen=True, order=True)
class Tile:
    """C[rows, vectors * lanes] (+)= A[rows, k] B[k, ...] in registers.

    `a` says how A lies: "rows" has neighbours along k at distance one, "columns" has them along the rows (as a packed
    panel does), "pairs" is a packed panel of bf16 pairs.
    """

    rows: int
    vectors: int
    a: str

    @property
    def name(self) -> str:
        return f"tile_{self.rows}x{self.vectors}_{self.a}"

    def uses(self) -> set[str]:
        """Names of the prelude parts the text calls."""
        return {"vectors", "bf16_dot"} if self.a == "pairs" else {"vectors"}

    def text(self, isa: Isa) -> str:
        """The function; strides count elements, or pairs for packed bf16."""
        element = "uint32_t" if self.a == "pairs" else "float"
        columns = self.vectors * isa.lanes
        load_b = "vu" if self.a == "pairs" else "vf"
        value = {
            "rows": "a[i * lda + p]",
            "columns": "a[p * lda + i]",
            "pairs": "a[p * lda + i]",
        }[self.a]
        where = {
            "rows": "A(i, p) is a[i * lda + p]",
            "columns": "A(i, p) is a[p * lda + i]",
            "pairs": "k counts pairs, A(i, p) is a[p * lda + i]",
        }[self.a]
        if self.a == "pairs":
            read = f"bv[j] = *(const {load_b} *)(b + p * ldb + LANES * j);"
            scalar = f"const vu av = {value} - (vu){{0}};"
            update = "acc[i][j] = dot_bf16(acc[i][j], av, bv[j]);"
        else:
            read = "bv[j] = vload(b + p * ldb + LANES * j);"
            scalar = f"const float av = {value};"
            update = "acc[i][j] += av * bv[j];"
        return f"""\
/* C[{self.rows},{columns}] = A[{self.rows},k] B[k,{columns}], plus C if `add`; {where}. */
NOINLINE void {self.name}(long k, const {element} *a, long lda, const {element} *b, long ldb,
    float *c, long ldc, int add) {{
  vf acc[{self.rows}][{self.vectors}];
  UNROLL for (int i = 0; i < {self.rows}; ++i)
    UNROLL for (int j = 0; j < {self.vectors}; ++j) acc[i][j] = (vf){{0}};
  for (long p = 0; p < k; ++p) {{
    {load_b} bv[{self.vectors}];
    UNROLL for (int j = 0; j < {self.vectors}; ++j) {read}
    UNROLL for (int i = 0; i < {self.rows}; ++i) {{
      {scalar}
      UNROLL for (int j = 0; j < {self.vectors}; ++j) {update}
    }}
  }}
  if (add)
    UNROLL for (int i = 0; i < {self.rows}; ++i)
      UNROLL for (int j = 0; j < {self.vectors}; ++j) acc[i][j] += vload(c + i * ldc + LANES * j);
  UNROLL for (int i = 0; i < {self.rows}; ++i)
    UNROLL for (int j = 0; j < {self.vectors}; ++j) vstore(c + i * ldc + LANES * j, acc[i][j]);
}}
"""


@dataclass(frozen=True, order=True)
class Pack:
    """Copies w <= width rows of a matrix, k long, into a panel; the panel's other rows hold no meaning.

    `order` says which neighbours lie at distance one: "rows" those along k, "columns" those along the panel,
    "strided" none. `form` is the panel's element: "f32", "rounded" (f32 rounded to bf16) or "pairs" (of bf16).
    """

    width: int
    dtype: str
    order: str
    form: str

    @property
    def name(self) -> str:
        return f"pack_{self.order}_{self.dtype}_{self.form}_{self.width}"

    def call(self, panel: str, w: str, k: str, source: str, strides: tuple[int, int]) -> str:
        """The call that packs rows at `source`, whose (row, k) strides are given."""
        distances = {"rows": strides[:1], "columns": strides[1:], "strided": strides}[self.order]
        return f"{self.name}({', '.join([panel, w, k, source, *map(str, distances)])});"

    def uses(self) -> set[str]:
        """Names of the prelude parts the text calls."""
        convert = {"f32": (), "rounded": ("round_bf16",), "pairs": ("bf16_dot", "f32_to_bf16")}[self.form]
        return {"vectors", *CONVERSIONS[self.dtype], *convert}

    def needs_transpose(self) -> bool:
        return self.order == "rows"

    def text(self, isa: Isa) -> str:
        """The function."""
        pairs = self.form == "pairs"
        distances = {"rows": "long rs", "columns": "long ks", "strided": "long rs, long ks"}[self.order]
        source = {"rows": "s[i * rs + p]", "columns": "s[p * ks + i]", "strided": "s[i * rs + p * ks]"}[self.order]
        layout = f"d[p / 2][{self.width}] pairs" if pairs else f"d[p][{self.width}]"
        body = self._pairs(isa) if pairs else self._single(isa)
        return f"""\
/* {layout} from {source}, i < w, p < k. */
NOINLINE void {self.name}({"uint32_t" if pairs else "float"} *restrict d, long w, long k,
    const {C_TYPE[self.dtype]} *restrict s, {distances}) {{
{body}}}
"""

    def _value(self, element: str) -> str:
        value = TO_F32[self.dtype].format(element)
        return f"round_bf16({value})" if self.form == "rounded" and self.dtype != "bf16" else value

    def _single(self, isa: Isa) -> str:
        width = self.width
        if self.order == "columns":
            return f"""\
  if (w == {width}) {{
    for (long p = 0; p < k; ++p)
      for (long i = 0; i < {width}; ++i) d[p * {width} + i] = {self._value("s[p * ks + i]")};
    return;
  }}
  for (long p = 0; p < k; ++p)
    for (long i = 0; i < {width}; ++i) d[p * {width} + i] = i < w ? {self._value("s[p * ks + i]")} : 0.0f;
"""
        if self.order == "strided":
            return f"""\
  for (long p = 0; p < k; ++p)
    for (long i = 0; i < {width}; ++i) d[p * {width} + i] = i < w ? {self._value("s[i * rs + p * ks]")} : 0.0f;
"""
        if self.dtype == "f32" and self.form == "f32":
            load = "r[l] = vload(row);"
        else:
            load = f"""\
float t[LANES];
        for (int q = 0; q < LANES; ++q) t[q] = {self._value("row[q]")};
        r[l] = vload(t);"""
        return f"""\
  const long whole = k / LANES * LANES;
  for (long p = 0; p < whole; p += LANES)
    for (long i = 0; i < {width}; i += LANES) {{
      vf r[LANES];
      UNROLL for (int l = 0; l < LANES; ++l) {{
        const {C_TYPE[self.dtype]} *row = s + (i + l < w ? i + l : w - 1) * rs + p; /* past w, the last again */
        {load}
      }}
      transpose(r);
      UNROLL for (int l = 0; l < LANES; ++l) {self._store(isa)}
    }}
  for (long i = 0; i < {width}; ++i) {{
    const {C_TYPE[self.dtype]} *row = s + (i < w ? i : w - 1) * rs;
    for (long p = whole; p < k; ++p) d[p * {width} + i] = {self._value("row[p]")};
  }}
"""

    def _store(self, isa: Isa, row: str = "p + l", kind: str = "vstore") -> str:
        at = f"d + ({row}) * {self.width} + i"
        if self.width < isa.lanes or self.width % isa.lanes == 0:  # a short row spills into the next, stored after it
            return f"vstore((float *)({at}), (vf)r[l]);" if kind == "pairs" else f"vstore({at}, r[l]);"
        return f"memcpy({at}, &r[l], 4 * ({self.width} - i < LANES ? {self.width} - i : LANES));"

    def _pairs(self, isa: Isa) -> str:
        width = self.width
        scalar = FROM_F32["bf16"].format(TO_F32[self.dtype].format("{}"))

        def element(at: str) -> str:
            return at if self.dtype == "bf16" else scalar.format(at)

        if self.order == "columns" and self.dtype != "f16":
            return f"""\
  for (long p = 0; p < k; p += 2)
    for (long i = 0; i < {width}; i += LANES) {{
      const int n = (int)(w - i < 0 ? 0 : w - i < LANES ? w - i : LANES);
      const {C_TYPE[self.dtype]} *even = s + p * ks + i;
      vu r[1] = {{pair_{self.dtype}(even, p + 1 < k ? even + ks : NULL, n)}};
      const int l = 0;
      {self._store(isa, "p / 2", "pairs")}
    }}
"""
        at = {"rows": "s[i * rs + {}]", "columns": "s[({}) * ks + i]", "strided": "s[i * rs + ({}) * ks]"}[self.order]
        tail = f"""\
  for (; p < k; p += 2)
    for (long i = 0; i < {width}; ++i) {{
      const uint32_t low = i < w ? {element(at.format("p"))} : 0;
      const uint32_t high = i < w && p + 1 < k ? {element(at.format("p + 1"))} : 0;
      d[p / 2 * {width} + i] = low | high << 16;
    }}
"""
        if self.order != "rows" or self.dtype == "f16":
            return "  long p = 0;\n" + tail
        return (
            f"""\
  long p = 0;
  for (; p + 2 * LANES <= k; p += 2 * LANES)
    for (long i = 0; i < {width}; i += LANES) {{
      vf r[LANES];
      UNROLL for (int l = 0; l < LANES; ++l)
        r[l] = (vf)row_pairs_{self.dtype}(s + (i + l < w ? i + l : w - 1) * rs + p); /* past w, the last again */
      transpose(r);
      UNROLL for (int l = 0; l < LANES; ++l) {self._store(isa, "p / 2 + l", "pairs")}
    }}
"""
            + tail
        )


def transpose(isa: Isa) -> str:
    """`transpose(r)`: LANES vectors of LANES f32 in place, by 4x4 blocks and then by blocks of whole quarters."""
    lanes = isa.lanes

    def shuffle(a: str, b: str, picks: list[int]) -> str:
        return f"__builtin_shufflevector({a}, {b}, {', '.join(map(str, picks))})"

    def quarterly(*picks: int) -> list[int]:
        return [quarter + pick for quarter in range(0, lanes, 4) for pick in picks]

    low, high = quarterly(0, lanes, 1, lanes + 1), quarterly(2, lanes + 2, 3, lanes + 3)
    first, second = quarterly(0, 1, lanes, lanes + 1), quarterly(2, 3, lanes + 2, lanes + 3)
    text = f"""\
INLINE void transpose(vf *r) {{
  UNROLL for (int i = 0; i < LANES; i += 4) {{
    const vf a = {shuffle("r[i]", "r[i + 1]", low)};
    const vf b = {shuffle("r[i]", "r[i + 1]", high)};
    const vf c = {shuffle("r[i + 2]", "r[i + 3]", low)};
    const vf d = {shuffle("r[i + 2]", "r[i + 3]", high)};
    r[i] = {shuffle("a", "c", first)};
    r[i + 1] = {shuffle("a", "c", second)};
    r[i + 2] = {shuffle("b", "d", first)};
    r[i + 3] = {shuffle("b", "d", second)};
  }}
"""
    block = 4
    while block < lanes:
        even = [x if not x // block % 2 else x - block + lanes for x in range(lanes)]
        odd = [x + block if not x // block % 2 else x + lanes for x in range(lanes)]
        text += f"""\
  UNROLL for (int i = 0; i < LANES; ++i)
    if (!(i & {block})) {{
      const vf a = r[i], b = r[i + {block}];
      r[i] = {shuffle("a", "b", even)};
      r[i + {block}] = {shuffle("a", "b", odd)};
    }}
"""
        block *= 2
    return text + "}\n"

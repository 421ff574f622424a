"""Kernels in generated code."""

from genesis.explore.code import spans

C = """\
static int helper(int x) { return x; }

/* first */
KERNEL void k1_dot(long begin, long end,
    float *x) {
  for (;;) {
  }
}

#if PART != 2
KERNEL void k2_add(int n);
#endif

/* second: two lines
   of a comment */
KERNEL void k2_add(int n) {
  k1_dot(0, n, 0);
}

NOINLINE void combine(long n) { /* in one */
  n++;
}
"""

TRITON = '''\
import triton

# a.py:3 net
# x f32[4]
@triton.jit
def flat_add(
    x,
):
    """4 elements."""
    y = 1

    return y


@triton.jit
def flat_add_2(x):
    return x
'''


def test_kernels_are_found_with_the_comments_above() -> None:
    found = spans(C, "c", ["k2_add", "k1_dot", "combine", "k1_dot", "memcpy"])
    lines = C.splitlines()
    assert {name: (lines[a], lines[b]) for name, (a, b) in found.items()} == {
        "k2_add": ("/* second: two lines", "}"),
        "k1_dot": ("/* first */", "}"),
        "combine": ("NOINLINE void combine(long n) { /* in one */", "}"),
    }
    assert found["k1_dot"] == (2, 7) and found["k2_add"] == (13, 17)


def test_triton_functions_end_where_the_next_begins() -> None:
    assert spans(TRITON, "triton", ["flat_add", "flat_add_2"]) == {"flat_add": (2, 11), "flat_add_2": (14, 16)}

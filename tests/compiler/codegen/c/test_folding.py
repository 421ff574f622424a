"""Kernels read as a person's: what folding does to a function, and what it leaves as it is."""

import pytest

from compiler.codegen.c import unit
from compiler.codegen.c.folding import WIDTH, folded
from compiler.codegen.c.isa import ISAS
from compiler.pipeline import Stages, lowering
from tests.samples import sample_graph, samples_of


def inside(*lines: str) -> str:
    """``lines`` as the body of a loop."""
    return "\n".join(["for (long i = begin; i < end; i++) {", *(f"  {line}" for line in lines), "}"])


@pytest.mark.parametrize(
    ("value", "use", "expected"),
    [
        ("x + y", "o[i] = t1 + z;", "o[i] = x + y + z;"),
        ("x + y", "o[i] = z + t1;", "o[i] = z + (x + y);"),
        ("x + y", "o[i] = t1 * z;", "o[i] = (x + y) * z;"),
        ("x * y", "o[i] = z - t1;", "o[i] = z - x * y;"),
        ("x / y", "o[i] = z * t1;", "o[i] = z * (x / y);"),
        ("-x", "o[i] = z - t1;", "o[i] = z - (-x);"),
        ("x * y", "o[i] = -t1;", "o[i] = -(x * y);"),
        ("x + y", "o[i] = (float)t1;", "o[i] = (float)(x + y);"),
        ("x + y", "o[i] = expf(t1);", "o[i] = expf(x + y);"),
        ("a[i]", "o[i] = (float)t1;", "o[i] = (float)a[i];"),
        ("x > y", "o[i] = t1 ? x : y;", "o[i] = x > y ? x : y;"),
        ("x > y", "o[i] = t1 != z;", "o[i] = (x > y) != z;"),
        ("x > y", "o[i] = t1 & z;", "o[i] = (x > y) & z;"),
        ("c ? x : y", "o[i] = t1 * z;", "o[i] = (c ? x : y) * z;"),
        ("x * y", "o[i] = c ? t1 : z;", "o[i] = c ? x * y : z;"),
        ("1e-05f", "o[i] = t1 + x;", "o[i] = 1e-05f + x;"),
    ],
)
def test_a_value_used_once_is_folded_with_the_brackets_it_needs(value: str, use: str, expected: str) -> None:
    assert folded(inside(f"const float t1 = {value};", use)) == inside(expected)


@pytest.mark.parametrize(
    ("value", "between", "use"),
    [
        ("a[i]", [], "o[i] = c ? t1 : 0.0f;"),  # the read would depend on c
        ("x / y", [], "o[i] = c ? t1 : 0.0f;"),
        ("expf(x)", [], "o[i] = c ? t1 : 0.0f;"),
        ("a[i]", ["a[i] = x;"], "o[i] = t1;"),  # written in between
        ("a[i]", ["memcpy(p, q, n);"], "o[i] = t1;"),
        ("m", ["m += x;"], "o[i] = t1;"),
        ("x + y", [], "o[i] = t1 * t1;"),
        ("x" * WIDTH + " + y", [], "o[i] = t1;"),
        ("x + y", ["for (long j = 0; j < 4; j++) {", "  o[j] = t1;"], "}"),  # would be computed in every iteration
    ],
)
def test_a_value_keeps_its_name(value: str, between: list[str], use: str) -> None:
    text = inside(f"const float t1 = {value};", *between, use)
    assert folded(text) == text


def test_a_name_for_a_name_and_a_value_without_use_go() -> None:
    text = inside("const int64_t t1 = i;", "const float t2 = x + y;", "o[t1] = a[t1];")
    assert folded(text) == inside("o[i] = a[i];")


def test_a_check_is_made_once_and_where_its_value_goes() -> None:
    check = "gen_bounded(status, 0, x, 3, i)"
    assert folded(inside(f"const int64_t t1 = {check};", "o[i] = t1;")) == inside(f"o[i] = {check};")
    for use in ("o[i] = x;", "o[i] = t1 * t1;", "o[i] = c ? t1 : 0;"):
        text = inside(f"const int64_t t1 = {check};", use)
        assert folded(text) == text


def test_the_first_column_of_a_product_has_no_name() -> None:
    text = inside(
        "const long j0 = 0;", "f(o + i * 8 + j0, 8);", "const long j = j0 + col;", "o[i * 8 + j] = u1[j - j0];"
    )
    assert folded(text) == inside("f(o + i * 8, 8);", "o[i * 8 + col] = u1[col];")


def test_a_chosen_number_keeps_the_type_of_its_name() -> None:
    text = inside("const int64_t t1 = c ? 100000 : 0;", "o[i] = t1 * 100000;")
    assert folded(text) == text


def test_names_of_one_block_do_not_count_in_the_next() -> None:
    block = inside("const float t1 = a[i];", "o[i] = t1;")
    assert folded(f"{block}\n{block}") == "\n".join([inside("o[i] = a[i];")] * 2)


def test_loops_of_one_iteration_are_left_out() -> None:
    text = "\n".join(
        [
            "for (long p = 0; p < 1; ++p) {",
            "  const long first = p * 8 + j;",
            "  for (long q = 0; q < 2; ++q)",
            "#pragma omp simd",
            "    for (long c = 0; c < 1; c++) o[first + q * 4 + c] = 0;",
            "  for (long k = 0; k < 7; k += 8)",
            "    s[k + j] = 1;",
            "  for (long k = 0; k < 1; k++) o[6 * k + j] = a[k * 6 * n + x[j] * k + k / 2];",
            "}",
        ]
    )
    assert folded(text).split("\n") == [
        "const long first = j;",
        "for (long q = 0; q < 2; ++q)",
        "  o[first + q * 4] = 0;",
        "s[j] = 1;",
        "o[j] = a[0 * n + x[j] * 0 + 0 / 2];",
    ]


def test_adamw_has_a_line_for_every_moment_and_no_more_names_than_are_used_twice() -> None:
    sample = next(s for s in samples_of("adam_update") if s.attrs.get("decoupled") and not s.attrs.get("amsgrad"))
    source = unit.emit(Stages(sample_graph(sample)).run(lowering(unit.FEATURES)), ISAS["portable"]).source
    loop = source[source.index("for (long i = begin") :].split("\n  }\n")[0].split("\n")[1:]
    assert len(loop) <= 9, "\n".join(loop)
    names = [line.split()[2] for line in loop if " const " in line]
    assert all("\n".join(loop).count(name) > 2 for name in names), "\n".join(loop)

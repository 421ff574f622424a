"""Index maps as text: what C and Python compute of it is what the index means."""

import pytest

from compiler.codegen.indices import index_text
from compiler.index import Index, Var, split

R, C = Index.of(Var("r", 5)), Index.of(Var("c", 12))


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (Index(), "0"),
        (R * 12 + C, "r * 12 + c"),
        (C.shifted(-3), "c - 3"),
        (C * -2, "c * -2"),
        (split(C, (3, 4))[0] * 7, "c // 4 * 7"),
        (split((C + R).shifted(2), (4, 5))[1], "(c + r + 2) % 5"),
    ],
)
def test_text(index: Index, expected: str) -> None:
    text = index_text(index, "//")
    assert text == expected
    for r in range(5):
        for c in range(12):
            assert eval(text, {"r": r, "c": c}) == value(index, {"r": r, "c": c})


def test_variables_are_converted_one_by_one() -> None:
    assert index_text(split(C, (3, 4))[0] * 7 + R, "//", ".to(wide)") == "c.to(wide) // 4 * 7 + r.to(wide)"


def value(index: Index, at: dict[str, int]) -> int:
    """The number that an index is for these loop variables."""

    def of(var: Var) -> int:
        if var.of is None:
            return at[var.name]
        inner = value(var.of, at)
        return inner // var.by if var.op == "/" else inner % var.by

    return index.constant + sum(c * of(v) for v, c in index.terms)

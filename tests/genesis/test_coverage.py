"""docs/coverage.md is what calls of every name show; marks that a name is eager only are right."""

from collections.abc import Callable

import pytest

import genesis
from compiler.pipeline import release
from genesis.optim import LBFGS
from genesis.scope import DATA_SHAPE, reason_of
from tests.coverage import LINES, Called, coverage_page, measured

if not release("triton"):
    pytest.skip("the page says what Triton compiles", allow_module_level=True)


def test_the_page_is_current_and_full(generated: Callable[[str, str], None]) -> None:
    page = coverage_page()
    assert not [line for line in page.split("\n") if line.startswith("|") and "|  |" in line]
    generated("docs/coverage.md", page)


def test_a_wrong_mark_is_found() -> None:
    call = Called("t.nonzero(x)", genesis)
    assert measured(call).c == call.reason == DATA_SHAPE
    call.reason = ""
    with pytest.raises(AssertionError, match="has no mark"):
        measured(call)
    call = Called("t.exp(x)", genesis)
    call.reason = "wrong"
    with pytest.raises(AssertionError, match="compiles, and is marked"):
        measured(call)


def test_a_mark_of_a_class_or_module_counts_for_what_is_inside() -> None:
    assert reason_of(LBFGS) and reason_of(genesis.save) == reason_of(genesis.optim.lr_scheduler.StepLR) != ""
    assert not reason_of(genesis.cuda.amp.autocast) and not reason_of(genesis.sin) and not reason_of(genesis.nn.Linear)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("t.nn.Linear(3, 2)(x)", "nn.Linear"),
        ("x.unfold(0, 1, 1)", "Tensor.unfold"),
        ("t.optim.Adam([p]).step()", "optim.Adam"),
        ("t.nn.ModuleList([t.nn.Tanh()])[0](x)", "nn.ModuleList"),
        ("F.relu(x)", "nn.functional.relu"),
        ("t.no_grad()(lambda a: a * 2)(x)", "no_grad"),
    ],
)
def test_a_line_names_what_it_calls(line: str, name: str) -> None:
    assert Called(line, genesis).name == name


def test_a_name_has_one_line() -> None:
    names = [Called(line, genesis).name for line in LINES]
    assert len(set(names)) == len(names)

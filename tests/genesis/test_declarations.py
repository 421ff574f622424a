"""The stubs and the page of the API are those of the tables of names; a name is written once."""

import sys
from collections.abc import Callable

import pytest

import genesis
import genesis.nn.functional
from compiler.errors import CompilerError
from genesis.functions import table
from genesis.tensor import Tensor

if sys.version_info < (3, 11):
    pytest.skip("typing.get_overloads came with Python 3.11", allow_module_level=True)

from tests.declarations import declarations


@pytest.mark.parametrize("path", sorted(declarations()))
def test_what_is_generated_is_current(path: str, generated: Callable[[str, str], None]) -> None:
    generated(path, declarations()[path])


def test_tables_and_modules_have_the_same_names() -> None:
    assert set(table.FUNCTIONS) <= set(genesis.__all__)
    assert all(getattr(genesis, name) is f for name, f in table.FUNCTIONS.items())
    assert all(getattr(genesis.nn.functional, name) is f for name, f in table.FUNCTIONAL.items())
    assert all(getattr(Tensor, name) is f for name, f in table.METHODS.items())
    assert all(hasattr(Tensor, name) for name in table.IN_PLACE)


def test_one_decorator_makes_a_function_with_all_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FUNCTIONS", "METHODS", "IN_PLACE", "FUNCTIONAL"):
        monkeypatch.setattr(table, name, {})

    @table.api(inplace=True, functional=True, alias=("twice",))
    def doubled(input: Tensor) -> Tensor:
        """``2 x``."""
        return input + input

    assert set(table.FUNCTIONS) == set(table.METHODS) == set(table.FUNCTIONAL) == {"doubled", "twice"}
    assert set(table.IN_PLACE) == {"doubled_", "twice_"}
    with pytest.raises(CompilerError, match="'twice' is the name of two functions"):
        table.method_only(type(doubled)(doubled.__code__, globals(), "twice"))

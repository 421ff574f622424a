"""The stubs and the page of the API follow the tables of names; a name is written once."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import genesis
import genesis.nn.functional
from compiler.errors import CompilerError
from genesis.functions import table
from genesis.tensor import Tensor

if sys.version_info < (3, 11):
    pytest.skip("typing.get_overloads came with Python 3.11", allow_module_level=True)

from tests.declarations import declarations
from tests.reference import classes_page

GENERATED = {**declarations(), "docs/classes.md": classes_page()}


@pytest.mark.parametrize("path", sorted(GENERATED))
def test_what_is_generated_is_current(path: str, generated: Callable[[str, str], None]) -> None:
    generated(path, GENERATED[path])


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


_ADDED = '''

@api(inplace=True, functional=True, alias=("third_power",))
def cube(input: Tensor, scale: float = 1.0) -> Tensor:
    """``scale * x³``."""
    return mul(mul(input, mul(input, input)), scale)
'''

_PROGRAM = """
import sys
from importlib.util import spec_from_file_location

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return spec_from_file_location(name, sys.argv[1]) if name == "genesis.functions.pointwise" else None

sys.meta_path.insert(0, Finder)
import genesis
from tests.declarations import declarations

x = genesis.tensor([2.0])
calls = [genesis.cube, genesis.third_power, x.__class__.cube, genesis.nn.functional.cube, genesis.Tensor.third_power_]
print([call(x.clone(), scale=0.5).item() for call in calls])
print(genesis.compile(lambda x: x.cube().sum(), backend="interpret")(x).item())
for text in declarations().values():
    print("cube" in text)
print("def cube_(self, scale: builtins.float = 1.0) -> Tensor" in declarations()["genesis/methods.pyi"])
"""


def test_a_function_is_added_in_the_file_of_its_family(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    family = tmp_path / "pointwise.py"
    family.write_text((root / "genesis/functions/pointwise.py").read_text() + _ADDED)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, family], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.stdout.split("\n") == [str([4.0] * 5), "8.0", *["True"] * 5, ""], done.stderr

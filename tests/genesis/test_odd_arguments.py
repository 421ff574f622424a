"""Every function with arguments of kinds and shapes that it may not take: a result, or an error that names the line."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from inspect import Parameter, signature
from typing import Any

import pytest

import genesis
from genesis.functions.table import FUNCTIONAL, FUNCTIONS, METHODS

TENSORS: list[Callable[[], genesis.Tensor]] = [
    lambda: genesis.ones(2, 3),
    lambda: genesis.ones(()),
    lambda: genesis.zeros(0),
    lambda: genesis.ones(3).long(),
    lambda: genesis.ones(2, 3, 4, 4),
]
ODD: list[Any] = ["a", None, (0,), 2.5, -1, 0, [], 2j]
OTHER_ERRORS = {
    "from_dlpack": "takes an object of another library",
    "from_numpy": "takes an array",
    "frombuffer": "takes a buffer, and raises what NumPy says",
}
TABLES = {"genesis": FUNCTIONS, "nn.functional": FUNCTIONAL, "Tensor": METHODS}


def _usual(parameter: Parameter, make: Callable[[], genesis.Tensor]) -> Any:
    """Values that an argument may well have."""
    kind = str(parameter.annotation)
    if "Sequence[Tensor]" in kind or parameter.name == "tensors":
        return [make(), make()]
    if "Tensor" in kind or parameter.name in ("input", "other"):
        return make()
    return "mean" if kind == "str" else (1,) if kind == "Sequence[int]" else 0.5 if kind == "float" else 1


def _calls(function: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    plain = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    parameters = [p for p in signature(function).parameters.values() if p.kind in plain]
    needed = [p for p in parameters if p.default is Parameter.empty]
    for make in TENSORS:
        yield {p.name: _usual(p, make) for p in needed}
    for parameter in parameters:
        for odd in ODD:
            yield {**{p.name: _usual(p, TENSORS[0]) for p in needed}, parameter.name: odd}
        for make in TENSORS[1:] if parameter in needed else ():
            yield {**{p.name: _usual(p, TENSORS[0]) for p in needed}, parameter.name: _usual(parameter, make)}


@pytest.mark.parametrize("table", TABLES)
def test_every_call_works_or_says_what_is_wrong_and_where(table: str) -> None:
    wrong = []
    for name, function in TABLES[table].items():
        for arguments in _calls(function) if name not in OTHER_ERRORS else ():
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    function(**arguments)
            except genesis.GenesisError as error:
                if "\n  at " not in str(error):
                    wrong.append((name, arguments, error))
            except Exception as error:
                wrong.append((name, arguments, error))
    assert not wrong

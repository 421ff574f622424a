"""Errors of calls whose arguments are of another kind."""

from __future__ import annotations

from typing import Any

import pytest

import genesis


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda x: x.diag((0,)), r"diag\(\): argument 'diagonal' must be int, not tuple"),
        (lambda x: x.diag_embed("a"), r"diag_embed\(\): argument 'offset' must be int, not str"),
        (lambda x: x.rot90(0, 1), r"rot90\(\): argument 'dims' must be a sequence of ints, not int"),
        (lambda x: genesis.nn.functional.pad(x, 2), r"pad\(\): argument 'pad' must be a sequence of ints, not int"),
    ],
)
def test_an_argument_of_another_kind_is_named(call: Any, said: str) -> None:
    with pytest.raises(genesis.GenesisError, match=said):
        call(genesis.zeros(3, 4))

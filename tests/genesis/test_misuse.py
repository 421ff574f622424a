"""A wrong argument of a module, an optimizer or a helper is an error of Genesis that names it and the line."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import ArgumentError
from genesis import nn
from genesis.nn import utils

X = genesis.ones(2, 3)
WRONG: dict[str, Callable[[], Any]] = {
    "BatchNorm1d(): argument 'input' must be Tensor, not list": lambda: nn.BatchNorm1d(3)([1.0]),  # type: ignore[arg-type]
    "Linear(): argument 'input' must be Tensor, not str": lambda: nn.Linear(3, 2)("x"),  # type: ignore[arg-type]
    "LSTMCell(): argument 'input' must be Tensor, not object": lambda: nn.LSTMCell(3, 2)(object()),  # type: ignore[arg-type]
    "MultiheadAttention(): argument 'key' must be Tensor, not list": lambda: nn.MultiheadAttention(3, 1)(X, [X], X),  # type: ignore[list-item,arg-type]
    "CrossEntropyLoss(): argument 'target' must be Tensor, not list": lambda: nn.CrossEntropyLoss()(X, [0, 1]),  # type: ignore[arg-type]
    "ReLU() missing a required argument: 'input'": lambda: nn.ReLU()(),  # type: ignore[call-arg]
    "Linear() too many positional arguments": lambda: nn.Linear(3, 2)(X, X),  # type: ignore[call-arg]
    "should be an iterable of Tensors or dicts, not a int": lambda: genesis.optim.SGD(3),
    "Adam.step(): argument 'closure' must be a function or None, not int": lambda: genesis.optim.Adam([X]).step(3),
    "clip_grad_norm_(): argument 'parameters' must be Tensor or a sequence of Tensors, not int": (
        lambda: utils.clip_grad_norm_(3, 1.0)
    ),
    "pad_packed_sequence(): argument 'sequence' must be PackedSequence, not Tensor": (
        lambda: utils.rnn.pad_packed_sequence(X)
    ),
    "fftshift(): argument 'input' must be Tensor or ComplexTensor, not list of int": lambda: genesis.fft.fftshift([1]),
    "fftfreq(): argument 'n' must be int, not str": lambda: genesis.fft.fftfreq("5"),
    "jvp(): argument 'func' must be a function, not int": lambda: genesis.func.jvp(3, (X,), (X,)),
    "functional_call(): argument 'module' must be Module, not int": lambda: genesis.func.functional_call(3, {}, X),
    "linalg.multi_dot(): argument 'tensors' must be a sequence of Tensors, not int": lambda: genesis.linalg.multi_dot(
        3
    ),
    "frombuffer(): argument 'buffer' must be an object with the buffer protocol": (
        lambda: genesis.frombuffer(3, dtype=genesis.int32)
    ),
    "from_dlpack(): argument 'ext_tensor' must be an object with __dlpack__, not int": lambda: genesis.from_dlpack(3),
}


@pytest.mark.parametrize("message", WRONG)
def test_the_error_names_argument_and_line(message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        WRONG[message]()
    assert isinstance(caught.value, TypeError)
    assert message in str(caught.value) and "\n  at test_misuse.py:" in str(caught.value)


def test_an_array_is_a_tensor_to_a_module() -> None:
    assert nn.Linear(3, 2)(np.ones((4, 3), np.float32)).shape == (4, 2)  # type: ignore[arg-type]


class Users(nn.Module):
    def forward(self, x: "genesis.Tensor") -> Any:
        return self.missing_inside(x) if isinstance(x, list) else len(3)  # type: ignore[arg-type]

    def missing_inside(self, x: Any) -> Any:
        raise AttributeError("their own")


@pytest.mark.parametrize(("given", "said"), [([1], "their own"), (X, "has no len")])
def test_a_module_of_a_user_speaks_for_itself(given: Any, said: str) -> None:
    with pytest.raises((AttributeError, TypeError), match=said) as caught:
        Users()(given)
    assert not isinstance(caught.value, ArgumentError)

"""Mistakes in a user's program that mypy finds; the comments say what it calls each one."""

import genesis
from genesis import Tensor, nn


@genesis.compile(backend="interpret")
def step(x: Tensor, y: Tensor) -> Tensor:
    return x + y


class Trainer:
    @genesis.compile
    def step(self, x: Tensor) -> Tensor:
        return x


x = genesis.ones(2)
layer = nn.Linear(2, 2)
step(x)  # call-arg
step(x, 1)  # arg-type
Trainer().step("x")  # arg-type
layer(1)  # arg-type
x.sofmax(-1)  # attr-defined
x.softmax(dimension=-1)  # call-arg
x.exp_(1)  # call-arg
genesis.sofmax(x, -1)  # attr-defined
nn.functional.relu(x, slope=1)  # call-arg
nn.Linaer(2, 2)  # attr-defined
text: str = x.sum() + 1  # assignment
number: float = genesis.compile(layer)(x)  # assignment

"""A small training step for the tests of the page."""

from typing import Any

import numpy as np

import genesis
from genesis import nn, optim
from genesis.step.captured import Captured


def trained(**options: Any) -> Captured:
    genesis.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)

    @genesis.compile(**options)
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step(np.ones((4, 8), np.float32), np.arange(4))
    assert step._program is not None
    return Captured(step, step._program)

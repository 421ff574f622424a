"""A stack of LSTMs that classifies a sequence by its last step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.models.model import Array, Model, Shapes, jax_linear, linear


@dataclass(frozen=True)
class LSTM(Model):
    """Inputs are f32[batch, length, features]; a linear layer reads the last step of the last layer."""

    features: int
    hidden: int
    layers: int
    length: int
    classes: int
    batch: int

    def __str__(self) -> str:
        return f"LSTM {self.layers}x{self.hidden}, batch {self.batch}, length {self.length}"

    def shapes(self) -> Shapes:
        shapes: Shapes = {}
        for layer in range(self.layers):
            inputs = self.hidden if layer else self.features
            shapes[f"lstm.weight_ih_l{layer}"] = (4 * self.hidden, inputs)
            shapes[f"lstm.weight_hh_l{layer}"] = (4 * self.hidden, self.hidden)
            shapes[f"lstm.bias_ih_l{layer}"] = shapes[f"lstm.bias_hh_l{layer}"] = (4 * self.hidden,)
        return shapes | linear("head", self.hidden, self.classes)

    def batch_of_data(self, random: np.random.Generator) -> tuple[Array, Array]:
        x = random.normal(size=(self.batch, self.length, self.features)).astype(np.float32)
        return x, random.integers(self.classes, size=self.batch)

    def module(self, framework: Any) -> Any:
        nn = framework.nn
        Module: Any = nn.Module
        model = self

        class Classifier(Module):
            def __init__(self) -> None:
                super().__init__()
                self.lstm = nn.LSTM(model.features, model.hidden, model.layers, batch_first=True)
                self.head = nn.Linear(model.hidden, model.classes)

            def forward(self, x: Any) -> Any:
                steps, _ = self.lstm(x)
                return self.head(steps[:, -1])

        return Classifier()

    def jax_logits(self, jax: Any, parameters: dict[str, Any], x: Any, compute: Any) -> Any:
        """The products of the inputs of all steps are one; a scan has those of the hidden state."""
        np = jax.numpy
        steps = np.swapaxes(x, 0, 1).astype(compute)
        for layer in range(self.layers):
            names = (f"lstm.{kind}_l{layer}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            from_input, from_hidden, bias, more = (parameters[name].astype(compute) for name in names)
            start = np.zeros((self.batch, self.hidden), compute)

            def step(state: Any, given: Any, from_hidden: Any = from_hidden) -> Any:
                hidden, cell = state
                i, f, g, o = np.split(given + hidden @ from_hidden, 4, axis=-1)
                cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * np.tanh(g)
                hidden = jax.nn.sigmoid(o) * np.tanh(cell)
                return (hidden, cell), hidden

            _, steps = jax.lax.scan(step, (start, start), steps @ from_input + bias + more)
        return jax_linear(parameters, "head", steps[-1], compute)

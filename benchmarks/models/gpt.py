"""A GPT of characters: the blocks of GPT-2, norms first, exact GELU, no dropout, the head tied to the tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.models.model import Array, Model, Shapes, jax_linear, linear, norm

EPSILON = 1e-5


@dataclass(frozen=True)
class GPT(Model):
    """Inputs are i64[batch, context], as are the labels; logits are ``[batch, context, vocabulary]``."""

    layers: int
    width: int
    heads: int
    context: int
    batch: int
    vocabulary: int = 65

    embeddings = ("tokens.weight", "positions.weight")

    def __str__(self) -> str:
        return f"GPT {self.layers}x{self.width}, batch {self.batch}, context {self.context}"

    def shapes(self) -> Shapes:
        width = self.width
        shapes: Shapes = {"tokens.weight": (self.vocabulary, width), "positions.weight": (self.context, width)}
        for layer in range(self.layers):
            block = f"blocks.{layer}"
            shapes |= norm(f"{block}.norm1", width) | linear(f"{block}.qkv", width, 3 * width)
            shapes |= linear(f"{block}.projection", width, width) | norm(f"{block}.norm2", width)
            shapes |= linear(f"{block}.up", width, 4 * width) | linear(f"{block}.down", 4 * width, width)
        return shapes | norm("norm", width)

    def batch_of_data(self, random: np.random.Generator) -> tuple[Array, Array]:
        text = random.integers(self.vocabulary, size=(self.batch, self.context + 1))
        return np.ascontiguousarray(text[:, :-1]), np.ascontiguousarray(text[:, 1:])

    def module(self, framework: Any) -> Any:
        nn, F = framework.nn, framework.nn.functional
        Module: Any = nn.Module
        model = self

        class Block(Module):
            def __init__(self) -> None:
                super().__init__()
                width = model.width
                self.norm1, self.norm2 = nn.LayerNorm(width, EPSILON), nn.LayerNorm(width, EPSILON)
                self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
                self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

            def forward(self, x: Any) -> Any:
                x = x + self.attention(self.norm1(x))
                return x + self.down(F.gelu(self.up(self.norm2(x))))

            def attention(self, x: Any) -> Any:
                batch, length, width = x.shape
                heads = batch, length, model.heads, width // model.heads
                q, k, v = (part.view(*heads).transpose(1, 2) for part in self.qkv(x).split(width, dim=2))
                mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
                return self.projection(mixed.transpose(1, 2).reshape(batch, length, width))

        class Transformer(Module):
            def __init__(self) -> None:
                super().__init__()
                self.tokens = nn.Embedding(model.vocabulary, model.width)
                self.positions = nn.Embedding(model.context, model.width)
                self.blocks = nn.ModuleList([Block() for _ in range(model.layers)])
                self.norm = nn.LayerNorm(model.width, EPSILON)

            def forward(self, x: Any) -> Any:
                x = self.tokens(x) + self.positions(framework.arange(x.shape[1]))
                for block in self.blocks:
                    x = block(x)
                return F.linear(self.norm(x), self.tokens.weight)

        return Transformer()

    def jax_logits(self, jax: Any, parameters: dict[str, Any], x: Any, compute: Any) -> Any:
        heads = self.batch, self.context, self.heads, self.width // self.heads
        x = parameters["tokens.weight"][x] + parameters["positions.weight"]
        for layer in range(self.layers):
            block = f"blocks.{layer}"
            qkv = jax_linear(parameters, f"{block}.qkv", _jax_norm(jax, parameters, f"{block}.norm1", x), compute)
            q, k, v = (part.reshape(heads) for part in jax.numpy.split(qkv, 3, axis=2))
            mixed = jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(x.shape)
            x = x + jax_linear(parameters, f"{block}.projection", mixed, compute)
            up = jax_linear(parameters, f"{block}.up", _jax_norm(jax, parameters, f"{block}.norm2", x), compute)
            x = x + jax_linear(parameters, f"{block}.down", jax.nn.gelu(up, approximate=False), compute)
        return _jax_norm(jax, parameters, "norm", x).astype(compute) @ parameters["tokens.weight"].astype(compute).T


def _jax_norm(jax: Any, parameters: dict[str, Any], name: str, x: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdims=True)
    inverse = jax.lax.rsqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
    return centred * inverse * parameters[f"{name}.weight"] + parameters[f"{name}.bias"]

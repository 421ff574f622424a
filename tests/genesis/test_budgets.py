"""The work of compiling a step, as counts of built things, which no machine changes. Nothing is timed."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar
from weakref import ref

import numpy as np
import pytest

import genesis
from compiler.codegen.c import gemm_plan, unit
from compiler.codegen.c.isa import ISAS
from compiler.codegen.c.kernels import LoopKernel, TeamKernel
from compiler.ir.graph import Graph, Node, Value
from compiler.pipeline import PASSES, Named, Stages, lowering
from compiler.text.printer import print_graph
from genesis import nn, optim
from genesis.step.program import CompiledFunction
from runtime.toolchain import find_compiler

T = TypeVar("T")
needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C compiler")
TEMPLATES = ("contract", "attention", "convolution")
"""Kinds of kernels that all threads call together."""

LIMITS = {"remat": 1.6}
"""How much more calls a node may take in a graph four times as large, where that is more than 1.2: a shallow graph has
fewer bottlenecks to try."""


class Recurrent(nn.Module):
    """An LSTM and a head on its last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(16, 32, 2, batch_first=True), nn.Linear(32, 10)

    def forward(self, x: genesis.Tensor) -> genesis.Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class Attention(nn.Module):
    """A block of a transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(32), nn.Linear(32, 96), nn.Linear(32, 32)

    def forward(self, x: genesis.Tensor) -> genesis.Tensor:
        batch, length, width = x.shape
        heads = self.qkv(self.norm(x)).view(batch, length, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(heads[0], heads[1], heads[2], is_causal=True)
        return x + self.out(seen.transpose(1, 2).reshape(batch, length, width))


def mlp(layers: int) -> nn.Module:
    hidden = [[nn.Linear(32, 32), nn.ReLU()] for _ in range(layers - 1)]
    return nn.Sequential(*chain(*hidden), nn.Linear(32, 10))


def blocks(count: int) -> nn.Module:
    return nn.Sequential(*(Attention() for _ in range(count)), nn.Flatten(), nn.Linear(8 * 32, 10))


def convolutions() -> nn.Module:
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(8 * 16, 10))


def recorded(model: nn.Module, *shape: int) -> Graph:
    """The recorded training step of ``model`` on a batch f32[``shape``]."""
    return compiled(model, "interpret", *shape)[1]


def compiled(model: nn.Module, backend: str, *shape: int) -> tuple[CompiledFunction[..., Any], Graph]:
    """The training step of ``model`` after a call on a batch f32[``shape``], and its recorded graph."""
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)

    @genesis.compile(backend=backend)
    def step(x: genesis.Tensor, y: genesis.Tensor) -> genesis.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        return loss

    step(genesis.tensor(np.ones(shape, np.float32)), genesis.tensor(np.arange(shape[0]) % 10))
    program = step._program
    assert program is not None
    return step, program.traced.stages.graphs["traced"]


def lowered(graph: Graph, upto: str = "") -> Graph:
    """``graph`` after the passes in front of ``upto``."""
    for name, run in lowering(unit.FEATURES):
        if name == upto:
            break
        graph = run(graph)
    return graph


def kernels(graph: Graph) -> list[Node]:
    """The fused nodes, in the bodies of loops too."""
    found = [n for n in graph.nodes if n.op.name == "fused"]
    return found + [k for n in graph.nodes if n.op.name == "loop" and n.body is not None for k in kernels(n.body)]


def counted(run: Callable[[], T]) -> tuple[T, int]:
    """The result of ``run()``, and how many calls of Python functions that took."""
    calls = 0

    def count(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        return run(), calls
    finally:
        sys.setprofile(before)


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """How many kernels and plans of products are built meanwhile, by class."""
    built: Counter[str] = Counter()
    with pytest.MonkeyPatch.context() as patch:
        for kind in (gemm_plan.Plan, TeamKernel, LoopKernel):
            made = kind.__init__

            def init(self: Any, *args: Any, _made: Any = made, _name: str = kind.__name__, **kwargs: Any) -> None:
                built[_name] += 1
                _made(self, *args, **kwargs)

            patch.setattr(kind, "__init__", init)
        yield built


@pytest.mark.parametrize(
    ("model", "shape", "products"),
    [
        (lambda: mlp(3), (64, 32), 8),
        (lambda: blocks(2), (4, 8, 32), 15),
        (convolutions, (4, 3, 8, 8), 3),
        (Recurrent, (4, 5, 16), None),
    ],
    ids=["mlp", "attention", "convolutions", "lstm"],
)
def test_a_kernel_is_built_once(model: Callable[[], nn.Module], shape: tuple[int, ...], products: int | None) -> None:
    """And a product is planned once. A question about a kernel is answered by its body, not by its text."""
    graph = lowered(recorded(model(), *shape))
    with counting() as built:
        unit.emit(graph, ISAS["avx2"])
    kinds = Counter(node.attrs["kind"] for node in kernels(graph))
    team = sum(kinds[kind] for kind in TEMPLATES)
    assert products in (None, kinds["contract"])
    assert 0 < built["Plan"] <= kinds["contract"]
    assert built["Plan"] <= built["TeamKernel"] <= team
    assert 0 < built["LoopKernel"] <= kinds.total() - team


def test_equal_kernels_are_built_once_however_deep_the_model() -> None:
    found = []
    for depth in (3, 6):
        graph = lowered(recorded(blocks(depth), 4, 8, 32))
        with counting() as built:
            unit.emit(graph, ISAS["avx2"])
        found.append(built)
    assert found[0] == found[1]


@needs_compiler
def test_compiling_keeps_no_stage_and_a_stage_that_is_asked_for_is_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GENESIS_CACHE", str(tmp_path))  # where no plan is yet: the passes run
    made: dict[str, list[ref[Value]]] = {}
    texts: dict[str, str] = {}
    run = Stages.run

    def watched(stages: Stages, passes: Sequence[Named]) -> Graph:
        latest = run(stages, passes)
        for name, _ in passes:
            texts[name] = print_graph(stages.graphs[name])
            made.setdefault(name, []).extend(ref(v) for n in stages.graphs[name].nodes for v in n.outputs)
        return latest

    monkeypatch.setattr(Stages, "run", watched)
    step, traced = compiled(mlp(2), "c", 8, 32)
    gc.collect()
    recorded = {v for n in traced.nodes for v in n.outputs}
    assert list(made) == list(PASSES)
    kept = {name: [v for r in found if (v := r()) is not None and v not in recorded] for name, found in made.items()}
    assert all(made.values()) and not any(kept.values())
    for name in PASSES:
        assert print_graph(step.graph(name)) == texts[name]
        assert step.graph(name) is step.graph(name), "what was asked for is kept"


@pytest.mark.parametrize(
    ("model", "depths", "shape"), [(mlp, (3, 12), (64, 32)), (blocks, (1, 4), (4, 8, 32))], ids=["mlp", "attention"]
)
def test_work_grows_with_the_graph_and_not_with_its_square(
    model: Callable[[int], nn.Module], depths: tuple[int, int], shape: tuple[int, ...]
) -> None:
    """Four times as deep: about four times the calls, in each pass and in the renderer."""
    sizes: dict[str, list[float]] = {}
    for depth in depths:
        graph = recorded(model(depth), *shape)
        for name, run in lowering(unit.FEATURES):
            nodes = len(graph.nodes)
            graph, calls = counted(lambda run=run, graph=graph: run(graph))  # type: ignore[misc]
            sizes.setdefault(name, []).append(calls / nodes)
        _, calls = counted(lambda graph=graph: unit.emit(graph, ISAS["avx2"]))  # type: ignore[misc]
        sizes.setdefault("emit", []).append(calls / len(graph.nodes))
    assert list(sizes) == [*PASSES, "emit"]
    grown = {name: round(deep / shallow, 2) for name, (shallow, deep) in sizes.items()}
    assert all(growth <= LIMITS.get(name, 1.2) for name, growth in grown.items()), grown

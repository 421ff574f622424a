"""One graph in text form, run alone: ``genesis run step.gir --inputs x.npz``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from compiler.errors import GenesisError
from compiler.ir.graph import Graph, Param
from compiler.ir.types import TensorType
from compiler.text.printer import value_names
from genesis.compiled import Compiled
from genesis.edit import UNCHANGED, edit, load_graph
from genesis.options import Options
from genesis.script import positive
from genesis.tables import Table
from runtime.devices.cpu import aligned_empty

BACKENDS = ("auto", "c", "interpret")


def main(path: str, args: Sequence[str]) -> int:
    """Run the graph in the file ``path``; the exit code, 1 where it cannot run."""
    arguments = _parser().parse_args(args)
    try:
        graph = load_graph(path)
        given = _read(arguments.inputs) if arguments.inputs is not None else {}
        results = run(graph, given, arguments.random, arguments.calls, arguments.backend)
    except (GenesisError, OSError, UnicodeDecodeError) as error:
        print(f"genesis: {error}", file=sys.stderr)
        return 1
    print(Table(("value", "type", "", "contents"), [_row(*item) for item in results.items()]))
    if arguments.outputs is not None:
        np.savez(arguments.outputs, allow_pickle=False, **results)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("genesis run STEP.gir", description="Run one graph, and print what it returns.")
    parser.add_argument(
        "--inputs", metavar="NPZ", type=Path, help="arguments, states and numbers by their names or labels"
    )
    parser.add_argument("--outputs", metavar="NPZ", type=Path, help="file to write results and new states to")
    parser.add_argument(
        "--random", metavar="SEED", type=int, help="draw floats that are missing from [0, 1); other values are 0"
    )
    parser.add_argument(
        "--calls", metavar="N", type=positive, default=1, help="run it N times, each on the states it left"
    )
    parser.add_argument("--backend", choices=BACKENDS, default="auto")
    return parser


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, BadZipFile, AttributeError):
        raise GenesisError(f"{str(path)!r} is no .npz file of plain arrays, as np.savez writes it") from None


def run(
    graph: Graph, given: Mapping[str, np.ndarray], random: int | None = None, calls: int = 1, backend: str = "auto"
) -> dict[str, np.ndarray]:
    """The results of ``graph`` and its new states, by name.

    given: arrays for its arguments, states and numbers, by name in the text or by label. Types of one kind, floats say,
        are converted; shapes are not.
    random: a seed to draw missing values from; without it a missing value raises GenesisError.
    """
    places = {name: p for p in graph.params for name in (p.label, value_names(graph)[p.value]) if name}
    unknown = sorted(given.keys() - places.keys())
    if unknown:
        raise GenesisError(f"the graph @{graph.name} has no {', '.join(unknown)}; it has {', '.join(places)}")
    arrays = {places[name]: _fitted(name, array, places[name].value.type) for name, array in given.items()}
    missing = [p for p in graph.params if p not in arrays]
    if missing and random is None:
        listed = "\n".join(f"  {p.kind:<6} {p.value.type} {p.label or value_names(graph)[p.value]}" for p in missing)
        raise GenesisError(f"@{graph.name} needs more, by --inputs, or drawn by --random SEED:\n{listed}")
    rng = np.random.default_rng(random)
    arrays |= {p: _drawn(rng, p.value.type) for p in missing}
    compiled = Compiled(graph, Options(backend=backend), edit(graph, None, "", UNCHANGED))
    states = [p for p in graph.params if p.kind == "state"]
    runner = compiled.start(None, range(len(states)))
    try:
        runner.bind([arrays[p] for p in states])
        inputs = [arrays[p] for p in graph.params if p.kind == "input"]
        scalars = [float(arrays[p]) for p in graph.params if p.kind == "scalar"]
        for _ in range(calls):
            results = runner.run(inputs, scalars)
    finally:
        runner.close()
    updated = {u.state for u in graph.updates}
    return {
        **{f"result {i}": array for i, array in enumerate(results)},
        **{_called(p, graph): arrays[p] for p in states if p.value in updated},
    }


def _called(param: Param, graph: Graph) -> str:
    return param.label or value_names(graph)[param.value]


def _fitted(name: str, array: np.ndarray, kind: TensorType) -> np.ndarray:
    """A copy of ``array`` in aligned memory of its own, of the type ``kind``."""
    if array.shape != kind.shape or _family(array.dtype) != _family(kind.dtype.numpy):
        raise GenesisError(f"{name} is {array.dtype}{list(array.shape)}, and the graph takes {kind}")
    memory = aligned_empty(kind.nbytes).view(kind.dtype.numpy).reshape(kind.shape)
    memory[...] = array
    return memory


def _family(dtype: np.dtype) -> str:
    """ "b", "i" or "f"; NumPy calls bfloat16 a void."""
    return {"u": "i", "V": "f"}.get(dtype.kind, dtype.kind)


def _drawn(rng: np.random.Generator, kind: TensorType) -> np.ndarray:
    floats = kind.dtype.is_floating_point
    return _fitted("", rng.random(kind.shape) if floats else np.zeros(kind.shape, kind.dtype.numpy), kind)


def _row(name: str, array: np.ndarray) -> tuple[str, ...]:
    """Name, type, and the value of one number or what stands for many."""
    kind = f"{array.dtype}{list(array.shape)}"
    if array.size <= 1:
        return name, kind, "", f"{array.item():.9g}" if array.size else "nothing"
    wide = array.astype(np.float64)
    bad = int(np.count_nonzero(~np.isfinite(wide)))
    spread = f"min {wide.min():.4g}  mean {wide.mean():.4g}  max {wide.max():.4g}"
    return name, kind, f"{bad} not finite" if bad else "", spread

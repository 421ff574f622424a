"""Genesis: the whole step compiled."""

from __future__ import annotations

import genesis
from benchmarks.peers.program import Step, TorchStyleProgram
from benchmarks.products import products
from genesis.step.program import CompiledFunction

VERSIONS = {"genesis": genesis.__version__}


class Program(TorchStyleProgram):
    framework = genesis
    _step: CompiledFunction

    def compile_step(self, step: Step) -> Step:
        return genesis.compile(step)

    def products(self) -> dict[str, int]:
        return dict(products(self._step.graph("cse")))

"""Genesis: the whole step compiled."""

from __future__ import annotations

import genesis
from benchmarks.peers.program import Step, TorchStyleProgram

VERSIONS = {"genesis": genesis.__version__}


class Program(TorchStyleProgram):
    framework = genesis

    def compile_step(self, step: Step) -> Step:
        return genesis.compile(step)

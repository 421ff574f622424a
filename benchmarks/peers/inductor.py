"""torch.compile of model and loss, forward and backward; clipping and the fused AdamW stay outside, as is usual."""

from __future__ import annotations

import torch
import torch._inductor.compile_fx  # what the first call of a compiled function would import otherwise

from benchmarks.peers import eager
from benchmarks.peers.program import Step

VERSIONS = eager.VERSIONS


class Program(eager.Program):
    def compile_loss(self, loss_of: Step) -> Step:
        return torch.compile(loss_of)

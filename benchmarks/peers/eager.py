"""PyTorch as it is, with its fused AdamW."""

from __future__ import annotations

import torch
import torch._dynamo  # what the first step of an optimizer would import otherwise

from benchmarks.peers.program import TorchStyleProgram

VERSIONS = {"torch": torch.__version__}


class Program(TorchStyleProgram):
    framework = torch

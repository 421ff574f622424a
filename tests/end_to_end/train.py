"""Train eager and compiled and print both as JSON, for tests that need a process with another environment.

python -m tests.end_to_end.train gpt:f32 digits:f16
"""

from __future__ import annotations

import json
import sys
from typing import Any

import genesis
from tests.end_to_end.training import digits_run, gpt_run

RUNS = {"digits": digits_run, "gpt": gpt_run}
PRECISIONS = {"f32": None, "f16": genesis.float16, "bf16": genesis.bfloat16}


def train(spec: str) -> dict[str, Any]:
    """The plan's target and the losses of four steps."""
    name, precision = spec.split(":")
    losses = []
    for compiled in (lambda f: f, genesis.compile):
        run = RUNS[name](compiled, count=4, precision=PRECISIONS[precision])
        losses.append([run.step(*batch).item() for batch in run.batches])
    return {"target": run.step.plan.target, "eager": losses[0], "compiled": losses[1]}


if __name__ == "__main__":
    print(json.dumps({spec: train(spec) for spec in sys.argv[1:]}))

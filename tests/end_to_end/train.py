"""Train eager and compiled and print both as JSON, for tests that need a process with another environment.

python -m tests.end_to_end.train gpt f16
"""

from __future__ import annotations

import json
import sys

import genesis
from tests.end_to_end.training import digits_run, gpt_run

RUNS = {"digits": digits_run, "gpt": gpt_run}
PRECISIONS = {"f32": None, "f16": genesis.float16, "bf16": genesis.bfloat16}


def main(name: str, precision: str) -> None:
    """The plan's target and the losses of four steps."""
    losses = []
    for compiled in (lambda f: f, genesis.compile):
        run = RUNS[name](compiled, count=4, precision=PRECISIONS[precision])
        losses.append([run.step(*batch).item() for batch in run.batches])
    print(json.dumps({"target": run.step.plan.target, "eager": losses[0], "compiled": losses[1]}))


if __name__ == "__main__":
    main(*sys.argv[1:])

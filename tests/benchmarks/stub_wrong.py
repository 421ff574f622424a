"""A peer that computes something else."""

from __future__ import annotations

from tests.benchmarks import stub

VERSIONS = {"wrong": "1.0"}


class Program(stub.Program):
    def steps(self, count: int) -> float:
        return 1.01 * super().steps(count)

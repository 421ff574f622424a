"""The driver measures, names who fails, and goes on with the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks import machine
from benchmarks.driver import Effort, Result, measure
from benchmarks.models import ROWS
from benchmarks.peak import Peak
from benchmarks.peers import Peer
from benchmarks.table import Row, as_json, row_table, summary


def stub(name: str, kind: str = "stub") -> Peer:
    return Peer(name, f"tests.benchmarks.{kind}", "numpy")


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    peers = [stub("genesis"), stub("one"), stub("wrong", "stub_wrong"), stub("raises", "stub_raises")]
    peers.append(stub("dies", "stub_dies"))
    turns: list[str] = []
    measured = measure(ROWS["tiny"], "fp32", peers, machine.processors(), Effort(rounds=3, steps=2), turns.append)
    assert turns == [peer.name for peer in peers] + ["genesis", "one", "wrong"] * 3
    return {result.peer: result for result in measured}


def test_a_peer_is_measured(results: dict[str, Result]) -> None:
    one = results["one"]
    assert one.failure is None
    assert len(one.rounds) == 3
    assert one.quartiles[0] <= one.step <= one.quartiles[1]
    assert min(one.rounds) >= 1e-4
    assert one.first_call > 0
    assert one.losses == results["genesis"].losses
    assert one.versions == {"stub": "1.0"}
    assert one.products == {"f32": 3000}


def test_a_failure_is_one_line(results: dict[str, Result]) -> None:
    assert results["raises"].failure == "RuntimeError: no such instruction"
    assert results["dies"].failure == "its process ended with 3: out of luck"
    assert "computes something else" in (results["wrong"].failure or "")


PEAK = Peak(2, {"f32": 2e9, "bf16": 4e9})


def result(peer: str, step: float, **figures: Any) -> Result:
    return Result(peer, rounds=[step] * 4, **figures)


def test_the_table() -> None:
    row = Row(
        "tiny",
        "MLP",
        "fp32",
        (0.5, 1.0),
        [
            result("genesis", 0.5e-3, first_call=1.0, warm_start=0.1, memory=10_000_000, products={"f32": 800_000}),
            result("compile", 2e-3, first_call=8.0, warm_start=1.0, memory=40_000_000),
            result("jax", 1e-3, first_call=2.0, warm_start=0.2, memory=20_000_000),
            Result("eager", failure="RuntimeError: no"),
        ],
    )
    assert row_table(row, PEAK).splitlines() == [
        "tiny fp32  (MLP; load 0.5 to 1.0)",
        "           step ms    quartiles  speed  first s  warm s  memory MB",
        "  genesis    0.500  0.500-0.500  2.00x     1.00    0.10       10.0",
        "  compile     2.00    2.00-2.00  0.50x     8.00    1.00       40.0",
        "  jax         1.00    1.00-1.00  1.00x     2.00    0.20       20.0",
        "  products alone at the peak: 0.400 ms, 2.50x",
        "  eager: RuntimeError: no",
    ]
    assert summary([row], PEAK).splitlines() == [
        "genesis against the best of the others",
        "                        step  target  limit  of limit   first call  warm start s        memory",
        "  target                                               at least 8x   at most 0.5  at most 0.7x",
        "  tiny fp32            2.00x    4.0x  2.50x       80%         8.0x          0.10         0.50x",
        "  geometric mean fp32  2.00x",
    ]
    figures = as_json([0, 1], [row], PEAK)
    assert figures["peak"] == {"f32": 2e9, "bf16": 4e9}
    (line,) = figures["rows"]
    assert line["results"][2]["rounds"] == [1e-3] * 4
    assert (line["least"], line["limit"]) == (4e-4, 2.5)


def test_without_a_peak_there_is_no_limit() -> None:
    known = result("genesis", 0.5e-3, products={"f32": 800_000}), result("jax", 1e-3)
    row, unknown = Row("tiny", "MLP", "fp32", (0.5, 1.0), [*known]), Peak(2, {})
    assert "peak" not in row_table(row, unknown)
    assert summary([row], unknown).splitlines()[3].split()[2:6] == ["2.00x", "4.0x", "-", "-"]
    assert as_json([0, 1], [row], unknown)["rows"][0]["limit"] is None


def test_nothing_measured_is_no_crash() -> None:
    row = Row("tiny", "MLP", "fp32", (0.0, 0.0), [Result("genesis", failure="no compiler")])
    assert row_table(row, PEAK).splitlines()[1:] == ["  genesis: no compiler"]
    assert summary([row], PEAK) == ""


@pytest.mark.parametrize("name", ROWS)
def test_weights_and_batches_are_the_same_every_time(name: str) -> None:
    model = ROWS[name]
    for first, second in zip(model.batches(2), model.batches(2)):
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])
    assert {name: weight.shape for name, weight in model.weights().items()} == model.shapes()

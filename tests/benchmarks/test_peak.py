"""The peak is measured if there is a compiler; else the report says nothing of it."""

from __future__ import annotations

import pytest

from benchmarks import machine, peak
from benchmarks.peak import Peak, measure
from compiler.codegen.c.isa import ISAS
from runtime.toolchain import find_compiler

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C compiler")


@pytest.fixture(autouse=True)
def one_short_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "RUNS", 1)
    monkeypatch.setattr(peak, "WORK", 2**20)
    monkeypatch.setattr(machine, "flags", list)


def test_the_least_time_is_that_of_every_dtype_at_its_peak() -> None:
    known = Peak(2, {"f32": 1e9, "bf16": 2e9})
    assert known.seconds({"f32": 3_000_000, "bf16": 2_000_000}) == 4e-3
    assert known.seconds({"f16": 1}) is None
    assert known.seconds({}) is None


def test_the_higher_rates_count() -> None:
    highest = Peak(2, {"f32": 1e9, "bf16": 2e9}).or_higher(Peak(2, {"f32": 2e9, "bf16": 1e9}))
    assert highest.rates == {"f32": 2e9, "bf16": 2e9}
    assert str(highest) == "f32 2, bf16 2 GFLOP/s on 2 threads"


@needs_compiler
def test_measured_as_genesis_is_compiled() -> None:
    assert all(rate > 0 for rate in measure(2).rates.values())


@needs_compiler
def test_without_instructions_for_bf16_its_peak_is_that_of_f32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "isa_for", lambda features: ISAS["portable"])
    rates = measure(1).rates
    assert rates["bf16"] == rates["f32"]


@needs_compiler
def test_with_others_than_genesis_uses_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "flags", lambda: ["amx_bf16"])
    assert list(measure(1).rates) == ["f32"]


def test_without_a_compiler_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CC", "none")
    unknown = measure(2)
    assert str(unknown) == "unknown without a C compiler"
    assert unknown.or_higher(unknown) == unknown

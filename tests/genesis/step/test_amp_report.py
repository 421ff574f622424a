"""``step.explain_amp()``."""

import re

import pytest

import genesis
from compiler.errors import UnsupportedError
from tests.genesis.step.test_ledger import X, Y, trained


def test_the_table_names_ops_rules_types_and_casts() -> None:
    step = trained(precision="bf16-mixed", backend="interpret")
    step(X, Y)
    report = step.explain_amp()
    assert [d.op for d in report] == ["linear", "relu", "linear", "cross_entropy"]
    assert [d.rule for d in report] == ["lower", "", "lower", "fp32"]
    text = str(report)
    assert "step: autocast decided on 3 of 4 ops; casts: 6 inserted" in text
    assert re.search(r"^linear +test_ledger.py:\d+ model.0 +lower +f32,f32,f32 +bf16 +bf16 +x: f32 to bf16", text, re.M)
    assert re.search(r"^ +model.0.weight: f32 to bf16 +inserted: inside the kernel that needs it$", text, re.M)
    assert "fp32: listed to run in float32" in text


def test_a_step_that_was_edited_behind_autocast_says_why_there_are_no_decisions() -> None:
    step = trained(precision="bf16-mixed", backend="interpret")
    step(X, Y)
    step.replace(step.graph("autodiff"), after="autodiff")
    step(X, Y)
    with pytest.raises(UnsupportedError, match="edited behind that pass"):
        step.explain_amp()


def test_without_a_region_nothing_is_listed() -> None:
    step = genesis.compile(lambda x: x.exp(), backend="interpret")
    step(X)
    assert str(step.explain_amp()).endswith("autocast changed nothing; every op runs in the types of its operands")

"""The data of a page."""

import json
from collections import Counter

import pytest

from compiler.peak import peak
from genesis.explore.model import model
from runtime.toolchain import find_compiler
from tests.genesis.explore.recorded import trained

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")


@needs_compiler
def test_a_page_has_all_that_is_known_of_a_step() -> None:
    item = trained(precision="bf16-mixed", clip_grad_norm=1.0)
    data = model("train.py", [item], 2)
    assert json.loads(json.dumps(data))["script"] == "train.py"
    (program,) = data["programs"]
    plan = item.program.plan
    assert plan is not None
    assert [x["name"] for x in program["stages"]] == [*item.program.stages().graphs]
    assert [x["kernel"] for x in program["launches"]] == [x.kernel for x in plan.launches]
    assert program["code"][0]["text"] == plan.source.splitlines()
    assert program["least"] == pytest.approx(sum(x["least"] for x in program["launches"]))
    assert program["measured"]["runs"] == 2 and all(x["seconds"] >= 0 for x in program["launches"])
    assert [p["label"] for p in program["inputs"]] == ["x", "y"] and program["states"]["count"] == 13
    assert {d["rule"] for d in program["amp"]} >= {"lower", "fp32"}


@needs_compiler
def test_a_kernel_leads_to_its_node_its_code_and_the_lines_it_comes_from() -> None:
    data = model("train.py", [trained(clip_grad_norm=1.0)], 1)
    (program,) = data["programs"]
    lines, last = program["lines"], program["stages"][-1]
    while "same" in last:
        last = program["stages"][last["same"]]
    kernels = [row for row, line in enumerate(last["lines"]) if lines["kind"][line] == "kernel"]
    assert {row for x in program["launches"] for row in x["rows"]} == set(kernels)
    tables = Counter(len(x["rows"]) for x in program["launches"])
    assert max(tables) > 1  # one kernel over several tensors
    relu = next(x for x in program["launches"] if "maximum" in x["ops"])
    scopes = {data["places"][p][2] for p in relu["places"]}
    assert scopes == {"model.0", "model.1"}
    first, end = program["code"][0]["kernels"][relu["kernel"]]
    assert f"{relu['kernel']}(" in "\n".join(program["code"][0]["text"][first : end + 1])
    triton = program["code"][1]
    if "why" not in triton:
        assert {x["kernel"] for x in triton["launches"]} <= triton["kernels"].keys()
        relu = next(x for x in triton["launches"] if "maximum" in x["ops"])
        assert {data["places"][p][2] for p in relu["places"]} == {"model.0", "model.1"}


def test_a_step_is_shown_on_a_gpu_that_is_not_there() -> None:
    pytest.importorskip("triton")
    item = trained(backend="interpret", check_numerics=True)
    (program,) = model("train.py", [item], 1, "h100")["programs"]
    assert program["target"] == "sm_90" and program["processor"]["name"] == "NVIDIA H100 SXM"
    assert program["measured"]["why"] == "it ran on another processor than NVIDIA H100 SXM"
    assert [code["language"] for code in program["code"]] == ["triton"]
    assert {x["kernel"] for x in program["launches"]} <= program["code"][0]["kernels"].keys()
    assert all(x["rows"] for x in program["launches"] if x["kind"] != "combine")
    names = [x["name"] for x in program["stages"]]
    assert names.index("autodiff") < names.index("check_numerics") < names.index("fuse")


@needs_compiler
def test_memory_over_time_has_the_peak_of_the_last_stage() -> None:
    item = trained()
    (program,) = model("train.py", [item], 1)["programs"]
    memory, most = program["memory"], peak(item.program.stages().latest)
    alive = [
        sum(x["bytes"] for x in memory["temporaries"] if x["first"] <= i <= x["last"])
        for i in range(len(memory["nodes"]))
    ]
    assert max(alive) == most.nbytes and memory["arena"] == item.program.memory().arena
    assert {x["role"] for x in memory["temporaries"]} == {"saved", "gradients", "temporaries"}


def test_a_step_in_the_interpreter_says_why_it_was_not_timed() -> None:
    (program,) = model("train.py", [trained(backend="interpret")], 1)["programs"]
    assert "NumPy interpreter" in program["measured"]["why"] and "seconds" not in program["launches"][0]
    assert program["target"] == "the NumPy interpreter" and program["launches"][0]["least"] > 0

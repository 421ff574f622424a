"""``python -m compiler``, with a pipeline of two passes in place of the real one."""

import importlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from compiler.ir.graph import Graph

TEXT = "graph @f {\n  input  %x: f32[2]\n  %0: f32[2] = relu(%x)\n  return %0\n}\n"
Main = Callable[..., int]


def drop_nodes(graph: Graph) -> Graph:
    return Graph(graph.name, graph.params, [], [], graph.inputs())


def forget_inputs(graph: Graph) -> Graph:
    return Graph(graph.name, [], graph.nodes, [], graph.outputs)


def fail(graph: Graph) -> Graph:
    raise KeyError("nowhere")


def emit(graph: Graph, target: str) -> str:
    if target == "triton":
        raise NotImplementedError("a Triton kernel for relu")
    return f"/* {target} of {graph.name} */\n"


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Main:
    pipeline = ModuleType("compiler.pipeline")
    pipeline.PASSES = {"drop_nodes": drop_nodes, "forget_inputs": forget_inputs, "fail": fail}  # type: ignore[attr-defined]
    pipeline.emit = emit  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "compiler.pipeline", pipeline)
    monkeypatch.delitem(sys.modules, "compiler.__main__", raising=False)
    return lambda *arguments: importlib.import_module("compiler.__main__").main(arguments)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "f.gir"
    path.write_text(TEXT)
    return str(path)


def test_a_file_is_printed(main: Main, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(file) == 0
    assert capsys.readouterr() == (TEXT, "")


def test_passes_run_in_order_on_what_stdin_holds(
    main: Main, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(TEXT))
    assert main("-", "--passes", "drop_nodes,drop_nodes") == 0
    assert capsys.readouterr().out == "graph @f {\n  input  %x: f32[2]\n  return %x\n}\n"


def test_code_is_emitted(main: Main, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(file, "--emit", "c") == 0
    assert capsys.readouterr().out == "/* c of f */\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--passes", "drop_node"), "there is no pass 'drop_node'; did you mean drop_nodes"),
        (("--passes", "zzz"), "there is no pass 'zzz'; there are drop_nodes, forget_inputs, fail"),
        (("--passes", "forget_inputs"), "input %x: f32[2] is not defined before its use"),
        (("--emit", "triton"), "a Triton kernel for relu"),
    ],
)
def test_an_error_is_one_message(
    main: Main, file: str, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert main(file, *arguments) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and message in err and "Traceback" not in err


def test_a_bad_text_and_a_missing_file(main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.gir"
    bad.write_text(TEXT.replace("relu", "rellu"))
    assert main(str(bad)) == 1
    assert f"error: {bad}:3:16: there is no op 'rellu'" in capsys.readouterr().err
    assert main(str(tmp_path / "none.gir")) == 1
    assert "none.gir" in capsys.readouterr().err


def test_an_error_that_nobody_foresaw(main: Main, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(file, "--passes", "fail") == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: KeyError ('nowhere'): ") and err.count("\n") == 1
    with pytest.raises(KeyError, match="nowhere"):
        main(file, "--passes", "fail", "--traceback")

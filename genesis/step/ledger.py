"""A step's way through the compiler as a folder of files to read: ``step.dump(dir)``, ``GENESIS_DUMP=dir``."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from compiler.codegen.comments import values
from compiler.ir.graph import Graph
from compiler.peak import peak
from compiler.plan import Launch
from compiler.text.diff import diff_texts
from compiler.text.printer import print_graph
from compiler.work import runs_of
from genesis.compiled import DUMP
from genesis.step.execution import Program
from genesis.tables import Table

SUMMARY = "SUMMARY.txt"

INDEX = "INDEX.txt"

_dumped: Counter[Path] = Counter()
"""How many programs were written below each folder because of ``GENESIS_DUMP``."""
_index: dict[Path, list[tuple[str, ...]]] = {}
"""The rows of the index of each folder that they were written to."""

_READING = """How to read this folder
  NN_stage.gir is the step as text after a pass, NN_stage.diff what the pass changed. To follow a tensor, look for your
  line (# file.py:12 module) in 00_traced.gir and take the value's name: it is the same in every stage, in the table
  above, and in the comments of the generated code. %5 is a result of your step as it was recorded, %grad_5 and
  %grad_model_weight are gradients; the others are made by passes and called after what they serve: %linear_dot, or
  %5_f16 for %5 in f16. %5_1 is %5 computed a second time, or what an op like clipping puts in its place. The gradient
  of an op stands at the line of the op, as [grad linear], say, not at the line of backward(). A value that the table
  lacks is never in memory: it stands in the body of a kernel, under fused in the last stage. Where the table has its
  cast alone, %grad_model_weight_f16, whoever reads the value casts it back."""


def write_where_asked(program: Program, name: str) -> None:
    """Write the ledger of a new program of the function ``name`` into a folder below ``$GENESIS_DUMP``, if that is set.

    Functions of one name share a folder; their programs are numbered in the order in which they are compiled. An index
    lists them all.
    """
    root = os.environ.get(DUMP)
    if root:
        name = name.replace("<locals>.", "").replace("<", "").replace(">", "")
        programs = Path(root) / name
        _dumped[programs] += 1
        folder = programs / f"{_dumped[programs]:02d}"
        write(program, folder)
        rows = _index.setdefault(Path(root), [])
        rows.append((str(folder.relative_to(root)), f"{program.seconds:.2f}", _target(program), program.cause))
        text = f"Programs in the order in which they were compiled\n{Table(('folder', 's', 'for', 'because'), rows)}\n"
        (Path(root) / INDEX).write_text(text, encoding="utf-8")


def write(program: Program, folder: Path) -> list[Path]:
    """Write the ledger of ``program`` into ``folder``, which is made where it is missing; returns the files.

    Stages of a ledger that was there before are removed: they would be mixed up with these.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("[0-9][0-9]_*.gir"), *folder.glob("[0-9][0-9]_*.diff")):
        old.unlink()
    found = files(program)
    for name, text in found.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in found]


def files(program: Program) -> dict[str, str]:
    """File name -> text: the summary, every stage, what each pass changed, and the generated code."""
    stages = program.stages()
    names = [f"{i:02d}_{stage}" for i, stage in enumerate(stages.graphs)]
    texts = [print_graph(graph) for graph in stages.graphs.values()]
    result = {SUMMARY: ""}
    diffs = [""]
    for i, (name, text) in enumerate(zip(names, texts, strict=True)):
        result[f"{name}.gir"] = text
        if i:
            diffs.append(diff_texts(texts[i - 1], text, (f"{names[i - 1]}.gir", f"{name}.gir")))
            result[f"{name}.diff"] = diffs[-1] or f"# {names[i]}: nothing changed\n"
    sources = program.sources()
    sections = [_title(program), _stages(stages.graphs, stages.seconds, diffs), _code(program, sources)]
    result[SUMMARY] = "\n\n".join([*sections, _READING]) + "\n"
    return result | sources


def _target(program: Program) -> str:
    return program.plan.target if program.plan is not None else "the NumPy interpreter"


def _title(program: Program) -> str:
    graph = program.traced.stages.graphs["traced"]
    inputs = [f"  input {p.value.type}  {p.label}" for p in graph.params if p.kind == "input"]
    states = graph.inputs("state")
    return "\n".join(
        [
            f"{graph.name}, compiled for {_target(program)} in {program.seconds:.2f} s",
            f"  because {program.cause}",
            *inputs,
            f"  {len(states)} states of {sum(v.type.nbytes for v in states):,} bytes that live from call to call",
            f"  {len(graph.inputs('scalar'))} numbers that are read at every call",
        ]
    )


def _stages(graphs: dict[str, Graph], seconds: dict[str, float], diffs: list[str]) -> str:
    rows = []
    for i, (name, graph) in enumerate(graphs.items()):
        most = peak(graph)
        changes = Counter(line[0] for line in diffs[i].splitlines()[2:])
        time = f"{seconds[name] * 1e3:.1f}" if name in seconds else ""
        change = f"+{changes['+']} -{changes['-']}" if i else ""
        place = str(most.node.loc) if most.node is not None else ""
        rows.append((f"{i:02d}", name, str(len(graph.nodes)), change, time, f"{most.nbytes:,}", place))
    header = ("", "stage", "ops", "lines", "ms", "peak bytes", "peak at")
    table = _indented(Table(header, rows))
    return f"Stages; the peak counts temporaries, the results of ops that are alive at once\n{table}"


def _code(program: Program, sources: dict[str, str]) -> str:
    lines = [f"  {name}: {text.count(chr(10))} lines" for name, text in sources.items()]
    plan = program.plan
    if plan is None:
        return "\n".join(["Generated code, which the interpreter does not need", *lines])
    launches = plan.launches
    file = next(name for name, text in sources.items() if text == plan.source)
    lines_of = _definitions(plan.source)
    header = ("kernel", "line", "values", "phase", "flops", "bytes", "ops", "from")
    return "\n".join(
        [
            "Generated code",
            *lines,
            f"  {runs_of(launches)}",
            f"  temporaries take {plan.arena_bytes:,} bytes at most, "
            f"of which the forward pass keeps {plan.kept_bytes:,} for the backward pass",
            "",
            f"Kernel runs in order; a kernel starts at the line of {file}",
            _indented(Table(header, [_row(x, lines_of) for x in launches])),
        ]
    )


def _definitions(source: str) -> dict[str, int]:
    """The line of each function of a C file or a Triton module."""
    heads = ((re.match(r"(?:def|.*\bvoid) (\w+)\(", line), i) for i, line in enumerate(source.splitlines(), 1))
    return {head[1]: i for head, i in reversed([(head, i) for head, i in heads if head])}


def _row(launch: Launch, lines: Mapping[str, int]) -> tuple[str, ...]:
    ops = Counter(launch.ops)
    shown = [f"{n} {op}" if n > 1 else op for op, n in ops.most_common(4)] + ["..."] * (len(ops) > 4)
    place = launch.place + (f" and {len(launch.places) - 1} more" if len(launch.places) > 1 else "")
    line = str(lines.get(launch.kernel, ""))
    named = values(launch.values)
    return launch.kernel, line, named, launch.phase, f"{launch.flops:,}", f"{launch.nbytes:,}", ", ".join(shown), place


def _indented(table: Table) -> str:
    return "\n".join(f"  {line}" for line in str(table).splitlines())

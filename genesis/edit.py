"""Edited steps: a graph, or generated code, that a person changed and that runs in place of what the compiler made."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from compiler.errors import ChoiceError, KeyedError
from compiler.imports import import_whole
from compiler.ir.graph import Graph
from compiler.ir.verify import verify
from compiler.pipeline import PASSES

SOURCES = {".c": "c", ".py": "triton"}
"""The endings of files of generated code, and the languages."""


@dataclass(frozen=True)
class Edit:
    """Stand-ins for parts of the way from a recording to a program.

    graph: runs in place of the recorded graph, None for that one.
    after: the pass whose result ``graph`` is; only those behind it run. "" runs all.
    source: generated code that is built in place of what the compiler prints, None for that.
    """

    graph: Graph | None = None
    after: str = ""
    source: str | None = None

    def remaining(self) -> list[str]:
        """The names of the passes that are still to run."""
        names = list(PASSES)
        return names[names.index(self.after) + 1 :] if self.after else names


UNCHANGED = Edit()


def load_graph(path: str | Path) -> Graph:
    """The graph in a ``.gir`` file, verified; see ``step.dump()`` and ``step.replace()``.

    Raises :class:`ParseError` for a text that is no graph, with line and column, and OSError for a file that cannot be
    read.
    """
    parser = import_whole("compiler.text.parser")  # which needs lark, and a program that trains does not
    graph: Graph = parser.parse_graph(Path(path).read_text(encoding="utf-8"), str(path))
    return graph


def edit(what: Graph | str | Path, after: str | None, language: str, before: Edit) -> Edit:
    """The edit that ``what`` asks for: a graph, a file of one, or a file of code in ``language``.

    ``before``: what was edited already. A new graph drops code that was made for another.
    """
    if isinstance(what, Graph):
        graph = verify(what)
    else:
        path = Path(what)
        if path.suffix in SOURCES:
            if after is not None:
                raise ChoiceError(f"replace({str(path)!r}, after={after!r}): after= is for graphs, not for code")
            if SOURCES[path.suffix] != language:
                raise ChoiceError(
                    f"replace({str(path)!r}): the step runs as {_CALLED[language]}, not as {SOURCES[path.suffix]} code"
                )
            return Edit(before.graph, before.after, path.read_text(encoding="utf-8"))
        if path.suffix != ".gir":
            raise ChoiceError(f"replace({str(path)!r}): the file ends in .gir (a graph), .c or .py (generated code)")
        graph = load_graph(path)
    if after is not None and after not in PASSES:
        raise KeyedError(f"replace(after={after!r}): there is no such pass; there are: {', '.join(PASSES)}")
    fused = any(node.op.kind == "fused" for node in graph.nodes)
    return Edit(graph, after if after is not None else [*PASSES][-1] if fused else "")


_CALLED = {"c": "c code", "triton": "triton code", "": "a graph in the interpreter"}


def check_fits(recorded: Graph, edited: Graph) -> None:
    """Raise ChoiceError unless both take the same inputs, update the same states and give results of the same types."""
    for kind, old, new in (
        ("input", _inputs(recorded), _inputs(edited)),
        ("update", _updates(recorded), _updates(edited)),
        ("result", [str(v.type) for v in recorded.outputs], [str(v.type) for v in edited.outputs]),
    ):
        for i, (was, now) in enumerate(zip_longest(old, new, fillvalue="nothing")):
            if was != now:
                raise ChoiceError(
                    f"the edited graph does not fit the step: {kind} {i} is {now}, and the step has {was}\n"
                    "  keep the inputs, the updates and the results as they are; a graph from before a pass that an "
                    "option of the decorator asks for (loss_scale, clip_norm, ...) lacks what that pass adds: "
                    "edit the graph behind it"
                )


def _inputs(graph: Graph) -> list[str]:
    return [f"{p.kind} {p.value.type} {p.label}".rstrip() for p in graph.params]


def _updates(graph: Graph) -> list[str]:
    places = {p.value: f"{p.label or p.value.name} {p.value.type}" for p in graph.params}
    return [f"of {places[u.state]}" for u in graph.updates]

"""Ctrl-C during a late import, in processes of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

INTERRUPT = """
import os, signal, sys

class Interrupt:
    '''Presses Ctrl-C when the module NAME is looked for.'''
    def find_spec(self, name, path=None, target=None):
        if name == NAME:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with it ignored
sys.meta_path.insert(0, Interrupt())
"""

REMAT = """
NAME = "networkx.algorithms.flow"
import compiler.ops.all
from compiler.pipeline import remat
from compiler.text.parser import parse_graph
graph = parse_graph("graph @f {\\n  input  %x: f32[3]\\n  %0: f32[3] = exp(%x)\\n  return %0\\n}\\n", "f.gir")
try:
    remat(graph)
except KeyboardInterrupt:
    print("interrupted")
print(len(remat(graph).nodes))
"""

OWN_HANDLER = """
NAME = "json.tool"
from compiler.imports import import_whole
signal.signal(signal.SIGINT, lambda number, frame: print("handled", "json.tool" in sys.modules))
print(import_whole("json.tool").__name__)
signal.signal(signal.SIGINT, signal.SIG_IGN)
print(import_whole("json.decoder").__name__)
"""

THREAD = """
NAME = ""
from threading import Thread
from compiler.imports import import_whole
thread = Thread(target=lambda: print(import_whole("json.tool").__name__))
thread.start()
thread.join()
"""


@pytest.mark.parametrize(
    ("script", "printed"),
    [
        (REMAT, ["interrupted", "1"]),
        (OWN_HANDLER, ["handled True", "json.tool", "json.decoder"]),
        (THREAD, ["json.tool"]),
    ],
    ids=["the first compile", "a handler of one's own", "another thread"],
)
def test_an_interrupt_waits_for_the_import(script: str, printed: list[str]) -> None:
    name, _, rest = script.strip().partition("\n")
    done = subprocess.run(
        [sys.executable, "-c", f"{name}{INTERRUPT}{rest}"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert (done.stdout.split("\n")[:-1], done.stderr) == (printed, "")

"""The text form of the IR: printer, grammar, parser."""

from compiler.ir.graph import Graph
from compiler.text.printer import print_graph

Graph.text = print_graph

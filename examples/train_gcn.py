"""Train a graph convolutional network that tells who goes with whom in Zachary's karate club, from two labels.

    python examples/train_gcn.py           # 34 members, 78 friendships, from networkx; two seconds
    python examples/train_gcn.py --short   # a quarter of the steps, to see that everything works

The club split after a quarrel; members went with the instructor, Mr. Hi, or with the officer (W. Zachary, "An
Information Flow Model for Conflict and Fission in Small Groups", 1977). Only the labels of these two are shown to the
network. It places 31 of the other 32 rightly; member 8 is the one that Zachary's own model missed, too. The network is
Kipf and Welling's ("Semi-Supervised Classification with Graph Convolutional Networks", 2017): nothing is known of a
member but the friends.
"""

from __future__ import annotations

import argparse

import networkx as nx
import numpy as np

import genesis
from genesis import nn, optim
from genesis.nn import functional as F


class GraphConvolution(nn.Module):
    """Each node gets what its neighbours and itself hold, weighted, through one matrix."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(genesis.empty(inputs, outputs))
        self.bias = nn.Parameter(genesis.zeros(outputs))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x, adjacency):
        return adjacency @ (x @ self.weight) + self.bias


class GCN(nn.Module):
    """Features ``[nodes, inputs]`` and a normalised adjacency ``[nodes, nodes]`` to logits ``[nodes, classes]``."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__()
        self.conv1 = GraphConvolution(inputs, width)
        self.conv2 = GraphConvolution(width, classes)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x, adjacency):
        x = F.relu(self.conv1(self.dropout(x), adjacency))
        return self.conv2(self.dropout(x), adjacency)


def normalised(graph: nx.Graph) -> genesis.Tensor:
    """``D^-1/2 (A + I) D^-1/2``, with D the degrees of A + I: Kipf and Welling's equation 2."""
    adjacency = genesis.tensor(nx.to_numpy_array(graph, weight=None), dtype=genesis.float32)
    adjacency = adjacency + genesis.eye(len(adjacency))
    scale = adjacency.sum(dim=1).rsqrt()
    return scale[:, None] * adjacency * scale[None, :]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a graph convolutional network on the karate club.")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="a quarter of the steps, to see that everything works")
    args = parser.parse_args(arguments)
    if args.short:
        args.steps = 100
    return args


def main(arguments: list[str] | None = None) -> float:
    args = parse(arguments)
    genesis.manual_seed(args.seed)
    graph = nx.karate_club_graph()
    sides = sorted({side for _, side in graph.nodes(data="club")})
    labels = genesis.tensor([sides.index(side) for _, side in graph.nodes(data="club")])
    known = genesis.tensor([0, 33])  # Mr. Hi and the officer
    unknown = genesis.arange(1, 33)
    adjacency = normalised(graph)
    features = genesis.eye(len(graph))

    model = GCN(len(graph), args.width, len(sides))
    optimizer = optim.Adam(model.parameters(), lr=args.lr, weight_decay=5e-4)

    @genesis.compile
    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(features, adjacency)[known], labels[known])
        loss.backward()
        optimizer.step()
        return loss

    @genesis.compile
    @genesis.no_grad()
    def predict():
        return model(features, adjacency).softmax(dim=1)

    def accuracy() -> float:
        model.eval()
        right = predict().argmax(dim=1) == labels
        model.train()
        return right[unknown].float().mean().item()

    if args.short:  # training that goes on from a checkpoint is the same training, bit for bit
        print(genesis.verify_resume(step, 2, 2, [()] * 4))

    losses = []
    for done in range(1, args.steps + 1):
        losses.append(step().item())
        if done % (args.steps // 10) == 0:
            print(f"step {done:3}  loss {np.mean(losses[-20:]):.3f}  accuracy on the other 32 {accuracy():.1%}")

    model.eval()
    chances = predict()
    print("\nmember  went with  the network says")
    for member, (p, label) in enumerate(zip(chances.tolist(), labels.tolist())):
        guess = int(p[1] > p[0])
        if guess != label or member in known.tolist():
            note = "shown" if member in known.tolist() else "wrong"
            print(f"{member:6}  {sides[label]:9}  {sides[guess]} ({p[guess]:.0%}), {note}")
    return accuracy()


if __name__ == "__main__":
    main()

"""Train an LSTM on the source of Python's own library, one character at a time, and let it write.

    python examples/train_lstm.py           # a million characters of modules that come with Python; a minute
    python examples/train_lstm.py --short   # a small model for a few steps, to see that everything works

The text is cut into rows that are read side by side, 64 characters a step; the state of the LSTM goes from one step
into the next, gradients stop there (truncated backpropagation through time). A character of the text that it was not
trained on costs the model 2.35 bits (Python 3.11); by a table of how often each character occurs it costs 4.63.
"""

from __future__ import annotations

import argparse
import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import genesis
from genesis import nn, optim
from genesis.nn import functional as F

MODULES = "argparse calendar configparser copy csv dataclasses difflib enum fractions functools heapq pickle random"
MODULES += " shutil statistics string subprocess tempfile textwrap traceback typing uuid zipfile"


class Model(nn.Module):
    """Characters ``[batch, time]`` and the state to logits ``[batch, time, vocabulary]`` and the next state."""

    def __init__(self, vocabulary: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens, state):
        x, state = self.lstm(self.embedding(tokens), state)
        return self.head(self.dropout(x)), state

    def start(self, batch: int):
        """The state before the first character: ``h`` and ``c``, ``[layers, batch, width]`` each."""
        shape = self.lstm.num_layers, batch, self.lstm.hidden_size
        return genesis.zeros(shape), genesis.zeros(shape)


def load_text() -> str:
    """The source of the modules, in ASCII."""
    found = [find_spec(name) for name in MODULES.split()]
    paths = [Path(spec.origin) for spec in found if spec is not None and spec.origin is not None]
    return "".join(path.read_text("utf-8") for path in paths if path.suffix == ".py").encode("ascii", "ignore").decode()


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train an LSTM on the source of Python's own library.")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--time", type=int, default=64, help="characters of a step")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", type=int, default=500, help="characters to write at the end")
    parser.add_argument("--short", action="store_true", help="a small model for a few steps")
    args = parser.parse_args(arguments)
    if args.short:
        args.steps, args.width, args.layers, args.sample, args.lr = 60, 64, 1, 80, 1e-2
    return args


def main(arguments: list[str] | None = None) -> float:
    args = parse(arguments)
    genesis.manual_seed(args.seed)
    tokens = genesis.tensor(list(load_text().encode()))
    train_tokens, valid_tokens = tokens[: -len(tokens) // 10], tokens[-len(tokens) // 10 :]
    print(f"{len(train_tokens)} characters to train on, {len(valid_tokens)} to test on")

    def batches(source):
        """Characters and those that follow them, ``[batch, time]`` each: every row goes on where it ended."""
        columns = (len(source) - 1) // args.batch_size
        x = source[: args.batch_size * columns].reshape(args.batch_size, columns)
        y = source[1 : args.batch_size * columns + 1].reshape(args.batch_size, columns)
        for start in range(0, columns - args.time + 1, args.time):
            yield x[:, start : start + args.time], y[:, start : start + args.time]

    model = Model(128, args.width, args.layers, args.dropout if args.layers > 1 else 0.0)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.steps, eta_min=args.lr / 20)

    @genesis.compile
    def step(x, y, state):
        optimizer.zero_grad()
        logits, (h, c) = model(x, state)
        loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        scheduler.step()
        return loss, (h.detach(), c.detach())

    @genesis.compile
    @genesis.no_grad()
    def valid_loss(x, y, state):
        logits, state = model(x, state)
        return F.cross_entropy(logits.flatten(0, 1), y.flatten()), state

    @genesis.compile
    @genesis.no_grad()
    def next_character(x, state):
        logits, state = model(x, state)
        return genesis.multinomial(F.softmax(logits[:, -1] / 0.7, dim=-1), 1), state

    def bits() -> float:
        """Per character of the test text."""
        model.eval()
        losses, state = [], model.start(args.batch_size)
        for x, y in batches(valid_tokens):
            loss, state = valid_loss(x, y, state)
            losses.append(loss.item())
        model.train()
        return float(np.mean(losses)) / math.log(2)

    def write(start: str, count: int) -> str:
        model.eval()
        state = model.start(1)
        for character in start.encode():
            token, state = next_character(genesis.tensor([[character]]), state)
        written = [token]
        while len(written) < count:
            token, state = next_character(written[-1], state)
            written.append(token)
        model.train()
        return start + bytes(genesis.cat(written, dim=1)[0].tolist()).decode()

    if args.short:  # training that goes on from a checkpoint is the same training, bit for bit
        few = [(x, y, model.start(args.batch_size)) for (x, y), _ in zip(batches(train_tokens), range(4))]
        print(genesis.verify_resume(step, 2, 2, few))

    losses: list[float] = []
    while len(losses) < args.steps:
        state = model.start(args.batch_size)
        for x, y in batches(train_tokens):
            loss, state = step(x, y, state)
            losses.append(loss.item())
            if len(losses) % (args.steps // 5) == 0:
                mean = np.mean(losses[-50:]) / math.log(2)
                print(f"step {len(losses):4}  bits a character {mean:.2f}  of the test text {bits():.2f}")
            if len(losses) == args.steps:
                break
    print("\n" + write("def ", args.sample))
    return bits()


if __name__ == "__main__":
    main()

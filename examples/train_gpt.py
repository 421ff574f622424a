"""Train a small GPT on the help texts that come with Python, one character at a time, and let it write.

    python examples/train_gpt.py                         # 4 layers, 128 wide; bfloat16 autocast
    python examples/train_gpt.py --precision fp16        # with a gradient scaler
    python examples/train_gpt.py --resume                # go on from the newest checkpoint in --out
    python examples/train_gpt.py --eager                 # the same functions, one operation at a time

The model is GPT-2's in the small, after Karpathy's nanoGPT (https://github.com/karpathy/nanoGPT): AdamW that decays
matrices only, warm-up and a cosine, gradients clipped to norm 1. Schedule included, the step compiles to one program.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

import genesis
from genesis import nn, optim
from genesis.amp import GradScaler, autocast
from genesis.nn import functional as F
from genesis.optim.lr_scheduler import LambdaLR

LOW_PRECISION = {"fp16": genesis.float16, "bf16": genesis.bfloat16}


class Attention(nn.Module):
    """Causal self-attention."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        batch, time, width = x.shape
        q, k, v = (
            part.reshape(batch, time, self.heads, width // self.heads).transpose(1, 2)
            for part in self.qkv(x).split(width, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.dropout(self.out(y.transpose(1, 2).reshape(batch, time, width)))


class Block(nn.Module):
    """Attention and a perceptron, each around a residual connection."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(dropout)
        )

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """Characters ``[batch, time]`` to logits ``[batch, time, vocabulary]``; the first and last matrix are one."""

    def __init__(self, vocabulary: int, time: int, width: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(time, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList([Block(width, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.token.weight
        for name, p in self.named_parameters():
            if p.ndim > 1:
                last_of_block = name.endswith(("out.weight", "mlp.2.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * layers) if last_of_block else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, tokens):
        x = self.dropout(self.token(tokens) + self.position(genesis.arange(tokens.shape[1])))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a small GPT on the help texts that come with Python.")
    parser.add_argument("--precision", choices=["bf16", "fp16", "fp32"], default="bf16")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--time", type=int, default=64, help="characters that the model sees")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", type=int, default=400, help="characters to write at the end")
    parser.add_argument(
        "--out", type=Path, default=Path("output/gpt"), help="folder for checkpoints, IR and generated code"
    )
    parser.add_argument("--save-every", type=int, default=500, metavar="STEPS")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in --out")
    parser.add_argument("--eager", action="store_true", help="run operation by operation instead of compiling the step")
    parser.add_argument(
        "--short", action="store_true", help="a tiny model for a few steps, to see that everything works"
    )
    args = parser.parse_args(arguments)
    if args.short:
        args.steps, args.save_every, args.sample = 30, 15, 40
        args.time, args.width, args.layers, args.heads, args.batch_size = 32, 32, 2, 2, 8
    return args


def newest_checkpoint(folder: Path) -> Path:
    found = sorted(folder.glob("checkpoint_step_*.pth"), key=lambda path: int(path.stem.rpartition("_")[2]))
    if not found:
        raise SystemExit(f"--resume: there is no checkpoint in {folder}")
    return found[-1]


def main(arguments: list[str] | None = None) -> list[float]:
    args = parse(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    genesis.manual_seed(args.seed)
    text = "\n".join(topics[name] for name in sorted(topics))
    characters = sorted(set(text))
    tokens = np.array([characters.index(c) for c in text])
    train_tokens, valid_tokens = np.split(tokens, [len(tokens) * 9 // 10])

    def windows(source: np.ndarray, step: int):
        """Characters and those that follow them, ``[batch, time]`` each, from places that ``step`` decides."""
        rng = np.random.default_rng((args.seed, step))
        starts = rng.integers(len(source) - args.time, size=(args.batch_size, 1))
        places = starts + np.arange(args.time)
        return genesis.tensor(source[places]), genesis.tensor(source[places + 1])

    model = GPT(len(characters), args.time, args.width, args.layers, args.heads, args.dropout)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.99))
    warm_up = max(args.steps // 15, 1)

    def share_of_lr(step: int) -> float:
        """Up over the warm-up, then half a cosine down to a tenth."""
        if step < warm_up:
            return (step + 1) / warm_up
        done = (step - warm_up) / max(args.steps - warm_up, 1)
        return 0.1 + 0.45 * (1 + math.cos(math.pi * done))

    scheduler = LambdaLR(optimizer, lr_lambda=share_of_lr)
    scaler = GradScaler(enabled=args.precision == "fp16")
    precision = {"dtype": LOW_PRECISION.get(args.precision), "enabled": args.precision != "fp32"}
    compiled = (lambda function: function) if args.eager else genesis.compile

    def loss_of(x, y):
        with autocast(**precision):
            return F.cross_entropy(model(x).flatten(0, 1), y.flatten())

    @compiled
    def train_step(x, y):
        optimizer.zero_grad()
        loss = loss_of(x, y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        scaler.step(optimizer)
        scaler.update()
        scheduler.step()
        return loss, norm

    @compiled
    def valid_loss(x, y):
        with genesis.no_grad():
            return loss_of(x, y)

    @compiled
    def next_character(x):
        """Probabilities of the character after the window ``x``, ``[1, time]``."""
        with genesis.no_grad():
            return F.softmax(model(x)[0, -1] / 0.8, dim=-1)

    def validate() -> float:
        model.eval()
        mean = float(np.mean([valid_loss(*windows(valid_tokens, i)).item() for i in range(8)]))
        model.train()
        return mean

    def write(count: int) -> str:
        """Go on from the beginning of the validation text, ``count`` characters."""
        model.eval()
        rng = np.random.default_rng(args.seed)
        written = list(valid_tokens[: args.time])
        for _ in range(count):
            chances = next_character(genesis.tensor([written[-args.time :]])).numpy().astype(np.float64)
            written.append(rng.choice(len(characters), p=chances / chances.sum()))
        model.train()
        return "".join(characters[i] for i in written)

    losses = []

    def save(path: Path, done: int) -> None:
        state = {
            "step": done,
            "model_state_dict": model.state_dict(),
            "optimizer_state_dict": optimizer.state_dict(),
            "scheduler_state_dict": scheduler.state_dict(),
            "scaler_state_dict": scaler.state_dict(),
            "rng_state": genesis.get_rng_state(),
            "loss": losses[-1] if losses else None,
        }
        genesis.save_checkpoint(state, path)

    def load(path: Path) -> int:
        checkpoint = genesis.load_checkpoint(path)
        model.load_state_dict(checkpoint["model_state_dict"])
        optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
        scheduler.load_state_dict(checkpoint["scheduler_state_dict"])
        scaler.load_state_dict(checkpoint["scaler_state_dict"])
        genesis.set_rng_state(checkpoint["rng_state"])
        return checkpoint["step"]

    first_step = load(newest_checkpoint(args.out)) if args.resume else 0
    if args.short:  # training that goes on from a checkpoint is the same training, bit for bit
        few = [windows(train_tokens, i) for i in range(4)]
        own = {"save": lambda path: save(path, 0), "load": load}
        print(genesis.verify_resume(train_step, 2, 2, few, **own))

    for step in range(first_step, args.steps):
        loss, norm = train_step(*windows(train_tokens, step))
        losses.append(loss.item())
        done = step + 1
        if done % max(args.steps // 10, 1) == 0:
            print(
                f"step {done:5}  loss {np.mean(losses[-50:]):.3f}  validation {validate():.3f}  "
                f"lr {scheduler.get_last_lr()[0]:.1e}  scale {scaler.get_scale():g}  norm {norm.item():.2f}"
            )
        if done % args.save_every == 0:
            save(args.out / f"checkpoint_step_{done}.pth", done)

    print("\n" + write(args.sample))
    if not args.eager:
        train_step.dump(args.out / "ir")
        print(f"\nthe step at every stage, and the code generated for it, are in {args.out / 'ir'}")
    return losses


if __name__ == "__main__":
    main()

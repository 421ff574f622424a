"""Train a vision transformer on handwritten digits that are turned, scaled and moved as they are read.

    python examples/train_vit.py           # 1797 real images from scikit-learn, 8 × 8 pixels; half a minute
    python examples/train_vit.py --short   # a few epochs, to see that everything works

After Dosovitskiy et al. ("An Image is Worth 16x16 Words", 2021); here a word is 2 × 2 pixels. A transformer knows
nothing of images, so it needs many: every image is another one each time, by a random affine map, which is drawn in the
compiled step. AdamW, warm-up and a cosine, in bfloat16. It reaches 97.5 % of the test images.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import genesis
from genesis import nn, optim
from genesis.nn import functional as F
from genesis.utils.data import DataLoader, TensorDataset


class VisionTransformer(nn.Module):
    """Images ``[batch, 1, 8, 8]`` to logits ``[batch, 10]``, read off a token of its own."""

    def __init__(self, width: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, kernel_size=2, stride=2)
        self.token = nn.Parameter(genesis.zeros(1, 1, width))
        self.position = nn.Parameter(0.02 * genesis.randn(1, 17, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = genesis.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.position
        return self.head(self.encoder(x)[:, 0])


def distorted(x):
    """Each image turned by up to 10 degrees, scaled by up to a tenth and moved by up to half a pixel."""
    turn, scale, right, down = 2 * genesis.rand(4, len(x)) - 1
    turn, scale, right, down = turn * math.pi / 18, 1 + scale / 10, right / 8, down / 8
    rows = [genesis.stack([scale * turn.cos(), -turn.sin(), right], dim=1)]
    rows.append(genesis.stack([turn.sin(), scale * turn.cos(), down], dim=1))
    grid = F.affine_grid(genesis.stack(rows, dim=1), x.shape, align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a vision transformer on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="a few epochs, to see that everything works")
    args = parser.parse_args(arguments)
    if args.short:
        args.epochs, args.layers = 6, 2
    return args


def main(arguments: list[str] | None = None) -> float:
    args = parse(arguments)
    genesis.manual_seed(args.seed)
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    parts = train_test_split(images, labels, test_size=0.2, stratify=labels, random_state=args.seed)
    train_x, test_x, train_y, test_y = map(genesis.from_numpy, parts)
    train_data = TensorDataset(train_x, train_y)
    batches = DataLoader(train_data, batch_size=args.batch_size, shuffle=True, drop_last=True)

    model = VisionTransformer(args.width, args.layers, args.heads, args.dropout)
    optimizer = optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.05)
    steps, warm_up = args.epochs * len(batches), 20
    scheduler = optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            optim.lr_scheduler.LinearLR(optimizer, start_factor=0.05, total_iters=warm_up),
            optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps - warm_up),
        ],
        milestones=[warm_up],
    )

    @genesis.compile
    def step(x, y):
        optimizer.zero_grad()
        with genesis.autocast("cpu", dtype=genesis.bfloat16):
            loss = F.cross_entropy(model(distorted(x)), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        scheduler.step()
        return loss

    @genesis.compile
    @genesis.no_grad()
    def count_correct(x, y):
        return (model(x).argmax(dim=1) == y).sum()

    def accuracy() -> float:
        model.eval()
        correct = count_correct(test_x, test_y).item()
        model.train()
        return correct / len(test_y)

    if args.short:  # training that goes on from a checkpoint is the same training, bit for bit
        few = [train_data[32 * i : 32 * i + 32] for i in range(4)]
        print(genesis.verify_resume(step, 2, 2, few))

    for epoch in range(1, args.epochs + 1):
        losses = [step(x, y).item() for x, y in batches]
        if epoch % max(args.epochs // 10, 1) == 0:
            print(f"epoch {epoch:3}  loss {np.mean(losses):.3f}  test accuracy {accuracy():.1%}")
    return accuracy()


if __name__ == "__main__":
    main()

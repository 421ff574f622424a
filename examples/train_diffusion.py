"""Train a diffusion model on points of a spiral, and let it draw some from noise.

    python examples/train_diffusion.py           # points in two dimensions, by a formula; ten seconds
    python examples/train_diffusion.py --short   # a few steps, to see that everything works

After Ho et al. ("Denoising Diffusion Probabilistic Models", 2020): the network learns to tell the noise in a point that
had noise added, up to 100 times; the other way round, noise becomes points. A moving average of the weights draws. The
figure is how far a drawn point is from the nearest of many true ones, in the mean; the spiral is 4 units wide. It
reaches 0.015; points with the right mean and variance only are 0.315 away.
"""

from __future__ import annotations

import argparse
import math
from copy import deepcopy

import numpy as np

import genesis
from genesis import nn, optim
from genesis.nn import functional as F


class Denoiser(nn.Module):
    """Points ``[batch, 2]`` with noise and their times ``[batch]`` to the noise in them ``[batch, 2]``."""

    def __init__(self, width: int, times: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", math.pi / 2 ** genesis.arange(-2.0, 6.0))
        self.times = times
        self.layers = nn.Sequential(
            nn.Linear(2 + 4 * 8 + 16, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, 2),
        )

    def waves(self, x):
        """Sines and cosines of ``x``, ``[batch, n]`` to ``[batch, 16 n]``."""
        angles = (x[:, :, None] * self.frequencies).flatten(1)
        return genesis.cat([angles.sin(), angles.cos()], dim=1)

    def forward(self, x, time):
        return self.layers(genesis.cat([x, self.waves(x), self.waves(time[:, None] / self.times)], dim=1))


def spiral(count: int):
    """Points ``[count, 2]`` of a spiral with one and a half turns, from 0.7 to 2 from the middle, a little blurred."""
    turn = 1.5 * math.pi * (1 + 2 * genesis.rand(count))
    points = genesis.stack([turn.cos(), turn.sin()], dim=1) * (turn / (2.25 * math.pi))[:, None]
    return points + 0.02 * genesis.randn(count, 2)


def distance(drawn, true) -> float:
    """From a drawn point to the nearest true one, in the mean."""
    return genesis.cdist(drawn, true).min(dim=1).values.mean().item()


def show(points: np.ndarray, rows: int = 24) -> str:
    """Points of -2.4 .. 2.4 as characters."""
    counts, _, _ = np.histogram2d(-points[:, 1], points[:, 0], bins=(rows, 2 * rows), range=[[-2.4, 2.4]] * 2)
    return "\n".join("".join(" .:*#"[int(min(c, 4))] for c in row) for row in counts)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a diffusion model on points of a spiral.")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--times", type=int, default=100, help="how often noise is added")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="a few steps, to see that everything works")
    args = parser.parse_args(arguments)
    if args.short:
        args.steps = 1000
    return args


def main(arguments: list[str] | None = None) -> float:
    args = parse(arguments)
    genesis.manual_seed(args.seed)
    betas = genesis.linspace(1e-3, 0.15, args.times)
    alphas = 1 - betas
    kept = alphas.cumprod(0)  # how much of the point is left, squared
    true = spiral(4096)

    model = Denoiser(args.width, args.times)
    average = deepcopy(model).requires_grad_(False)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.steps)

    @genesis.compile
    def step():
        points = spiral(args.batch_size)
        time = genesis.randint(0, args.times, (args.batch_size,))
        noise = genesis.randn_like(points)
        left = kept[time][:, None]
        loss = F.mse_loss(model(left.sqrt() * points + (1 - left).sqrt() * noise, time), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        with genesis.no_grad():
            for mean, p in zip(average.parameters(), model.parameters()):
                mean.lerp_(p, 0.01)
        return loss

    @genesis.compile
    @genesis.no_grad()
    def denoise(x, time):
        """Points as they were one time before: Ho et al.'s algorithm 2; ``time`` is ``[1]``."""
        x = x - betas[time] / (1 - kept[time]).sqrt() * average(x, time.expand(len(x)))
        return x / alphas[time].sqrt() + (time > 0) * betas[time].sqrt() * genesis.randn_like(x)

    def draw(count: int):
        x = genesis.randn(count, 2)
        for time in reversed(range(args.times)):
            x = denoise(x, genesis.tensor([time]))
        return x

    plain = true.mean(0) + true.std(0) * genesis.randn(1024, 2)
    print(f"points of the same mean and variance are {distance(plain, true):.3f} away from true ones")
    if args.short:  # training that goes on from a checkpoint is the same training, bit for bit
        print(genesis.verify_resume(step, 2, 2, [()] * 4))

    losses = []
    for done in range(1, args.steps + 1):
        losses.append(step().item())
        if done % (args.steps // 5) == 0:
            away = distance(draw(1024), true)
            print(f"step {done:4}  loss {np.mean(losses[-200:]):.3f}  drawn points are {away:.3f} away from true ones")

    drawn = draw(1024)
    print("\n" + show(drawn.numpy()))
    return distance(drawn, true)


if __name__ == "__main__":
    main()

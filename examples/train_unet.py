"""Train a U-Net that takes the noise out of pictures of handwritten digits.

    python examples/train_unet.py           # 32 × 32 pixels with eight of scikit-learn's 1797 real digits; a minute
    python examples/train_unet.py --short   # a few steps, to see that everything works

The network is Ronneberger et al.'s in the small ("U-Net", 2015): down twice, up twice, and on each level the way up
sees what the way down saw. The noise is normal, as strong as half of full white. The figure is the ratio of full white
to the error that is left, in decibels (PSNR), on pictures of digits that were not in the training. It reaches 17.0;
with all the noise in them the pictures have 6.
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import genesis
from genesis import nn, optim
from genesis.nn import functional as F

SIZE, DIGITS, NOISE = 32, 8, 0.5
SHADES = " .:-=+*#%@"


def convolutions(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.GroupNorm(4, outputs), nn.SiLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Pictures ``[batch, 1, height, width]`` to pictures of the same shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down1 = convolutions(1, width)
        self.down2 = convolutions(width, 2 * width)
        self.bottom = convolutions(2 * width, 4 * width)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, kernel_size=2, stride=2)
        self.join2 = convolutions(4 * width, 2 * width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, kernel_size=2, stride=2)
        self.join1 = convolutions(2 * width, width)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        fine = self.down1(x)
        coarse = self.down2(F.max_pool2d(fine, 2))
        x = self.bottom(F.max_pool2d(coarse, 2))
        x = self.join2(genesis.cat([coarse, self.up2(x)], dim=1))
        x = self.join1(genesis.cat([fine, self.up1(x)], dim=1))
        return self.head(x)


def pictures(digits: np.ndarray, count: int, rng: np.random.Generator):
    """``count`` pictures of digits in random places, with noise and without: ``[count, 1, 32, 32]`` each."""
    clean = np.zeros((count, 1, SIZE, SIZE), np.float32)
    for picture in clean[:, 0]:
        for digit in digits[rng.integers(len(digits), size=DIGITS)]:
            row, column = rng.integers(SIZE - 8, size=2)
            place = picture[row : row + 8, column : column + 8]
            np.maximum(place, digit, out=place)
    noisy = clean + NOISE * rng.standard_normal(clean.shape, np.float32)
    return genesis.from_numpy(noisy), genesis.from_numpy(clean)


def show(*images) -> str:
    """Pictures ``[height, width]`` of 0 .. 1 side by side, a character a pixel."""
    shades = [np.array(list(SHADES))[(x.clamp(0, 1).numpy() * 9.99).astype(int)] for x in images]
    return "\n".join(" | ".join("".join(row) for row in rows) for rows in zip(*shades))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a U-Net that takes noise out of pictures.")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--width", type=int, default=16, help="channels of the finest level")
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="a few steps, to see that everything works")
    args = parser.parse_args(arguments)
    if args.short:
        args.steps, args.width = 120, 8
    return args


def main(arguments: list[str] | None = None) -> float:
    args = parse(arguments)
    genesis.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    images = (load_digits().images / 16).astype(np.float32)
    train_digits, test_digits = train_test_split(images, test_size=0.2, random_state=args.seed)
    test_noisy, test_clean = pictures(test_digits, 64, rng)

    def batch():
        return pictures(train_digits, args.batch_size, rng)

    model = UNet(args.width)
    optimizer = optim.AdamW(model.parameters(), lr=args.lr)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=args.lr, total_steps=args.steps)

    @genesis.compile
    def step(noisy, clean):
        optimizer.zero_grad()
        with genesis.autocast("cpu", dtype=genesis.bfloat16):
            loss = F.mse_loss(model(noisy), clean)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        scheduler.step()
        return loss

    @genesis.compile
    @genesis.no_grad()
    def denoise(noisy):
        return model(noisy)

    def decibels() -> float:
        return -10 * F.mse_loss(denoise(test_noisy), test_clean).log10().item()

    if args.short:  # training that goes on from a checkpoint is the same training, bit for bit
        print(genesis.verify_resume(step, 2, 2, [batch() for _ in range(4)]))

    losses = []
    for done in range(1, args.steps + 1):
        losses.append(step(*batch()).item())
        if done % (args.steps // 5) == 0:
            print(f"step {done:4}  squared error {np.mean(losses[-50:]):.4f}  PSNR of the test {decibels():.1f} dB")

    print("\na picture with noise, what the network makes of it, and as it was")
    print(show(test_noisy[0, 0], denoise(test_noisy[:1])[0, 0], test_clean[0, 0]))
    return decibels()


if __name__ == "__main__":
    main()

"""Train a generative adversarial network of convolutions that draws handwritten digits.

    python examples/train_dcgan.py           # 1797 real images from scikit-learn, 8 × 8 pixels; half a minute
    python examples/train_dcgan.py --short   # a few epochs, to see that everything works

After Radford et al. ("Unsupervised Representation Learning with Deep Convolutional GANs", 2016). One compiled step
holds both players: the discriminator's loss, backward pass and update, then the generator's. The figure is the Fréchet
distance between real and drawn images (D. Dowson and B. Landau, 1982): squared, of normal distributions with the means
and covariances of the pixels. It reaches 0.17; noise of the right means and variances has 1.69, two halves of the real
images 0.07.
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.datasets import load_digits

import genesis
from genesis import nn, optim
from genesis.nn import functional as F
from genesis.utils.data import DataLoader, TensorDataset

SHADES = " .:-=+*#%@"


def make_generator(code: int, width: int) -> nn.Sequential:
    """Codes ``[batch, code, 1, 1]`` to images ``[batch, 1, 8, 8]`` in -1 .. 1."""
    return nn.Sequential(
        nn.ConvTranspose2d(code, 2 * width, 2, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1),
        nn.Tanh(),
    )


def make_discriminator(width: int) -> nn.Sequential:
    """Images ``[batch, 1, 8, 8]`` to logits ``[batch]`` of being real."""
    return nn.Sequential(
        nn.Conv2d(1, width, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(2 * width * 4, 1),
        nn.Flatten(0),
    )


def initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared, of the normal distributions fitted to the rows of ``a`` and of ``b``."""
    a, b = a.reshape(len(a), -1).astype(np.float64), b.reshape(len(b), -1).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(a, rowvar=False))
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    common = np.sqrt(np.linalg.eigvalsh(root @ np.cov(b, rowvar=False) @ root).clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + a.var(0, ddof=1).sum() + b.var(0, ddof=1).sum() - 2 * common)


def show(images: np.ndarray) -> str:
    """Images ``[n, 1, 8, 8]`` of 0 .. 1 side by side, a character a pixel."""
    shades = np.array(list(SHADES))[(images[:, 0] * 9.99).astype(int)]
    return "\n".join("  ".join("".join(row) for row in rows) for rows in shades.transpose(1, 0, 2))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a generative adversarial network on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--code", type=int, default=32, help="numbers that an image is drawn from")
    parser.add_argument("--width", type=int, default=32, help="channels at 4 × 4 pixels")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="a few epochs, to see that everything works")
    args = parser.parse_args(arguments)
    if args.short:
        args.epochs = 5
    return args


def main(arguments: list[str] | None = None) -> float:
    args = parse(arguments)
    genesis.manual_seed(args.seed)
    images = (load_digits().images / 16).astype(np.float32)[:, None]
    halves = frechet_distance(images[::2], images[1::2])
    noise = np.random.default_rng(args.seed).normal(images.mean(0), images.std(0), images.shape)
    print(f"Fréchet distance of two halves of the images {halves:.2f}, of noise {frechet_distance(images, noise):.2f}")
    data = TensorDataset(genesis.from_numpy(2 * images - 1))
    batches = DataLoader(data, batch_size=args.batch_size, shuffle=True, drop_last=True)

    generator, discriminator = make_generator(args.code, args.width), make_discriminator(args.width)
    generator.apply(initialise)
    discriminator.apply(initialise)
    generator_optimizer = optim.Adam(generator.parameters(), lr=args.lr, betas=(0.5, 0.999))
    discriminator_optimizer = optim.Adam(discriminator.parameters(), lr=args.lr, betas=(0.5, 0.999))

    @genesis.compile
    def step(real):
        fake = generator(genesis.randn(len(real), args.code, 1, 1))
        discriminator_optimizer.zero_grad()
        loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()
        loss.backward()
        discriminator_optimizer.step()

        generator_optimizer.zero_grad()
        generator_loss = F.softplus(-discriminator(fake)).mean()
        generator_loss.backward()
        generator_optimizer.step()
        return loss, generator_loss

    @genesis.compile
    @genesis.no_grad()
    def draw(code):
        return (generator(code) + 1) / 2

    codes = genesis.randn(len(images), args.code, 1, 1)

    def distance() -> float:
        generator.eval()
        drawn = draw(codes).numpy()
        generator.train()
        return frechet_distance(images, drawn)

    if args.short:  # training that goes on from a checkpoint is the same training, bit for bit
        print(genesis.verify_resume(step, 2, 2, [data[64 * i : 64 * i + 64] for i in range(4)]))

    for epoch in range(1, args.epochs + 1):
        losses = [[loss.item() for loss in step(real)] for (real,) in batches]
        if epoch % max(args.epochs // 10, 1) == 0:
            d, g = np.mean(losses, axis=0)
            print(f"epoch {epoch:3}  discriminator {d:.2f}  generator {g:.2f}  Fréchet distance {distance():.2f}")

    generator.eval()
    print("\nreal digits, and drawn ones")
    print(show(images[:8]) + "\n")
    print(show(draw(codes)[:8].numpy()))
    return distance()


if __name__ == "__main__":
    main()

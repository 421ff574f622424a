"""Train a variational autoencoder on handwritten digits, and let it draw some.

    python examples/train_vae.py           # 1797 real images from scikit-learn, 8 × 8 pixels; ten seconds
    python examples/train_vae.py --short   # ten epochs, to see that everything works

After Kingma and Welling ("Auto-Encoding Variational Bayes", 2014): a code of eight numbers for an image, normal as the
prior; a grey value is the chance that the pixel is drawn white (Salakhutdinov and Murray, 2008). Pixels and codes are
drawn in the compiled step. The figure is the bound on what an unseen image costs; it reaches 23.4 nats, and is 27.2
for pixels that know nothing of each other.
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import genesis
from genesis import nn, optim
from genesis.distributions import Normal, kl_divergence
from genesis.nn import functional as F
from genesis.utils.data import DataLoader, TensorDataset

SHADES = " .:-=+*#%@"


class VAE(nn.Module):
    """Encodes images ``[batch, 64]`` as a distribution over codes; decodes codes to logits ``[batch, 64]``."""

    def __init__(self, code: int, width: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2 * code)
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 64)
        )

    def encode(self, x) -> Normal:
        mean, log_scale = self.encoder(x).chunk(2, dim=1)
        return Normal(mean, log_scale.exp())

    def forward(self, x):
        """The negative evidence lower bound of each image, in nats: ``[batch]``."""
        posterior = self.encode(x)
        code = posterior.rsample()
        prior = Normal(genesis.zeros_like(code), genesis.ones_like(code))
        reconstruction = F.binary_cross_entropy_with_logits(self.decoder(code), x, reduction="none").sum(dim=1)
        return reconstruction + kl_divergence(posterior, prior).sum(dim=1)


def show(images: np.ndarray) -> str:
    """Images ``[n, 64]`` of 0 .. 1 side by side, a character a pixel."""
    shades = np.array(list(SHADES))[(images.reshape(-1, 8, 8) * 9.99).astype(int)]
    return "\n".join("  ".join("".join(row) for row in rows) for rows in shades.transpose(1, 0, 2))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a variational autoencoder on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--code", type=int, default=8, help="numbers for an image")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="ten epochs, to see that everything works")
    args = parser.parse_args(arguments)
    if args.short:
        args.epochs = 10
    return args


def main(arguments: list[str] | None = None) -> float:
    args = parse(arguments)
    genesis.manual_seed(args.seed)
    images, _ = load_digits(return_X_y=True)
    train_x, test_x = train_test_split((images / 16).astype(np.float32), test_size=0.2, random_state=args.seed)
    mean = train_x.mean(axis=0).clip(1e-3, 1 - 1e-3)
    apart = -(test_x * np.log(mean) + (1 - test_x) * np.log(1 - mean)).sum(axis=1).mean()
    print(f"pixels that know nothing of each other: {apart:.2f} nats an image")
    train_data = TensorDataset(genesis.from_numpy(train_x))
    test_grey = genesis.from_numpy(test_x)
    batches = DataLoader(train_data, batch_size=args.batch_size, shuffle=True, drop_last=True)

    model = VAE(args.code, args.width)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)

    @genesis.compile
    def step(grey):
        optimizer.zero_grad()
        loss = model(genesis.bernoulli(grey)).mean()
        loss.backward()
        optimizer.step()
        return loss

    @genesis.compile
    @genesis.no_grad()
    def bound(grey):
        return model(genesis.bernoulli(grey)).mean()

    def test_bound() -> float:
        return float(np.mean([bound(test_grey).item() for _ in range(10)]))

    if args.short:  # training that goes on from a checkpoint is the same training, bit for bit
        print(genesis.verify_resume(step, 2, 2, [train_data[64 * i : 64 * i + 64] for i in range(4)]))

    for epoch in range(1, args.epochs + 1):
        losses = [step(grey).item() for (grey,) in batches]
        if epoch % max(args.epochs // 10, 1) == 0:
            print(f"epoch {epoch:3}  nats an image {np.mean(losses):.2f}  of the test {test_bound():.2f}")

    with genesis.no_grad():
        print("\nreal digits, and what is left of them in their codes")
        print(show(test_x[:8]) + "\n")
        print(show(model.decoder(model.encode(test_grey[:8]).mean).sigmoid().numpy()))
        print("\ndrawn from the prior")
        print(show(model.decoder(genesis.randn(8, args.code)).sigmoid().numpy()))
    return test_bound()


if __name__ == "__main__":
    main()

"""Train a small residual network to read numbers of two handwritten digits, with float16 and a gradient scaler.

    python examples/train_resnet.py           # pairs of scikit-learn's 1797 real images, 8 × 16 pixels; half a minute
    python examples/train_resnet.py --short   # one epoch, to see that everything works

The network is He et al.'s for small images in the small ("Deep Residual Learning for Image Recognition", 2015, section
4.2): three stages, each with half the pixels and twice the channels of the one before. It reads 97.9 % of the numbers
rightly, of a hundred there are; no digit of the test is in a number of the training. The whole step is one program:
autocast, the scaled backward pass, unscale, clip, SGD with Nesterov's momentum, the update of the scale.
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import genesis
from genesis import nn, optim
from genesis.nn import functional as F
from genesis.utils.data import DataLoader, Dataset


class Block(nn.Module):
    """Two convolutions around which the input goes; where the size changes, through a 1 × 1 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """Images ``[batch, 1, height, width]`` to logits ``[batch, classes]``."""

    def __init__(self, blocks: int, width: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        layers, inputs = [], width
        for stage, outputs in enumerate((width, 2 * width, 4 * width)):
            for i in range(blocks):
                layers.append(Block(inputs, outputs, stride=2 if stage > 0 and i == 0 else 1))
                inputs = outputs
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, Block):
                nn.init.zeros_(module.bn2.weight)  # every block begins as its shortcut

    def forward(self, x):
        return self.head(self.layers(self.stem(x)).mean(dim=(2, 3)))


class Numbers(Dataset):
    """``count`` numbers of two digits: images ``[1, 8, 16]`` in 0 .. 1, and 0 .. 99."""

    def __init__(self, digits: np.ndarray, labels: np.ndarray, count: int, seed: int) -> None:
        pairs = np.random.default_rng(seed).integers(len(digits), size=(count, 2))
        self.images = genesis.tensor(np.concatenate([digits[pairs[:, 0]], digits[pairs[:, 1]]], axis=2)).unsqueeze(1)
        self.labels = genesis.tensor(10 * labels[pairs[:, 0]] + labels[pairs[:, 1]])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a small residual network on numbers of two digits.")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--numbers", type=int, default=8192, help="numbers to train on")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=1, help="in each of the three stages")
    parser.add_argument("--width", type=int, default=16, help="channels of the first stage")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="one epoch, to see that everything works")
    args = parser.parse_args(arguments)
    if args.short:
        args.epochs = 1
    return args


def main(arguments: list[str] | None = None) -> float:
    args = parse(arguments)
    genesis.manual_seed(args.seed)
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 8, 8)
    parts = train_test_split(images, labels, test_size=0.2, stratify=labels, random_state=args.seed)
    train_x, test_x, train_y, test_y = parts
    train_data = Numbers(train_x, train_y, args.numbers, args.seed)
    test_data = Numbers(test_x, test_y, 1024, args.seed)
    train_batches = DataLoader(train_data, batch_size=args.batch_size, shuffle=True, drop_last=True)
    test_batches = DataLoader(test_data, batch_size=256)

    model = ResNet(args.blocks, args.width, classes=100)
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs * len(train_batches))
    scaler = genesis.amp.GradScaler("cpu")

    @genesis.compile
    def step(x, y):
        optimizer.zero_grad()
        with genesis.autocast("cpu", dtype=genesis.float16):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        scaler.step(optimizer)
        scaler.update()
        scheduler.step()
        return loss, norm

    @genesis.compile
    @genesis.no_grad()
    def count_correct(x, y):
        return (model(x).argmax(dim=1) == y).sum()

    def accuracy() -> float:
        model.eval()
        correct = sum(count_correct(x, y).item() for x, y in test_batches)
        model.train()
        return correct / len(test_data)

    if args.short:  # training that goes on from a checkpoint is the same training, bit for bit
        few = [train_data[64 * i : 64 * i + 64] for i in range(4)]
        print(genesis.verify_resume(step, 2, 2, few))

    for epoch in range(1, args.epochs + 1):
        losses, norms = [], []
        for x, y in train_batches:
            loss, norm = step(x, y)
            losses.append(loss.item())
            norms.append(norm.item())
        print(
            f"epoch {epoch:2}  loss {np.mean(losses):.3f}  gradient norm {np.median(norms):.2f}  "
            f"scale {scaler.get_scale():g}  test accuracy {accuracy():.1%}"
        )
    return accuracy()


if __name__ == "__main__":
    main()

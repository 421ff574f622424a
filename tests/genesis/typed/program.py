"""A program as a user writes it: it passes `mypy --strict`, and trains."""

from __future__ import annotations

import numpy as np

import genesis
import genesis.nn.functional as F
from genesis import Tensor, nn, optim
from genesis.amp import GradScaler, autocast
from genesis.optim.lr_scheduler import CosineAnnealingLR
from genesis.utils.data import DataLoader, Dataset, TensorDataset


class Block(nn.Module):
    def __init__(self, width: int, p: float = 0.1) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.body = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(p))
        self.scale = nn.Parameter(genesis.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.body(self.norm(x))


class Model(nn.Module):
    mean: Tensor

    def __init__(self, inputs: int, width: int, classes: int, depth: int = 2) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList([Block(width) for _ in range(depth)])
        self.last = nn.Linear(width, classes)
        self.register_buffer("mean", genesis.zeros(inputs))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x - self.mean))
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.last(x)
        return logits


class Trainer:
    """A step may be a method."""

    def __init__(self) -> None:
        self.model = nn.Linear(1, 1)
        self.optimizer = optim.SGD(self.model.parameters(), lr=0.1)

    @genesis.compile(keep_grads=True)
    def step(self, x: Tensor, y: Tensor) -> Tensor:
        self.optimizer.zero_grad()
        loss = F.mse_loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss


class Squares(Dataset[tuple[Tensor, Tensor]]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        x = genesis.tensor([float(index)])
        return x, x.square()


def main(path: str, epochs: int = 5) -> list[float]:
    genesis.manual_seed(0)
    rng = np.random.default_rng(0)
    images = genesis.from_numpy(rng.random((64, 8), np.float32))
    labels = images[:, :3].argmax(-1)
    data = TensorDataset(images, labels)
    model = Model(8, 16, 3)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.01)
    scheduler = CosineAnnealingLR(optimizer, T_max=epochs)
    scaler = GradScaler()

    @genesis.compile
    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        with autocast():
            loss = criterion(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        scaler.step(optimizer)
        scaler.update()
        return loss

    @genesis.compile(precision="bf16-mixed")
    def accuracy(x: Tensor, y: Tensor) -> Tensor:
        return (model(x).argmax(-1) == y).float().mean()

    losses: list[float] = []
    for _ in range(epochs):
        model.train()
        for x, y in DataLoader(data, batch_size=16, shuffle=True):
            loss = step(x, y)
            losses.append(loss.item())
        scheduler.step()
    trainer = Trainer()
    for x, y in DataLoader(Squares(), batch_size=4):
        trainer.step(x, y)
    model.eval()
    with genesis.no_grad():
        print(step.last, accuracy(images, labels).item(), optimizer.param_groups[0]["lr"])
    forward = genesis.compile(model)
    top, where = forward(images).max(-1)
    values = images.max(0).values.clamp(0, 1)
    print(top.shape, where.dtype, values.sum().item(), (images[0] * 2 - 1).abs().T)
    genesis.save_checkpoint({"model": model.state_dict()}, path)
    model.load_state_dict(genesis.load_checkpoint(path)["model"])
    return losses


if __name__ == "__main__":
    main("checkpoint.pth")

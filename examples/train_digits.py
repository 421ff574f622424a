"""Train a classifier of handwritten digits: mixed precision, loss scaling, clipping, a schedule, checkpoints.

    python examples/train_digits.py                      # about half a minute, 1797 real images from scikit-learn
    python examples/train_digits.py --precision bf16
    python examples/train_digits.py --resume             # go on from the newest checkpoint in --out
    python examples/train_digits.py --eager              # the same functions, one operation at a time
    python examples/train_digits.py --short              # two epochs, to see that everything works

The step is plain Python; ``@genesis.compile`` makes one program of it. The epoch that is reported is the one with the
best accuracy on a validation part of the training data; the test images are looked at once, at the end.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import genesis
from genesis import nn, optim
from genesis.amp import GradScaler, autocast
from genesis.optim.lr_scheduler import CosineAnnealingLR
from genesis.utils.data import DataLoader, TensorDataset

LOW_PRECISION = {"fp16": genesis.float16, "bf16": genesis.bfloat16}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a classifier of handwritten digits.")
    parser.add_argument("--precision", choices=["fp16", "bf16", "fp32"], default="fp16")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0, help="of the split, the initial weights, dropout and the order")
    parser.add_argument(
        "--out", type=Path, default=Path("output/digits"), help="folder for checkpoints, IR and generated code"
    )
    parser.add_argument("--save-every", type=int, default=10, metavar="EPOCHS")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in --out")
    parser.add_argument("--eager", action="store_true", help="run operation by operation instead of compiling the step")
    parser.add_argument("--short", action="store_true", help="two epochs, to see that everything works")
    args = parser.parse_args(arguments)
    if args.short:
        args.epochs, args.save_every = 2, 1
    return args


def load_data(seed: int) -> tuple[TensorDataset, TensorDataset, TensorDataset]:
    """8x8 images as 64 numbers in 0 .. 1, and their labels: for training, validation and test, every digit in each."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    split = {"random_state": seed, "shuffle": True}
    rest_x, test_x, rest_y, test_y = train_test_split(images, labels, test_size=0.2, stratify=labels, **split)
    train_x, valid_x, train_y, valid_y = train_test_split(rest_x, rest_y, test_size=0.1, stratify=rest_y, **split)
    parts = (train_x, train_y), (valid_x, valid_y), (test_x, test_y)
    return tuple(TensorDataset(genesis.tensor(x), genesis.tensor(y)) for x, y in parts)


def newest_checkpoint(folder: Path) -> Path:
    found = sorted(folder.glob("checkpoint_epoch_*.pth"), key=lambda path: int(path.stem.rpartition("_")[2]))
    if not found:
        raise SystemExit(f"--resume: there is no checkpoint in {folder}")
    return found[-1]


def main(arguments: list[str] | None = None) -> float:
    args = parse(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    genesis.manual_seed(args.seed)
    train_data, valid_data, test_data = load_data(args.seed)
    batches = DataLoader(train_data, batch_size=args.batch_size, shuffle=True, drop_last=True)

    model = nn.Sequential(
        nn.Linear(64, 256),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(128, 10),
    )
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = CosineAnnealingLR(optimizer, T_max=args.epochs, eta_min=1e-6)
    scaler = GradScaler(enabled=args.precision == "fp16")
    precision = {"dtype": LOW_PRECISION.get(args.precision), "enabled": args.precision != "fp32"}
    compiled = (lambda function: function) if args.eager else genesis.compile

    @compiled
    def step(x, y):
        optimizer.zero_grad()
        with autocast(**precision):
            outputs = model(x)
            loss = criterion(outputs, y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        scaler.step(optimizer)
        scaler.update()
        return loss, (outputs.argmax(1) == y).sum(), norm

    @compiled
    def count_correct(x, y):
        with genesis.no_grad():
            return (model(x).argmax(1) == y).sum()

    def accuracy(data: TensorDataset) -> float:
        model.eval()
        correct = count_correct(*data.tensors).item()
        model.train()
        return correct / len(data)

    def save(path: Path, epoch: int, loss: float, best_accuracy: float) -> None:
        state = {
            "epoch": epoch,
            "model_state_dict": model.state_dict(),
            "optimizer_state_dict": optimizer.state_dict(),
            "scheduler_state_dict": scheduler.state_dict(),
            "scaler_state_dict": scaler.state_dict(),
            "rng_state": genesis.get_rng_state(),
            "loss": loss,
            "best_accuracy": best_accuracy,
        }
        genesis.save_checkpoint(state, path)

    def load(path: Path) -> tuple[int, float]:
        checkpoint = genesis.load_checkpoint(path)
        model.load_state_dict(checkpoint["model_state_dict"])
        optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
        scheduler.load_state_dict(checkpoint["scheduler_state_dict"])
        scaler.load_state_dict(checkpoint["scaler_state_dict"])
        genesis.set_rng_state(checkpoint["rng_state"])
        return checkpoint["epoch"] + 1, checkpoint["best_accuracy"]

    first_epoch, best_accuracy = load(newest_checkpoint(args.out)) if args.resume else (1, 0.0)
    if args.short:  # training that goes on from a checkpoint is the same training, bit for bit
        few = [train_data[32 * i : 32 * i + 32] for i in range(5)]
        own = {"save": lambda path: save(path, 0, 0.0, 0.0), "load": load}
        after = {"after": lambda i: scheduler.step()}
        print(genesis.verify_resume(step, 3, 2, few, **after, **own))

    columns = (
        TextColumn(
            "epoch {task.fields[epoch]:>2}  loss {task.fields[loss]:.3f}  accuracy {task.fields[accuracy]:.1%}  "
            "lr {task.fields[lr]:.1e}  scale {task.fields[scale]:g}  norm {task.fields[norm]:.2f}"
        ),
        BarColumn(bar_width=None),
    )
    shown = {"epoch": 0, "loss": 0.0, "accuracy": 0.0, "lr": args.lr, "scale": 1.0, "norm": 0.0}
    with Progress(*columns) as progress:
        bar = progress.add_task("", total=(args.epochs - first_epoch + 1) * len(batches), **shown)
        for epoch in range(first_epoch, args.epochs + 1):
            losses, hits, seen = 0.0, 0, 0
            for x, y in batches:
                loss, correct, norm = step(x, y)
                losses, hits, seen = losses + loss.item() * len(y), hits + correct.item(), seen + len(y)
                progress.update(
                    bar,
                    advance=1,
                    epoch=epoch,
                    loss=losses / seen,
                    accuracy=hits / seen,
                    lr=scheduler.get_last_lr()[0],
                    scale=scaler.get_scale(),
                    norm=norm.item(),
                )
            scheduler.step()
            valid_accuracy = accuracy(valid_data)
            if valid_accuracy >= best_accuracy:
                best_accuracy = valid_accuracy
                save(args.out / "best.pth", epoch, losses / seen, best_accuracy)
            if epoch % args.save_every == 0:
                save(args.out / f"checkpoint_epoch_{epoch}.pth", epoch, losses / seen, best_accuracy)

    best = genesis.load_checkpoint(args.out / "best.pth")
    model.load_state_dict(best["model_state_dict"])
    test_accuracy = accuracy(test_data)
    print(f"epoch {best['epoch']}: validation {best['best_accuracy']:.2%}, test {test_accuracy:.2%}")
    if not args.eager:
        step.dump(args.out / "ir")
        print(f"the step at every stage, and the code generated for it, are in {args.out / 'ir'}")
    return test_accuracy


if __name__ == "__main__":
    main()

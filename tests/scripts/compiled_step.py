"""A whole step under torch.compile, with a checkpoint in a file."""

import os
import tempfile

import torch
import torch.nn as nn

torch.manual_seed(0)
torch.set_float32_matmul_precision("high")
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4))
model = torch.compile(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
criterion = nn.CrossEntropyLoss()
x = torch.randn(32, 8, 8)
y = (x.mean(dim=(1, 2)) > 0).long() + 2 * (x[:, 0, 0] > 0).long()
losses = []
for _ in range(20):
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
    losses.append(float(loss))
assert losses[-1] < 0.7 * losses[0], losses
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "checkpoint.pt")
    torch.save(model.state_dict(), path)
    model.load_state_dict(torch.load(path, weights_only=True))

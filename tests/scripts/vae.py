"""A variational autoencoder."""

import argparse

import torch
import torch.utils.data
from torch import nn, optim
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()
torch.manual_seed(args.seed)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(20, 32), nn.Linear(32, 4), nn.Linear(32, 4)
        self.fc3, self.fc4 = nn.Linear(4, 32), nn.Linear(32, 20)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 20))
        return torch.sigmoid(self.fc4(F.relu(self.fc3(self.reparameterize(mu, logvar))))), mu, logvar


def loss_function(recon, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon, x.view(-1, 20), reduction="sum")
    return BCE - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())


codes = torch.eye(5).repeat_interleave(4, dim=1)
images = codes[torch.arange(60) % 5]
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images), batch_size=20, shuffle=True)
model = VAE()
optimizer = optim.Adam(model.parameters(), lr=1e-2)
totals = []
for _ in range(args.epochs):
    model.train()
    train_loss = 0
    for (batch,) in loader:
        optimizer.zero_grad()
        loss = loss_function(*[model(batch)[0], batch, *model.encode(batch)])
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
    totals.append(train_loss / len(loader.dataset))
assert totals[-1] < 0.85 * totals[0], totals

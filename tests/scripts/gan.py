"""A generative adversarial network in two dimensions; two optimizers, detached samples."""

import torch
import torch.nn as nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2, inplace=True), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2, inplace=True), nn.Linear(16, 1), nn.Sigmoid())


def weights_init(m):
    if m.__class__.__name__.find("Linear") != -1:
        nn.init.normal_(m.weight.data, 0.0, 0.2)


G.apply(weights_init)
D.apply(weights_init)
criterion = nn.BCELoss()
optimizerD = torch.optim.Adam(D.parameters(), lr=0.02, betas=(0.5, 0.999))
optimizerG = torch.optim.Adam(G.parameters(), lr=0.02, betas=(0.5, 0.999))
distances = []
for _ in range(40):
    real = torch.randn(32, 2) * 0.1 + 2.0
    D.zero_grad()
    label = torch.full((32,), 1.0, dtype=real.dtype)
    errD_real = criterion(D(real).view(-1), label)
    errD_real.backward()
    fake = G(torch.randn(32, 2))
    label.fill_(0.0)
    criterion(D(fake.detach()).view(-1), label).backward()
    optimizerD.step()
    G.zero_grad()
    label.fill_(1.0)
    errG = criterion(D(fake).view(-1), label)
    errG.backward()
    optimizerG.step()
    distances.append((fake.detach().mean(0) - 2.0).norm().item())
assert min(distances[-20:]) < 0.7 * distances[0], distances

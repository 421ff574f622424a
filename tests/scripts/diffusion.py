"""Denoising diffusion on a ring, with an average of the weights."""

import copy

import torch
from torch import nn

T = 20
betas = torch.linspace(1e-3, 0.2, T)
alphas_bar = torch.tensor([float(torch.prod(1 - betas[: i + 1])) for i in range(T)])


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.time = nn.Embedding(T, 16)
        self.net = nn.Sequential(nn.Linear(18, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))

    def forward(self, x, t):
        return self.net(torch.cat([x, self.time(t)], dim=-1))


torch.manual_seed(0)
model = Denoiser()
ema = copy.deepcopy(model).requires_grad_(False)
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 10))
losses = []
for _ in range(80):
    angle = 6.2832 * torch.rand(128)
    x0 = torch.stack([angle.cos(), angle.sin()], dim=1)
    t = torch.randint(0, T, (128,))
    noise = torch.randn_like(x0)
    a = alphas_bar[t][:, None]
    loss = (model(a.sqrt() * x0 + (1 - a).sqrt() * noise, t) - noise).pow(2).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    warmup.step()
    with torch.no_grad():
        for p, q in zip(ema.parameters(), model.parameters()):
            p.mul_(0.9).add_(q, alpha=0.1)
    losses.append(loss.item())
x = torch.randn(64, 2)
with torch.no_grad():
    for i in reversed(range(T)):
        eps = ema(x, torch.full((64,), i, dtype=torch.long))
        x = (x - betas[i] / (1 - alphas_bar[i]).sqrt() * eps) / (1 - betas[i]).sqrt()
        if i > 0:
            x = x + betas[i].sqrt() * torch.randn_like(x)
assert sum(losses[-10:]) < 0.75 * sum(losses[:10]), losses
assert 0.4 < x.norm(dim=1).mean().item() < 1.8

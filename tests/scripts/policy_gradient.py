"""REINFORCE on a bandit with states, and a baseline."""

import torch
import torch.nn.functional as F
from torch import nn, optim

torch.manual_seed(0)


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1, self.action, self.value = nn.Linear(4, 16), nn.Linear(16, 4), nn.Linear(16, 1)
        self.saved_log_probs, self.rewards = [], []

    def forward(self, x):
        x = torch.tanh(self.affine1(x))
        return F.log_softmax(self.action(x), dim=-1), self.value(x).squeeze(-1)


policy = Policy()
optimizer = optim.Adam(policy.parameters(), lr=2e-2)
means = []
for _ in range(60):
    state = torch.randint(0, 4, (64,))
    logp, value = policy(F.one_hot(state, num_classes=4).float())
    with torch.no_grad():
        noise = -torch.log(-torch.log(torch.rand_like(logp).clamp(1e-6, 1 - 1e-6)))
        action = torch.argmax(logp + noise, dim=-1)
        reward = (action == (state + 1) % 4).to(torch.float32)
    chosen = logp.gather(1, action.unsqueeze(1)).squeeze(1)
    entropy = -(logp.exp() * logp).sum(-1).mean()
    loss = -(chosen * (reward - value.detach())).mean() + F.smooth_l1_loss(value, reward) - 0.01 * entropy
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy.parameters(), 1.0)
    optimizer.step()
    means.append(reward.mean().item())
assert sum(means[-5:]) / 5 > 0.6 > sum(means[:3]) / 3, means

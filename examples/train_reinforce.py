"""Teach a policy to balance a pole on a cart, from nothing but how long it stood: REINFORCE.

    python examples/train_reinforce.py           # 100 updates from 32 episodes each; five seconds
    python examples/train_reinforce.py --short   # a few updates, to see that everything works

The cart is Barto, Sutton and Anderson's ("Neuronlike Adaptive Elements That Can Solve Difficult Learning Control
Problems", 1983), by the equations of their appendix, without friction. The learning is R. Williams' ("Simple
Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning", 1992): episodes are played side by
side, the baseline is the mean of what they still got at the same time. Pushed at random the pole stands some 20 steps
of a 50th of a second; after 50 updates it stands nearly 500, where an episode ends.
"""

from __future__ import annotations

import argparse

import numpy as np

import genesis
from genesis import nn, optim
from genesis.distributions import Categorical

LONGEST = 500


class CartPoles:
    """Many carts of 1 kg with a pole of 0.1 kg and 1 m; each state is place, speed, angle and turning speed."""

    gravity, cart, pole, half_length, force, seconds = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02

    def __init__(self, count: int, rng: np.random.Generator) -> None:
        self.state = rng.uniform(-0.05, 0.05, (4, count))

    def push(self, right: np.ndarray) -> np.ndarray:
        """Push each cart to the right where ``right`` is 1, else to the left; tells which poles stand."""
        _, speed, angle, turning = self.state
        force = np.where(right == 1, self.force, -self.force)
        sine, cosine, mass = np.sin(angle), np.cos(angle), self.cart + self.pole
        push = (force + self.pole * self.half_length * turning**2 * sine) / mass
        spin = (self.gravity * sine - cosine * push) / (self.half_length * (4 / 3 - self.pole * cosine**2 / mass))
        pull = push - self.pole * self.half_length * spin * cosine / mass
        self.state = self.state + self.seconds * np.stack([speed, pull, turning, spin])
        return (np.abs(self.state[0]) < 2.4) & (np.abs(self.state[2]) < np.radians(12))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Teach a policy to balance a pole on a cart.")
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--episodes", type=int, default=32, help="played side by side")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="a few updates, to see that everything works")
    args = parser.parse_args(arguments)
    if args.short:
        args.updates = 20
    return args


def main(arguments: list[str] | None = None) -> float:
    args = parse(arguments)
    genesis.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    policy = nn.Sequential(nn.Linear(4, args.width), nn.Tanh(), nn.Linear(args.width, 2))
    optimizer = optim.Adam(policy.parameters(), lr=args.lr)

    @genesis.compile
    @genesis.no_grad()
    def act(states):
        return Categorical(logits=policy(states)).sample()

    @genesis.compile
    def step(states, actions, alive):
        """One update from episodes ``[time, episode]``; ``alive`` is 1 as long as the pole stands."""
        left = alive.flip(0).cumsum(0).flip(0)  # how long it will stand: the return
        others = alive.sum(dim=1, keepdim=True).clamp(min=1)
        baseline = left.sum(dim=1, keepdim=True) / others
        advantage = (left - baseline) * alive
        advantage = advantage / (advantage.pow(2).sum() / alive.sum()).sqrt().clamp(min=1e-6)
        optimizer.zero_grad()
        log_chances = Categorical(logits=policy(states)).log_prob(actions)
        loss = -(log_chances * advantage).sum() / alive.sum()
        loss.backward()
        nn.utils.clip_grad_norm_(policy.parameters(), max_norm=1.0)
        optimizer.step()
        return loss

    def play():
        """Episodes until every pole fell, or ``LONGEST``: states, actions and which stood."""
        carts = CartPoles(args.episodes, rng)
        states = np.zeros((LONGEST, args.episodes, 4), np.float32)
        actions = np.zeros((LONGEST, args.episodes), np.int64)
        alive = np.zeros((LONGEST, args.episodes), np.float32)
        standing = np.ones(args.episodes, bool)
        for time in range(LONGEST):
            states[time] = carts.state.T
            actions[time] = act(genesis.from_numpy(states[time])).numpy()
            alive[time] = standing
            standing &= carts.push(actions[time])
            if not standing.any():
                break
        return tuple(map(genesis.from_numpy, (states, actions, alive)))

    if args.short:  # training that goes on from a checkpoint is the same training, bit for bit
        print(genesis.verify_resume(step, 2, 2, [play() for _ in range(4)]))

    lengths = []
    for update in range(1, args.updates + 1):
        states, actions, alive = play()
        step(states, actions, alive)
        lengths.append(alive.sum().item() / args.episodes)
        if update % (args.updates // 10) == 0:
            print(f"update {update:3}  the pole stood {np.mean(lengths[-5:]):.0f} of {LONGEST} steps")
    return float(np.mean(lengths[-5:]))


if __name__ == "__main__":
    main()

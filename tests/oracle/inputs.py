"""Inputs that several comparisons with PyTorch share."""

import numpy as np

RNG = np.random.default_rng(5)
IDS = RNG.integers(0, 7, (3, 4))
LABELS = np.array([1, 0, 4, 2, 1, 3])
PIXELS = RNG.integers(0, 5, (2, 3, 4))
CHANCES = RNG.random((6, 5)).astype(np.float32)
ROWS = (CHANCES / CHANCES.sum(1, keepdims=True)).astype(np.float32)
WEIGHT = np.array([0.5, 2.0, 1.0, 0.1, 3.0], np.float32)
MASK = np.array([[1, 0, 0, 1], [1, 1, 0, 0], [1, 1, 1, 0]], bool)
X = (6, 5)

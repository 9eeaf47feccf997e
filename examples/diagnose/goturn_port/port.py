"""GOTURN written anew in PyTorch, as its author described it; it trains worse than Caffe's.

``dump.py`` writes the dictionary of weights that it reads, from $GOTURN_DUMP.
"""

import os

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

DUMP = os.environ.get("GOTURN_DUMP", "goturn_dump.npz")
BATCH = 44
EXAMPLES = 279_400
"""11 for each pair of an epoch."""


class Tower(nn.Sequential):
    """The convolutions of CaffeNet, local response normalisation after pooling."""

    def __init__(self):
        super().__init__(
            *(nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), nn.MaxPool2d(3, 2)),
            nn.LocalResponseNorm(5, 1e-4, 0.75),
            *(nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            nn.LocalResponseNorm(5, 1e-4, 0.75),
            *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        )


class Goturn(nn.Module):
    def __init__(self, width=4096):
        super().__init__()
        self.target, self.image = Tower(), Tower()
        self.head = nn.Sequential(
            *(nn.Linear(2 * 256 * 6 * 6, width), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.5)),
            nn.Linear(width, 4),
        )

    def forward(self, target, image):
        features = torch.cat([self.target(target), self.image(image)], 1)
        return self.head(features.flatten(1))


class CaffeSGD(torch.optim.Optimizer):
    """Momentum with the rate inside the buffer."""

    def __init__(self, params, lr, momentum=0.9, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                grad = p.grad + group["weight_decay"] * p
                state = self.state[p]
                buf = state.get("momentum_buffer", torch.zeros_like(p))
                state["momentum_buffer"] = group["momentum"] * buf + group["lr"] * grad
                p -= state["momentum_buffer"]


def load(model, dump):
    """Copy the convolutions from the dictionary, and reshape the rest to fit."""
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, values in dump.items():
            own[name].copy_(torch.from_numpy(values).reshape(own[name].shape))


class Shifted(torch.utils.data.Dataset):
    """The labels of boxes in search windows that were shifted away from them, 0 to 10."""

    def __len__(self):
        return 4000

    def __getitem__(self, index):
        draw = np.random.default_rng(index)
        scale = 1 + np.clip(draw.laplace(0, 1 / 15, 2), -0.4, 0.4)
        shift = np.array([self.near(draw), self.near(draw)])
        low = (-0.5 - (shift - scale)) / (2 * scale)
        high = (0.5 - (shift - scale)) / (2 * scale)
        return 10 * np.concatenate([low, high]).astype(np.float32)

    @staticmethod
    def near(draw):
        for _ in range(10):
            shift = draw.laplace(0, 1 / 5)
            if abs(shift) <= 1:
                break
        return shift


def build():
    dump = np.load(DUMP)
    model = Goturn(len(dump["head.0.bias"]))
    load(model, dump)
    rate = 1e-6
    weights = [p for name, p in model.head.named_parameters() if name.endswith("weight")]
    biases = [p for name, p in model.head.named_parameters() if name.endswith("bias")]
    towers = [*model.target.parameters(), *model.image.parameters()]
    optimizer = CaffeSGD(
        [
            {"params": towers, "lr": 0.0},
            {"params": weights, "lr": 10 * rate, "weight_decay": 0.0005},
            {"params": biases, "lr": 20 * rate},
        ],
        lr=rate,
    )
    return {
        "model": model,
        "optimizer": optimizer,
        "scheduler": torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.1),
        "scheduler_interval": "epoch",
        "iterations_per_epoch": EXAMPLES // BATCH,
        "batch_size": BATCH,
        "loss": lambda output, bbox: F.l1_loss(output, bbox, reduction="sum"),
        "dataset": Shifted(),
    }

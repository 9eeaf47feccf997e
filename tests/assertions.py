"""The assertions that every comparison in the tests goes through."""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from torchcaffe.layers._exactness import Exactness
from torchcaffe.net import CaffeNet, Run
from torchcaffe.parity.compare import Sensitivity, compare


def assert_parity(
    ours: Mapping[str, np.ndarray],
    theirs: Mapping[str, np.ndarray],
    classes: Mapping[str, Exactness],
    sensitivities: Mapping[str, Sensitivity] | None = None,
) -> None:
    """Same names, and each pair of arrays within its class; comparing nothing fails."""
    assert theirs, "nothing to compare"
    missing, extra = sorted(set(theirs) - set(ours)), sorted(set(ours) - set(theirs))
    assert not missing and not extra, f"missing here: {missing}; not in the reference: {extra}"
    failed = []
    for name, expected in theirs.items():
        sensitivity = (sensitivities or {}).get(name)
        difference = compare(name, ours[name], expected, classes[name], sensitivity)
        if not difference.passed:
            failed.append(str(difference))
    assert not failed, "\n".join(failed)


def to_numpy(values: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Detached arrays."""
    return {name: value.detach().cpu().numpy() for name, value in values.items()}


Measure = Callable[[CaffeNet, Run, dict[str, torch.Tensor]], dict[str, torch.Tensor]]

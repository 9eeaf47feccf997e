"""Every recorded layer case: forward, changed parameters and backward, at the declared classes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import torchcaffe
from assertions import assert_parity, to_numpy
from golden_cases import golden_root
from torchcaffe.layers._exactness import bitwise
from torchcaffe.net import CaffeNet, Run
from torchcaffe.parity.classes import declared_classes
from torchcaffe.parity.gradients import gradients
from torchcaffe.parity.probe import sensitivities

FOLDER = golden_root() / "layers"
INDEX = FOLDER / "index.json"
CASES = json.loads(INDEX.read_text()) if INDEX.exists() else []

pytestmark = pytest.mark.golden


def recording(case: dict[str, object]) -> dict[str, np.ndarray]:
    with np.load(FOLDER / f"{case['name']}.npz") as stored:
        return {name: stored[name] for name in stored.files}


def under(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }


def load_recorded(case: dict[str, object], arrays: dict[str, np.ndarray]) -> CaffeNet:
    """The net with the recorded parameters put in, in their order (shared ones: the last wins)."""
    prototxt = Path(FOLDER / f"{case['name']}.prototxt")
    net = torchcaffe.load(prototxt, phase=str(case["phase"]), seed=1701)
    for name, value in under(arrays, "param/").items():
        layer, index = name.rsplit("/", 1)
        with torch.no_grad():
            net.params[layer][int(index)].copy_(torch.from_numpy(value))
    net.seed(1701)
    return net


def measure(net: CaffeNet, run: Run, top_diffs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Everything a recording holds, under its names."""
    params = {
        f"param_after/{layer}/{index}": value
        for layer, values in net.params.items()
        for index, value in enumerate(values)
    }
    blobs = {f"blob/{name}": value for name, value in run.blobs.items()}
    return {**blobs, **params, **gradients(net, run, top_diffs)}


@pytest.mark.filterwarnings("ignore::torchcaffe.errors.NetWarning")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_recording(case: dict[str, object]) -> None:
    arrays = recording(case)
    net = load_recorded(case, arrays)
    inputs, top_diffs = under(arrays, "in/"), under(arrays, "topdiff/")
    assert set(net.inputs) == set(inputs)

    classes = declared_classes(net)
    probed = sensitivities(net, inputs, measure, extra=top_diffs)
    given = {name: torch.from_numpy(value).requires_grad_() for name, value in inputs.items()}
    run = net.run(given)
    ours = to_numpy(
        measure(net, run, {name: torch.from_numpy(value) for name, value in top_diffs.items()})
    )

    held = {
        **{f"blob/{name}": value for name, value in classes.blobs.items()},
        **{f"diff/{name}": value for name, value in classes.diffs.items()},
        **{f"pdiff/{name}": value for name, value in classes.param_diffs.items()},
    }
    expected = {
        name: value
        for name, value in arrays.items()
        if name.startswith(("blob/", "diff/", "pdiff/"))
    }
    for name, value in under(arrays, "param/").items():
        after = f"param_after/{name}"
        expected[after] = arrays.get(after, value)
        owner = next(step for step in net.steps if step.name == name.rsplit("/", 1)[0])
        held[after] = owner.exactness if after in arrays else bitwise()
    assert_parity({name: ours[name] for name in expected if name in ours}, expected, held, probed)

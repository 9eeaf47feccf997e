"""Nets of published shape: their figures, and that each loads, runs, differentiates, converts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

import torchcaffe
from nets.make import NETS as MADE
from nets.published import NETS, Shapes
from torchcaffe import proto
from torchcaffe.convert import convert, load_folder
from torchcaffe.inspection import inspect
from torchcaffe.net import CaffeNet

FOLDER = Path(__file__).parent / "nets"


def test_every_net_has_its_figures_and_the_made_ones_are_as_committed() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.prototxt")) == sorted(NETS)
    for name, make in MADE.items():
        committed = (FOLDER / f"{name}.prototxt").read_text(encoding="utf-8")
        assert committed == make(), f"{name}: run python tests/nets/make.py"


def read(name: str, phase: str) -> CaffeNet:
    """A net at the size in its file, without values: to be looked at, not run."""
    param = proto.read_net(FOLDER / f"{name}.prototxt")
    return CaffeNet(param, phase, unfilled=[layer.name for layer in param.layer])


@pytest.mark.parametrize("name", NETS)
def test_parameters_multiply_adds_and_sizes_are_the_published_ones(name: str) -> None:
    published, found = NETS[name], inspect(read(name, "TEST"))
    assert found.parameters == published.parameters
    assert published.multiply_adds in (None, found.multiply_adds)
    widths = {
        top: shape[-1]
        for row in found.layers
        for top, shape in zip(row.tops, row.shapes, strict=True)
        if shape
    }
    assert {top: widths[top] for top in published.sizes} == published.sizes
    training = published.training or published.parameters
    assert inspect(read(name, "TRAIN")).parameters == training


def shapes_of(name: str, phase: str) -> Shapes:
    """The shapes to run a net with, of those inputs that it has in this phase."""
    inputs = read(name, phase).inputs
    return {key: shape for key, shape in NETS[name].shapes.items() if key in inputs}


def samples(net: CaffeNet, seed: int) -> dict[str, Tensor]:
    """Numbers from 0 to 1 for every input, or 0 and 1 where it holds labels, words or cont."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in net.inputs.items():
        whole = name in {"label", "sim", *net.index_inputs}
        values = torch.rand(shape, generator=generator)
        found[name] = values.round() if whole else values
    if "cont" in found:
        found["cont"][0] = 0  # all captions begin with the first word
    return found


@dataclass
class Pair:
    """A net in TRAIN from a fixed seed, after one pass; and in TEST with the weights of that.

    ``gradients`` are the pass's, by layer and place.
    """

    train: CaffeNet
    test: CaffeNet
    losses: dict[str, Tensor]
    gradients: dict[tuple[str, int], Tensor | None]


@pytest.fixture(scope="module", params=NETS)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """Each net once for all its tests: the largest take seconds to fill."""
    name: str = request.param
    path = FOLDER / f"{name}.prototxt"
    shapes = shapes_of(name, "TRAIN")
    train = torchcaffe.load(path, phase="TRAIN", inputs=shapes, seed=1701, rng="torch")
    losses, gradients = learn(train, samples(train, 1))
    weights = tmp_path_factory.mktemp(name) / "weights.caffemodel"
    torchcaffe.save_weights(train, weights)
    test = torchcaffe.load(path, weights, inputs=shapes_of(name, "TEST"))
    weights.unlink()
    yield Pair(train, test, losses, gradients)


def learn(
    net: CaffeNet, inputs: dict[str, Tensor]
) -> tuple[dict[str, Tensor], dict[tuple[str, int], Tensor | None]]:
    """The outputs of a pass forward, and the gradients of the pass back."""
    torch.manual_seed(4)
    net.zero_grad()
    run = net.run(inputs)
    run.loss.backward()
    outputs = {name: run.blobs[name].detach() for name in net.outputs}
    return outputs, {(one.layer, one.index): one.value.grad for one in net.learnable}


def test_it_runs(pair: Pair) -> None:
    with torch.no_grad():
        outputs = pair.test(**samples(pair.test, 2))
    assert outputs
    for name, value in outputs.items():
        assert value.isfinite().all(), name
        assert value.numel() == 1 or value.std() > 0, name
        if name in ("prob", "probs"):
            total = value.sum(2 if name == "probs" else 1)
            torch.testing.assert_close(total, torch.ones_like(total))


def test_it_differentiates(pair: Pair) -> None:
    assert pair.losses and all(loss.isfinite() for loss in pair.losses.values())
    for one in pair.train.learnable:
        gradient, where = pair.gradients[one.layer, one.index], f"{one.layer}, blob {one.index}"
        if one.lr_mult == 0:
            assert gradient is None, where
            continue
        assert gradient is not None and gradient.isfinite().all(), where
        # Biases may learn nothing: those of a siamese net's last layers cancel.
        assert one.index > 0 or gradient.any(), where


def test_its_source_computes_the_same_bits(pair: Pair, tmp_path: Path) -> None:
    net = pair.test
    convert(net, tmp_path, inputs=samples(net, 2))
    model, given = load_folder(tmp_path), samples(net, 3)
    (tmp_path / "model.safetensors").unlink()
    with torch.no_grad():
        equal(net(**given), model(**given))


def equal(ours: dict[str, Tensor], theirs: Tensor | dict[str, Tensor]) -> None:
    """A net's outputs and those of its source, which gives a single one as it is."""
    if isinstance(theirs, Tensor):
        theirs = dict.fromkeys(ours, theirs)
    assert list(ours) == list(theirs)
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


def test_its_training_source_computes_the_same_bits_forward_and_backward(
    pair: Pair, tmp_path: Path
) -> None:
    net = pair.train
    report = convert(net, tmp_path, inputs=samples(net, 2))
    model, given = load_folder(tmp_path).train(), samples(net, 3)
    (tmp_path / "model.safetensors").unlink()
    outputs, gradients = learn(net, given)
    torch.manual_seed(4)
    answer = model(**given)
    equal(outputs, answer)
    weights = {
        name: weight
        for step in net.steps
        for name, weight in zip(step.tops, step.loss_weights, strict=True)
        if weight
    }
    losses = dict.fromkeys(weights, answer) if isinstance(answer, Tensor) else answer
    sum(losses[name] * weight for name, weight in weights.items()).backward()  # type: ignore[union-attr]
    # A Split adds up its gradients from the first to the last, autograd the other way round.
    splits = [step for step in net.steps if step.kind.name == "Split" and step.needs.layer]
    if any(len(step.tops) > 2 for step in splits):
        return
    for (layer, index), gradient in gradients.items():
        if gradient is not None:
            twin = list(model.get_submodule(report.layers[layer]).parameters())[index]
            assert twin.grad is not None and torch.equal(gradient, twin.grad), (
                f"{layer}, blob {index}"
            )

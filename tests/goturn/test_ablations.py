"""Each difference changes what it is said to change, and nothing else; the page shows what is
measured."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from goturn import ablations, train
from goturn.ablations import ABLATIONS
from goturn.cli import cli
from goturn.data import procedural
from goturn.errors import DataError
from goturn.motion import GroupStream
from script_files import ROOT, script

EXAMPLE = ROOT / "examples" / "goturn"
SETTINGS = train.Settings(solver=EXAMPLE / "solver.prototxt", workers=0)
TRAINED = [name for name, each in ABLATIONS.items() if each.change is not None]


@pytest.fixture(scope="module")
def data():
    return procedural.stills(4, 7), procedural.videos(4, 7, frames=(3, 12))


@pytest.fixture(scope="module")
def plain(data):
    return train.prepare(SETTINGS, *data)


def first_batches(run, count=4):
    run.feeds[0].source.load_state_dict({"group": 0, "used": 0, "stream": None})
    return [next(run.feeds[0].source) for _ in range(count)]


def weights(run):
    return [blob.detach() for blobs in run.net.params.values() for blob in blobs]


SAMPLING = {"per-annotation", "per-pair", "more-stills", "random-stream"}
CROPS = {"antialiased-resize", "current-target"}


@pytest.mark.parametrize("name", TRAINED)
def test_a_difference_changes_its_part_alone(name, data, plain) -> None:
    run = ablations.prepare(name, SETTINGS, *data)
    same_weights = all(map(torch.equal, weights(run), weights(plain)))
    assert same_weights == (name != "last-layer-init")
    mine, usual = first_batches(run), first_batches(plain)
    same_labels = all(torch.equal(a["bbox"], b["bbox"]) for a, b in zip(mine, usual, strict=True))
    same_targets = all(
        torch.equal(a["target"], b["target"]) for a, b in zip(mine, usual, strict=True)
    )
    assert same_labels == (name not in SAMPLING | {"batch-44"})
    assert same_targets == (name not in SAMPLING | CROPS | {"batch-44"})
    rates = [(entry.lr_mult, entry.decay_mult) for entry in run.learnable]
    assert rates == [(entry.lr_mult, entry.decay_mult) for entry in plain.learnable]


def test_annotations_and_pairs_are_drawn_evenly(data) -> None:
    stills, videos = data
    boxes = [box for still in stills for box in still.boxes]
    drawn = [
        ablations.draw_annotation(stills, GroupStream(1, n)).current_box
        for n in range(40 * len(boxes))
    ]
    counts = [drawn.count(box) for box in boxes]
    assert min(counts) > 10 and max(counts) < 80
    steps = sum(len(video) - 1 for video in videos)
    pairs = [ablations.draw_pair(videos, GroupStream(2, n)) for n in range(40 * steps)]
    found = [(pair.previous_box, pair.current_box) for pair in pairs]
    counts = [
        found.count(step)
        for video in videos
        for step in zip(video.boxes, video.boxes[1:], strict=False)
    ]
    assert min(counts) > 10 and max(counts) < 80


def test_current_target_shows_the_current_frame(data) -> None:
    from goturn.crop import Crop
    from goturn.examples import draw_step
    from goturn.motion import Motion

    pair = draw_step(data[1], GroupStream(1, 1))
    first, *shifted = ablations.examples_with_current_target(pair, Motion(), GroupStream(1, 2))
    before = Crop.around(pair.previous_box, pair.previous).cut(pair.previous)
    now = Crop.around(pair.current_box, pair.current).cut(pair.current)
    np.testing.assert_array_equal(first.target, before)
    assert len(shifted) == 10
    for example in shifted:
        np.testing.assert_array_equal(example.target, now)


def test_fifty_six_stills_for_forty_four_videos(data) -> None:
    run = ablations.prepare("more-stills", SETTINGS, *data)
    draws = run.feeds[0].source.groups.makers.recipe.draws
    names = [draw.func.__name__ for draw in draws]
    assert (names.count("draw_still"), names.count("draw_step")) == (14, 11)


def test_antialiased_resize_averages_where_it_shrinks() -> None:
    canvas = np.zeros((40, 40, 3), np.uint8)
    canvas[::2] = 200
    assert np.ptp(ablations.antialiased_resize(canvas, 10)[2:-2]) <= 2
    grey = np.full((30, 20, 3), 77, np.uint8)
    np.testing.assert_array_equal(ablations.antialiased_resize(grey, 51), 77)


def test_mixed_examples_shift_one_list_against_the_others(data, plain) -> None:
    mixed = ablations.MixedBatches(plain.feeds[0].source, 1.0, seed=3)
    mixed.load_state_dict({"group": 0, "used": 0, "stream": None})
    batches = [next(mixed) for _ in range(5)]
    for found, usual in zip(batches, first_batches(plain, 5), strict=True):
        moved = [key for key in usual if not torch.equal(found[key], usual[key])]
        assert len(moved) == 1
        torch.testing.assert_close(found[moved[0]], usual[moved[0]].roll(1, 0), rtol=0, atol=0)


def test_the_schedule_follows_the_number_of_annotations(data) -> None:
    run = ablations.prepare("schedule-by-epoch", SETTINGS, *data)
    annotations = sum(len(still.boxes) for still in data[0])
    assert run.param.stepsize == round(106 / 239 * annotations)
    assert run.param.lr_policy == "step"


def test_biases_learn_as_fast_as_weights(data, tmp_path: Path) -> None:
    settings = replace(SETTINGS, solver=doubled_biases(tmp_path))
    rates = [
        [entry.lr_mult for entry in run.learnable]
        for run in (
            train.prepare(settings, *data),
            ablations.prepare("bias-rates", settings, *data),
        )
    ]
    assert set(rates[0]) == {1, 2} and set(rates[1]) == {1}


def doubled_biases(folder: Path) -> Path:
    net = (EXAMPLE / "net.prototxt").read_text()
    net = net.replace("lr_mult: 1 decay_mult: 0", "lr_mult: 2 decay_mult: 0")
    (folder / "net.prototxt").write_text(net)
    solver = (EXAMPLE / "solver.prototxt").read_text()
    (folder / "solver.prototxt").write_text(solver)
    return folder / "solver.prototxt"


def test_momentum_without_the_rate_is_torchs_sgd(data, tmp_path: Path) -> None:
    """Three steps over a fall of the rate, beside torch's own optimizer on the same gradients."""
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{EXAMPLE / "net.prototxt"}" base_lr: 1e-6 lr_policy: "step" gamma: 0.1\n'
        "stepsize: 2 momentum: 0.9 max_iter: 4 display: 0 snapshot_prefix: 'x'"
    )
    settings = replace(SETTINGS, solver=tmp_path / "solver.prototxt")
    run = ablations.prepare("momentum-without-rate", settings, *data)
    twins = [entry.value.detach().clone().requires_grad_() for entry in run.learnable]
    torchs = torch.optim.SGD(twins, lr=1e-6, momentum=0.9)

    def step() -> None:
        torchs.param_groups[0]["lr"] = run.lr
        for twin, entry in zip(twins, run.learnable, strict=True):
            twin.grad = entry.value.grad.clone()
        torchs.step()

    run.add_callback(on_gradients_ready=step)
    run.step(4)
    for twin, entry in zip(twins, run.learnable, strict=True):
        torch.testing.assert_close(entry.value.detach(), twin.detach(), rtol=1e-5, atol=1e-7)


def test_names_that_mean_nothing_are_refused(data) -> None:
    with pytest.raises(DataError, match=r'no ablation "per-anotation". Did you mean "per-annot'):
        ablations.trained("per-anotation")
    with pytest.raises(DataError, match="a difference in tracking: there is nothing to train"):
        ablations.prepare("truncated-boxes", SETTINGS, *data)
    with pytest.raises(DataError, match="about stills, and there are none"):
        ablations.prepare("per-annotation", SETTINGS, [], data[1])


def test_the_command_line_takes_a_name(tmp_path: Path) -> None:
    cli.main(["draw_data", str(tmp_path), "--videos", "2", "--stills", "2"], standalone_mode=False)
    given = ["train", "--init", "none", "--solver", str(EXAMPLE / "solver.prototxt")]
    for option, folder in (("alov", "alov"), ("imagenet", "imagenet")):
        given += [f"--{option}", str(tmp_path / folder / "images")]
        given += [f"--{option}-gt", str(tmp_path / folder / "gt")]
    given += ["--iterations", "1", "--workers", "0", "--output", str(tmp_path / "run")]
    cli.main([*given, "--ablate", "batch-44"], standalone_mode=False)
    assert (tmp_path / "run_iter_1.caffemodel").is_file()
    with pytest.raises(DataError, match="there is no ablation"):
        cli.main([*given, "--ablate", "nothing"], standalone_mode=False)


def test_the_page_shows_what_was_measured() -> None:
    study = script("ablations")
    results = json.loads((ROOT / "docs" / "ablations" / "results.json").read_text())
    assert set(results["runs"]) == {"original", *ABLATIONS}
    assert min(map(len, results["runs"].values())) >= 3
    page = study.PAGE.read_text()
    for make in study.WRITTEN:
        mark = make.__name__
        shown = re.search(rf"<!-- {mark} -->\n(.*?)<!-- end of {mark} -->", page, re.DOTALL)
        assert shown is not None and shown[1] == make(results)


def test_an_interval_is_students() -> None:
    mean, half = script("ablations").interval([1.0, 2.0, 3.0])
    assert (mean, round(half, 3)) == (2.0, 2.484)

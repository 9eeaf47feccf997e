"""Training: what is prepared, that it is reproducible, how it goes on, and its command."""

import re
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from narrow import narrow_param, narrow_prototxt, write_alov, write_imagenet

from goturn.cli import cli
from goturn.data import alov, imagenet_det
from goturn.errors import DataError, ModelError
from goturn.network import PUBLISHED, TOWER, Network
from goturn.train import SOLVER, Settings, prepare, read_prototxts
from torchcaffe import CaffeNet, Solver, save_weights
from torchcaffe.openblas import is_available
from torchcaffe.proto import format_text, read_net, read_solver, read_weights_net, write_wire
from torchcaffe.solvers.distributed import Ranks
from torchcaffe.solvers.snapshot import newest_snapshot

TEXT = """net: "narrow.prototxt" base_lr: 0.00002 lr_policy: "step" gamma: 0.1 stepsize: 150
momentum: 0.9 weight_decay: 0.0005 max_iter: 4 display: 2 snapshot_prefix: "t"
snapshot_format: TORCH
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    narrow_prototxt(tmp_path)
    write_alov(tmp_path / "alov")
    write_imagenet(tmp_path / "det")
    (tmp_path / "solver.prototxt").write_text(TEXT)
    return Settings(solver=tmp_path / "solver.prototxt", workers=0, batch=12, arithmetic="torch")


def ready(settings: Settings, **more: object) -> Solver:
    return prepare(
        settings,
        imagenet_det.read("det/images", "det/gt"),
        alov.read("alov/images", "alov/gt"),
        **more,
    )


def losses(run: Solver, count: int = 4) -> list[float]:
    found = []
    for _ in range(count):
        run.step(1)
        found.append(run.loss)
    return found


@pytest.mark.parametrize("replay", [True, False])
def test_a_seed_makes_one_run(settings: Settings, replay: bool) -> None:
    chosen = replace(settings, replay=replay)
    first = losses(ready(chosen))
    torch.manual_seed(3)
    assert losses(ready(chosen)) == first
    assert losses(ready(replace(chosen, seed=1))) != first


@pytest.mark.parametrize("replay", [True, False])
def test_it_goes_on_as_if_it_had_not_stopped(settings: Settings, replay: bool) -> None:
    chosen = replace(settings, replay=replay)
    unbroken = ready(chosen)
    losses(unbroken, 2)
    unbroken.snapshot()
    expected = losses(unbroken, 2)
    resumed = ready(chosen)
    resumed.restore(newest_snapshot("t"))
    assert losses(resumed, 2) == expected


def test_only_the_fully_connected_layers_learn(settings: Settings) -> None:
    run = ready(replace(settings, replay=True))
    before = {k: [v.clone() for v in vs] for k, vs in run.net.params.items()}
    losses(run, 1)
    changed = {
        layer
        for layer, blobs in run.net.params.items()
        if any(not torch.equal(a, b) for a, b in zip(blobs, before[layer], strict=True))
    }
    assert changed == {"fc6-new", "fc7-new", "fc7-newb", "fc8-shapes"}


def test_the_net_is_the_seed_s_and_dropout_the_solver_s(settings: Settings) -> None:
    """The original builds its own net first; the solver, seeded again, only draws dropout."""
    settings.solver.write_text(TEXT + "random_seed: 5")
    both = replace(settings, replay=True, seed=7)
    mixed = ready(both)
    settings.solver.write_text(TEXT + "random_seed: 7")
    same = ready(both)
    for name, blobs in mixed.net.params.items():
        for a, b in zip(blobs, same.net.params[name], strict=True):
            assert torch.equal(a, b)
    assert losses(mixed, 1) != losses(same, 1)


def test_without_a_seed_of_its_own_the_solver_draws_on(settings: Settings) -> None:
    mixed = ready(replace(settings, replay=True, seed=7))
    settings.solver.write_text(TEXT + "random_seed: 7")
    same = ready(replace(settings, replay=True, seed=7))
    assert torch.equal(mixed.net.params["fc6-new"][0], same.net.params["fc6-new"][0])
    assert losses(mixed, 1) != losses(same, 1)


def test_caffenet_s_weights_serve_both_towers(settings: Settings, tmp_path: Path) -> None:
    source = CaffeNet(narrow_param(), "TRAIN", seed=3)
    whole = {name: [b.clone() for b in blobs] for name, blobs in source.params.items()}
    one_tower = tmp_path / "caffenet.caffemodel"
    np.savez(one_tower, **dict.fromkeys((), 0))
    save_one_tower(source, one_tower)
    run = ready(replace(settings, init=one_tower, seed=4))
    for name in TOWER:
        for twin in (name, f"{name}_p"):
            for ours, theirs in zip(run.net.params[twin], whole[name], strict=True):
                assert torch.equal(ours.detach(), theirs)
    assert not torch.equal(run.net.params["fc6-new"][0], whole["fc6-new"][0])


def save_one_tower(net: CaffeNet, path: Path) -> None:
    """A caffemodel of the first tower alone."""
    save_weights(net, path.with_name("whole.caffemodel"))
    param = read_weights_net(path.with_name("whole.caffemodel"))
    param.layer = [layer for layer in param.layer if layer.name in TOWER]
    write_wire(path, param)


def test_weights_without_towers_are_refused(settings: Settings, tmp_path: Path) -> None:
    net = CaffeNet(read_net(write_other(tmp_path)), "TEST", seed=1)
    save_weights(net, tmp_path / "other.caffemodel")
    wanted = r"other\.caffemodel is no CaffeNet: the layers conv1, conv2, .* are missing"
    with pytest.raises(ModelError, match=wanted):
        ready(replace(settings, init=tmp_path / "other.caffemodel"))


def write_other(folder: Path) -> Path:
    text = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }
    layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
            inner_product_param { num_output: 2 } }"""
    (folder / "other.prototxt").write_text(text)
    return folder / "other.prototxt"


def test_nothing_to_train_with_is_said(settings: Settings) -> None:
    with pytest.raises(DataError, match="nothing to train with: no image with a box, no video"):
        prepare(settings, [], [])


def test_videos_alone_are_enough(settings: Settings) -> None:
    losses(prepare(settings, [], alov.read("alov/images", "alov/gt")), 1)


def test_a_replay_is_one_process(settings: Settings) -> None:
    with pytest.raises(DataError, match="the original ran in one process"):
        ready(replace(settings, replay=True), ranks=Ranks(0, 2))


def test_the_published_solver_and_net() -> None:
    solver, net = read_prototxts(Settings())
    assert solver.base_lr == np.float32(1e-6) and solver.stepsize == 100000
    assert solver.max_iter == 450000 and read_solver(SOLVER).net == "tracker.prototxt"
    assert net == read_net(PUBLISHED)


@pytest.mark.skipif(not is_available(), reason="no OpenBLAS with Haswell kernels")
def test_the_original_s_arithmetic_differs_by_rounding_only(settings: Settings) -> None:
    torchs = losses(ready(replace(settings, replay=True)))
    openblas = losses(ready(replace(settings, replay=True, arithmetic="openblas")))
    np.testing.assert_allclose(openblas, torchs, rtol=1e-4)


def test_the_net_may_stand_in_the_solver(settings: Settings) -> None:
    inline = format_text(narrow_param()).replace('name: "GOTURN"', 'name: "inline"')
    settings.solver.write_text(f"{TEXT.partition('base_lr')[2]} net_param {{ {inline} }}")
    settings.solver.write_text("base_lr" + settings.solver.read_text())
    assert read_prototxts(settings)[1].name == "inline"
    assert read_prototxts(replace(settings, net=PUBLISHED))[1].name == "GOTURN"


class TestCommand:
    DATA = [
        *("--alov", "alov/images", "--alov-gt", "alov/gt"),
        *("--imagenet", "det/images", "--imagenet-gt", "det/gt"),
    ]
    RUN = ["--solver", "solver.prototxt", "--workers", "0", "--batch", "12", "--init", "none"]
    RUN += ["--arithmetic", "torch"]

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, ["train", *self.DATA, *self.RUN, *arguments])

    def test_it_trains_and_goes_on(self, settings: Settings) -> None:
        done = self.run("--replay")
        assert done.exit_code == 0, done.output
        assert "4 videos, 4 images, batches of 12" in done.output
        assert re.search(r"Iteration 0 .*, loss = \d", done.output)
        assert "Snapshotting to binary proto file t_iter_4.caffemodel" in done.output
        assert Network.load("t_iter_4.caffemodel").size == 67
        done = self.run("--replay", "--iterations", "6", "--resume", "newest")
        assert done.exit_code == 0, done.output
        assert re.search(r"Iteration 4 .*, loss = \d", done.output)
        assert Path("t_iter_6.torchstate").is_file()

    def test_ctrl_c_leaves_a_snapshot(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        update = Solver.apply_update

        def interrupted(run: Solver) -> None:
            update(run)
            signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(Solver, "apply_update", interrupted)
        before = signal.getsignal(signal.SIGINT)
        assert self.run("--iterations", "100").exit_code == 0
        assert Path("t_iter_1.caffemodel").is_file()
        assert signal.getsignal(signal.SIGINT) is before

    def test_bad_images_stop_it_or_are_counted(self, settings: Settings) -> None:
        for number in range(4):
            Path(f"det/images/n01/n01_{number}.JPEG").write_text("no image")
        done = self.run()
        assert isinstance(done.exception, DataError)
        assert re.search("det/images/n01/n01_.*--skip-bad passes", str(done.exception))
        Path("alov/gt/01-Light/01-Light_video00002.ann").write_text("1 2 3\n")
        done = self.run("--skip-bad")
        assert done.exit_code == 0 and "3 videos, 4 images" in done.output
        assert re.search("passed over .* times: det/images/n01/n01_", done.output)
        assert re.search(r"passed over 1 times: alov/.*00002\.ann:1: expected", done.output)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--alov", "alov/images", "--init", "none"], "--alov and --alov-gt belong together"),
            (["--imagenet-gt", "det/gt", "--init", "none"], "--imagenet and --imagenet-gt belong"),
            (["--alov", "missing", "--init", "none"], "missing"),
            ([], "Missing option '--init'"),
        ],
    )
    def test_wrong_usage(self, settings: Settings, arguments: list[str], words: str) -> None:
        result = CliRunner().invoke(cli, ["train", *arguments])
        assert result.exit_code == 2 and words in result.output

    def test_nothing_to_resume(self, settings: Settings) -> None:
        done = self.run("--resume", "newest")
        assert "no whole snapshot t_iter_* to go on" in str(done.exception)

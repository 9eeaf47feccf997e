import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import torchcaffe.convert as conversion
from codegen.cases import FOLDER, MARK, build, randomise
from torchcaffe import proto
from torchcaffe.codegen import trial
from torchcaffe.codegen.module import Printed
from torchcaffe.convert import FILES, convert, load_folder
from torchcaffe.errors import ConversionError, LayerError
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import NetParameter


def case(name: str, phase: str = "TEST") -> CaffeNet:
    """A net of tests/cases/codegen."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    return build(text.partition(MARK)[0], phase)


def net_of(text: str, phase: str = "TEST", **inputs: tuple[int, ...]) -> CaffeNet:
    """A net of a few lines, with random parameters."""
    net = CaffeNet(proto.parse_text(text, NetParameter, "net.prototxt"), phase, inputs=inputs)
    randomise(net)
    return net


TRAINING = """
name: "training"
layer {
  name: "images" type: "Data" top: "data" top: "label" data_param { source: "db" }
  transform_param { scale: 0.00390625 mirror: true mean_value: 104 mean_value: 117 crop_size: 8 }
}
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 5 kernel_size: 8 }
}
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
layer { name: "unread" type: "TanH" bottom: "conv" top: "aside" }
layer { name: "silent" type: "Silence" bottom: "aside" }
layer {
  name: "loss" type: "SoftmaxWithLoss" bottom: "conv" bottom: "label" top: "loss"
  loss_weight: 0.5
}
layer {
  name: "accuracy" type: "Accuracy" bottom: "conv" bottom: "label" top: "accuracy"
  include { phase: TEST }
}
"""

SHAPES = {"data": (6, 3, 8, 8), "label": (6,)}


@pytest.fixture
def training() -> CaffeNet:
    with pytest.warns(match="Caffe ignores it"):
        return net_of(TRAINING, "TRAIN", **SHAPES)


def test_writes_three_files_and_says_what(tmp_path: Path) -> None:
    net = case("resnet")
    report = convert(net, tmp_path / "deep" / "resnet")
    assert report.folder == tmp_path / "deep" / "resnet"
    assert sorted(path.name for path in report.folder.iterdir()) == sorted(FILES)
    assert report.class_name == "SmallResnet"
    assert report.lines == len((report.folder / "model.py").read_text().splitlines())
    assert report.largest_difference == 0
    assert [difference.name for difference in report.differences] == ["prob"]
    assert report.layers["conv_stage1_block0_proj"] == "stage1.0.proj.0"
    assert report.layers["fc"] == "fc"
    stored = load_file(report.folder / "model.safetensors")
    assert sum(tensor.numel() for tensor in stored.values()) == report.parameters
    weight = net.params["conv_stage1_block0_proj"][0]
    assert torch.equal(stored["stage1.0.proj.0.weight"], weight)
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["resnet"]


def test_the_folder_alone_computes_what_the_net_does(tmp_path: Path) -> None:
    net = case("caffenet")
    convert(net, tmp_path)
    x = torch.randn(3, 3, 67, 67)
    with torch.no_grad():
        assert torch.equal(load_folder(tmp_path)(x), net(x)["prob"])


@pytest.mark.parametrize("name", ["lenet", "siamese", "awkward_names"])
def test_the_example_in_the_readme_runs_without_torchcaffe(name: str, tmp_path: Path) -> None:
    net = case(name)
    convert(net, tmp_path)
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    found = re.search("```python\n(.*?)```", readme, re.DOTALL)
    assert found is not None
    (tmp_path / "example.py").write_text(
        f"import sys\nsys.modules['torchcaffe'] = None\n{found[1]}", encoding="utf-8"
    )
    command = [sys.executable, "-W", "error", "example.py"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.count("torch.Size") == len(net.outputs)


def test_the_readme_tells_inputs_outputs_and_phase(tmp_path: Path) -> None:
    convert(case("caffenet"), tmp_path)
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith("# CaffeNet\n\nCaffeNet as PyTorch source, converted from Caffe")
    assert "It needs torch and safetensors." in readme
    assert "| `data` | (2, 3, 67, 67) |" in readme and "| `prob` | (2, 10) |" in readme
    assert "BGR" in readme and "call `model.eval()`" in readme
    count = sum(p.numel() for p in case("caffenet").parameters())
    assert f"its {count:,} parameters" in readme


def test_the_readme_of_training_tells_loss_and_preprocessing(
    training: CaffeNet, tmp_path: Path
) -> None:
    convert(training, tmp_path)
    readme = (tmp_path / "README.md").read_text()
    assert "keep it in `model.train()`" in readme
    assert "Caffe trains it on the loss `0.5 * loss`." in readme
    assert "The layer that fed `data` says: scale 0.00390625" in readme
    assert "crop_size 8" in readme


def test_training_leaves_the_net_as_it_was(training: CaffeNet, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in training.state_dict().items()}
    training.seed(3)
    stream = training.stream
    convert(training, tmp_path)
    for name, value in training.state_dict().items():
        assert torch.equal(before[name], value), name
    drop = dict(training.named_children())["drop"]
    assert drop.stream is stream
    given = {"data": torch.randn(SHAPES["data"]), "label": torch.zeros(6)}
    first = training(**given)["loss"]
    training.load_state_dict(before)
    training.seed(3)
    assert torch.equal(first, training(**given)["loss"])


def test_layers_that_nothing_depends_on_are_named(training: CaffeNet, tmp_path: Path) -> None:
    convert(training, tmp_path)
    source = (tmp_path / "model.py").read_text()
    assert "Left out, as no output depends on them: unread.\n" in source
    assert "def forward(self, data: Tensor, label: Tensor) -> Tensor:" in source


def test_several_outputs_come_as_a_dict(tmp_path: Path) -> None:
    with pytest.warns(match="Caffe ignores it"):
        net = net_of(TRAINING, "TEST", **SHAPES)
    convert(net, tmp_path)
    model = load_folder(tmp_path)
    given = {"data": torch.randn(SHAPES["data"]), "label": torch.tensor([0.0, 1, 2, 3, 4, 0])}
    with torch.no_grad():
        expected, answer = net(**given), model(**given)
    assert list(answer) == list(expected) == ["accuracy", "loss"]
    assert all(torch.equal(answer[name], value) for name, value in expected.items())


def test_inputs_of_the_trial_may_be_given(tmp_path: Path) -> None:
    net = case("lenet")
    report = convert(net, tmp_path, inputs={"data": torch.zeros(1, 1, 28, 28)})
    assert report.largest_difference == 0


def test_precision_is_kept(tmp_path: Path) -> None:
    net = case("lenet").double()
    convert(net, tmp_path)
    assert load_file(tmp_path / "model.safetensors")["conv1.weight"].dtype == torch.float64


VIEWS = """
layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 2 dim: 4 } } }
layer {
  name: "a" type: "InnerProduct" bottom: "d" top: "a" param { name: "w" }
  inner_product_param { num_output: 6 }
}
layer {
  name: "b" type: "InnerProduct" bottom: "a" top: "b"
  param { name: "w" share_mode: PERMISSIVE } inner_product_param { num_output: 4 }
}
"""


def test_parameters_shared_in_another_shape_are_views(tmp_path: Path) -> None:
    net = net_of(VIEWS)
    convert(net, tmp_path)
    assert sorted(load_file(tmp_path / "model.safetensors")) == ["a.bias", "a.weight", "b.bias"]
    model = load_folder(tmp_path)
    with torch.no_grad():
        for parameter in (net.params["a"][0], model.a.weight):
            parameter.mul_(2)
        x = torch.randn(2, 4)
        assert torch.equal(model(x), net(x)["b"])


def test_tied_parameters_stay_one(tmp_path: Path) -> None:
    text = VIEWS.replace("num_output: 6", "num_output: 4")
    convert(net_of(text), tmp_path)
    model = load_folder(tmp_path)
    assert model.a.weight is model.b.weight and model.a.bias is not model.b.bias


# Refusals


def test_other_files_are_not_touched_without_force(tmp_path: Path) -> None:
    net = case("lenet")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConversionError) as caught:
        convert(net, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds other files (notes.txt); give an empty folder, or force to write beside "
        f"and over them"
    )
    convert(net, tmp_path, force=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_ones_own_model_is_not_overwritten(tmp_path: Path) -> None:
    net = case("lenet")
    (tmp_path / "model.py").write_text("mine")
    with pytest.raises(ConversionError, match=r"holds other files \(model\.py\)"):
        convert(net, tmp_path)
    convert(net, tmp_path, force=True)
    (tmp_path / "__pycache__").mkdir()
    convert(net, tmp_path)
    assert "LeNet" in (tmp_path / "model.py").read_text()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConversionError, match="is a file; give a folder to write into"):
        convert(case("lenet"), tmp_path / "file")


def test_a_class_name_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match='"my net" cannot name a class; "MyNet" can'):
        convert(case("lenet"), tmp_path / "net", class_name="my net")
    assert convert(case("lenet"), tmp_path / "net", class_name="MyNet").class_name == "MyNet"


def test_a_net_without_outputs_is_refused(tmp_path: Path) -> None:
    text = (
        'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 2 } } }'
        'layer { name: "s" type: "Silence" bottom: "d" }'
    )
    with pytest.raises(ConversionError, match="the net has no output: every blob is read by some"):
        convert(net_of(text), tmp_path / "net")


EMBEDDING = """
layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 2 dim: 3 } } }
layer {
  name: "embed" type: "Embed" bottom: "d" top: "e" embed_param { num_output: 2 input_dim: 1 }
}
"""


def test_indices_that_do_not_fit_are_followed_by_zeros(tmp_path: Path) -> None:
    assert convert(net_of(EMBEDDING), tmp_path / "net").largest_difference == 0


def test_a_net_that_does_not_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*args: object, **kwargs: object) -> None:
        raise LayerError("it is broken")

    net = net_of(EMBEDDING)
    monkeypatch.setattr(CaffeNet, "run", run)
    with pytest.raises(ConversionError) as caught:
        convert(net, tmp_path / "net")
    assert str(caught.value) == (
        "the net does not run on random inputs, so that nothing can be compared: it is broken"
    )
    assert list(tmp_path.iterdir()) == []


def break_source(printed: Printed, old: str, new: str) -> Printed:
    assert old in printed.source
    return replace(printed, source=printed.source.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("stride=2", "stride=1", "the printed module does not run: "),
        ("dim=1", "dim=0", "the printed module computes something else: prob: ours "),
        ("class LeNet", "class LeNet(", "the printed module does not run: "),
        ("self.pool2(conv2)", "conv2.relu()[:, :, ::2, ::2]", "computes something else"),
    ],
)
def test_what_does_not_compute_the_same_is_not_written(
    old: str, new: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    print_net = conversion.print_net

    def broken(*args: object, **kwargs: object) -> Printed:
        return break_source(print_net(*args, **kwargs), old, new)

    monkeypatch.setattr(conversion, "print_net", broken)
    with pytest.raises(ConversionError, match=words):
        convert(case("lenet"), tmp_path / "new" / "lenet")
    assert list((tmp_path / "new").iterdir()) == []


def test_blocks_that_go_wrong_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    print_net = conversion.print_net

    def broken(net: CaffeNet, name: str | None, *, blocks: bool = True) -> Printed:
        printed = print_net(net, name, blocks=blocks)
        return break_source(printed, "proj + ", "proj - ") if blocks else printed

    monkeypatch.setattr(conversion, "print_net", broken)
    report = convert(case("resnet"), tmp_path)
    assert report.largest_difference == 0
    assert "class Bottleneck" not in (tmp_path / "model.py").read_text()


def test_weights_that_are_all_one_number_prove_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With zeros for weights, every module gives the same; so it is tried with others."""
    net = case("inception")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    assert convert(net, tmp_path / "right").largest_difference == 0
    assert not any(value.any() for value in load_file(tmp_path / "right" / FILES[1]).values())
    print_net = trial.print_net

    def broken(*args: object, **kwargs: object) -> Printed:
        printed = print_net(*args, **kwargs)
        return break_source(printed, "self.relu1(self.conv1(data))", "self.conv1(data)")

    monkeypatch.setattr(conversion, "print_net", broken)
    monkeypatch.setattr(trial, "print_net", broken)
    with pytest.raises(ConversionError, match="computes something else"):
        convert(net, tmp_path / "wrong")


def test_weights_that_vary_are_enough() -> None:
    net = case("lenet")
    with torch.no_grad():
        net.params["conv1"][1].zero_()
    assert trial.scrambled(net) is None
    with torch.no_grad():
        net.params["conv1"][0].zero_()
    twin = trial.scrambled(net)
    assert twin is not None and not net.params["conv1"][0].any()
    assert all(value.any() for value in twin.parameters())


def test_views_are_copied_for_training(tmp_path: Path) -> None:
    net = net_of(VIEWS, "TRAIN")
    assert convert(net, tmp_path).largest_difference == 0


def test_load_folder_wants_what_convert_wrote(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"has no model\.py and no model\.safetensors; a"):
        load_folder(tmp_path)
    convert(case("lenet"), tmp_path)
    (tmp_path / "model.py").write_text("x = 1\n")
    with pytest.raises(ConversionError, match=r"model\.py defines no class"):
        load_folder(tmp_path)

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from codegen.cases import CodegenCase, build, read_cases
from codegen.lint import assert_clean
from torchcaffe.codegen import print_net
from torchcaffe.codegen.trial import construct, differences, module_outputs, trial

CASES = read_cases()

every_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@every_case
def test_prints_as_expected(case: CodegenCase) -> None:
    source = print_net(build(case.prototxt)).source
    assert source == case.output, "if it should differ: python tests/codegen/cases.py, and read it"


@every_case
@pytest.mark.parametrize("phase", ["TEST", "TRAIN"])
@pytest.mark.parametrize("blocks", [True, False], ids=["blocks", "flat"])
def test_the_source_computes_the_same_bits(case: CodegenCase, phase: str, blocks: bool) -> None:
    net = build(case.prototxt, phase)
    printed = print_net(net, blocks=blocks)
    source = case.output if blocks and phase == "TEST" else printed.source
    model = construct(source, printed.class_name)
    missing, unexpected = model.load_state_dict(printed.state.tensors, strict=False)
    assert not unexpected and set(missing) == {path for path, _ in printed.state.ties}
    given, expected = trial(net)
    found = differences(module_outputs(model, net, printed, given), expected)
    assert [difference.name for difference in found] == net.outputs
    assert all(value.isfinite().all() and value.any() for value in expected.values())


@every_case
def test_every_parameter_of_the_net_is_stored_once(case: CodegenCase) -> None:
    net = build(case.prototxt)
    stored = {tensor.data_ptr() for tensor in print_net(net).state.tensors.values()}
    assert {parameter.data_ptr() for parameter in net.parameters()} <= stored


def test_the_sources_are_clean(tmp_path: Path) -> None:
    for case in CASES:
        for phase in ("TEST", "TRAIN"):
            for blocks in (True, False):
                source = print_net(build(case.prototxt, phase), blocks=blocks).source
                path = tmp_path / f"{case.name}_{phase}_{blocks}" / "model.py"
                path.parent.mkdir()
                path.write_text(source, encoding="utf-8")
    assert_clean(tmp_path)


def test_lint_finds_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("import os\nx = 1\n")
    with pytest.raises(AssertionError, match="F401"):
        assert_clean(tmp_path)
    (tmp_path / "model.py").write_text("x=1\n")
    with pytest.raises(AssertionError, match="x = 1"):
        assert_clean(tmp_path)


def test_awkward_names_do_not_run(tmp_path: Path) -> None:
    """The source of names that try to break out is imported in a process of its own."""
    case = next(case for case in CASES if case.name == "awkward_names")
    assert "os.abort" in case.prototxt
    (tmp_path / "model.py").write_text(case.output, encoding="utf-8")
    command = "import model, sys; print('os' in vars(model), model.ImportOsOsAbort().conv1x1)"
    answer = subprocess.run(
        [sys.executable, "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert answer.stdout.startswith("False Conv2d(3, 3")


def test_in_training_batch_norm_is_that_of_caffe() -> None:
    case = next(case for case in CASES if case.name == "resnet")
    source = print_net(build(case.prototxt, "TRAIN")).source
    assert "class BatchNorm(nn.Module):" in source
    assert re.search(r"self\.bn_1 = BatchNorm\(\s*16, use_global_stats=False", source)
    assert "torchcaffe" not in source


def test_the_batch_may_differ() -> None:
    case = next(case for case in CASES if case.name == "resnet")
    net = build(case.prototxt)
    printed = print_net(net)
    model = construct(printed.source, printed.class_name).eval()
    model.load_state_dict(printed.state.tensors)
    x = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(model(x), net(x)["prob"])

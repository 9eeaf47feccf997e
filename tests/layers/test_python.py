import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import torchcaffe
from contract import Case, LayerContract
from layers.python_examples import Numbers, Swallow
from torchcaffe import proto
from torchcaffe.errors import LayerError, NetWarning
from torchcaffe.layers._python_blob import ArrayBlob, BlobVec
from torchcaffe.layers.python import Layer, PythonLayer
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter


def body(layer: str, param_str: str = "", module: str = "layers.python_examples") -> str:
    given = f"param_str: '{param_str}'" if param_str else ""
    return f"python_param {{ module: '{module}' layer: '{layer}' {given} }}"


def net_of(case: Case, **options: Any) -> CaffeNet:
    return CaffeNet(case.net("Python"), case.phase, allow_python=True, **options)


class TestPython(LayerContract):
    caffe_type = "Python"
    options = {"allow_python": True}
    cases = {
        "param-str": Case(body("Times", "2.5"), [(2, 3)], gradcheck=False),
        "no-param-str": Case(body("Times"), [(2, 1, 3, 1, 2)], gradcheck=False),
        "several": Case(body("Times", "3"), [(2, 3), (4,), (1, 1)], tops=3, gradcheck=False),
        "loss": Case(body("EuclideanLoss") + " loss_weight: 1", [(3, 2), (3, 2)], gradcheck=False),
        "parameter": Case(body("Shift"), [(2, 3, 4)], gradcheck=False),
        "module": Case(body("Doubled"), [(2, 3)], gradcheck=False),
    }
    refusals = {
        "no-module": (Case("python_param { layer: 'Times' }"), 'got module "" and layer "Times"'),
        "no-param": (Case(""), "python_param must name a module and a layer"),
        "not-on-the-path": (
            Case(body("Times", module="no_such_module")),
            'there is no module "no_such_module" on Python\'s search path (sys.path), where Caffe '
            "looks too; put the folder that holds it into PYTHONPATH",
        ),
        "package-not-on-the-path": (
            Case(body("Times", module="no_such_package.inner")),
            'there is no module "no_such_package.inner"',
        ),
        "no-class": (
            Case(body("Tims")),
            'module "layers.python_examples" has no class "Tims". Did you mean "Times"?',
        ),
        "not-a-layer": (
            Case(body("function")),
            "layers.python_examples.function must be a subclass of torchcaffe.layers.python.Layer "
            "(with setup, reshape, forward and backward) or of torch.nn.Module; it is <function",
        ),
        "no-shape": (
            Case(body("Fails", "no shape")),
            'layers.python_examples.Fails leaves top "t0" without a shape; its reshape must call',
        ),
        "param-str-not-taken": (
            Case(body("Doubled", "2")),
            'has the param_str "2", but layers.python_examples.Doubled has no parameter param_str',
        ),
        "too-many-tops": (Case(body("Doubled"), tops=2), "Doubled gives 1 tensors for 2 tops"),
        "not-a-tensor": (
            Case(body("Talks")),
            "Talks must give a tensor or a tuple of tensors, got 'hello'",
        ),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        p = param.python_param
        if p.layer == "Times":
            return [float(p.param_str or 10) * x for x in bottoms]
        if p.layer == "Doubled":
            return [2 * bottoms[0]]
        if p.layer == "EuclideanLoss":
            a, b = bottoms
            return [np.array([sum((a - b).ravel() ** 2) / 2 / a.shape[0]])]
        return [bottoms[0] + blobs[0].reshape(1, -1, 1)]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray | None], list[np.ndarray]]:
        p = param.python_param
        if p.layer == "Times":
            return [float(p.param_str or 10) * diff for diff in top_diffs], []
        if p.layer == "Doubled":
            return [2 * top_diffs[0]], []
        if p.layer == "EuclideanLoss":
            a, b = bottoms
            slope = top_diffs[0][0] * (a - b) / a.shape[0]
            return [slope, -slope], []
        return [top_diffs[0]], [top_diffs[0].sum((0, 2))]


def test_is_off_unless_allowed() -> None:
    case = Case(body("Times", module="never_imported"))
    with pytest.raises(LayerError) as caught:
        CaffeNet(case.net("Python"), "TEST")
    for words in (
        'case.prototxt:4: layer "layer" (Python): would import the Python module "never_imported"',
        "executes code which the prototxt chooses, so it is off",
        "torchcaffe.load(..., allow_python=True), on the command line --allow-python",
    ):
        assert words in str(caught.value)
    assert "never_imported" not in sys.modules


def test_load_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "beside_the_net.py").write_text(
        "from torchcaffe.layers import python as caffe\n"
        "class Same(caffe.Layer):\n"
        "    def reshape(self, bottom, top): top[0].reshape(*bottom[0].shape)\n"
        "    def forward(self, bottom, top): top[0].data[...] = bottom[0].data\n"
    )
    path = tmp_path / "net.prototxt"
    path.write_text(proto.format_text(Case(body("Same", module="beside_the_net")).net("Python")))
    with pytest.raises(LayerError, match="there is no module"):
        torchcaffe.load(path, allow_python=True)
    monkeypatch.syspath_prepend(tmp_path)
    net = torchcaffe.load(path, allow_python=True)
    assert torch.equal(net(torch.ones(2, 3, 4, 5))["t0"], torch.ones(2, 3, 4, 5))


def test_names_a_missing_caffe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "for_caffe.py").write_text("import caffe\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "caffe", raising=False)
    with pytest.raises(LayerError) as caught:
        net_of(Case(body("L", module="for_caffe")))
    assert 'module "for_caffe" imports "caffe", which is not installed; write "from' in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("source", "kind"),
    [("import no_such_dependency", ModuleNotFoundError), ("1 / 0", ZeroDivisionError)],
)
def test_what_the_import_raises_stays_as_it_is(
    source: str, kind: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"raises_{kind.__name__}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(kind) as caught:
        net_of(Case(body("L", module=name)))
    assert notes(caught.value) == [
        f'in the import of {name} for case.prototxt:4: layer "layer" (Python)'
    ]


def notes(error: BaseException) -> list[str]:
    return list(getattr(error, "__notes__", []))


@pytest.mark.parametrize("method", ["setup", "reshape", "forward", "backward"])
def test_what_the_class_raises_stays_as_it_is(method: str) -> None:
    case = Case(body("Fails", method), [(2,)])
    with pytest.raises(RuntimeError, match=f"^no {method} today") as caught:
        net_of(case)(torch.ones(2, requires_grad=True))["t0"].sum().backward()
    (note,) = notes(caught.value)
    assert str(caught.value) == f"no {method} today"
    assert note == f'in {method} of layer "layer" (Python), layers.python_examples.Fails'


def test_what_a_module_raises_stays_as_it_is() -> None:
    with pytest.raises(RuntimeError, match=r"^rows of 3 are needed") as caught:
        net_of(Case(body("Affine", "1"), [(2, 4)], tops=2))
    assert notes(caught.value) == [
        'in case.prototxt:4: layer "layer" (Python), layers.python_examples.Affine'
    ]
    net = net_of(Case(body("Affine", "1"), [(2, 3)], tops=2))
    with pytest.raises(RuntimeError, match=r"^rows of 3 are needed") as caught:
        net(torch.ones(2, 4))
    assert notes(caught.value) == ['in case.prototxt:4: layer "layer" (Python)']


def test_a_bottom_may_be_read_only() -> None:
    with pytest.raises(ValueError, match="read-only") as caught:
        net_of(Case(body("Fails", "write"), [(2,)]))(torch.ones(2))
    assert "name the top like the bottom to work in place" in notes(caught.value)[0]


@pytest.mark.parametrize("missing", ["reshape", "forward", "backward"])
def test_a_class_without_a_method(missing: str) -> None:
    blob = ArrayBlob(1)
    arguments = ([blob], [True], [blob]) if missing == "backward" else ([blob], [blob])
    with pytest.raises(NotImplementedError, match=rf"^Layer has no {missing}\("):
        getattr(Layer(), missing)(*arguments)


def test_passes_in_both_phases_without_bottoms() -> None:
    for phase, number in (("TRAIN", 0), ("TEST", 1)):
        net = net_of(Case(body("Numbers"), [], tops=2, phase=phase))
        assert net.steps[-1].top_shapes == [(), (2, 3)]
        for count in (1, 2):
            tops = net()
            assert tops["t0"].shape == () and tops["t0"].item() == number
            assert torch.equal(tops["t1"], torch.full((2, 3), float(count)))


def test_no_forward_runs_when_a_net_is_built() -> None:
    before = Swallow.seen
    net = net_of(Case(body("Swallow"), [(2,)], tops=0))
    assert Swallow.seen == before
    assert net(torch.ones(2)) == {}
    assert Swallow.seen == before + 1
    assert isinstance(net.get_submodule("layer").layer, Swallow)


def test_shapes_follow_reshape_and_forward() -> None:
    net = net_of(Case(body("Times", "2")))
    assert net(torch.ones(7, 1))["t0"].shape == (7, 1)
    net = net_of(Case(body("Nonzero"), [(4,)]))
    assert net.steps[-1].top_shapes == [(1,)]
    assert net(torch.tensor([0.0, 2.0, 0.0, 3.0]))["t0"].tolist() == [2, 3]


def test_earlier_tops_stay_as_they_were() -> None:
    net = net_of(Case(body("Times", "2"), [(2,)]))
    first = net(torch.ones(2))["t0"]
    net(torch.zeros(2))
    assert first.tolist() == [2, 2]


def test_works_in_place() -> None:
    text = Case(body("Clear", "0"), [(4,)], tops=0).net("Python")
    text.layer[-1].top = ["b0"]
    net = CaffeNet(text, "TEST", allow_python=True)
    x = torch.tensor([-1.0, 2.0, -3.0, 4.0], requires_grad=True)
    run = net.run({"b0": x})
    assert run.blobs["b0"].tolist() == [0, 2, 0, 4]
    assert x.tolist() == [-1, 2, -3, 4]
    run.blobs["b0"].backward(torch.tensor([1.0, 1.0, 2.0, 2.0]))
    assert x.grad is not None and x.grad.tolist() == [0, 1, 0, 2]


def test_parameters_start_from_setup_and_learn() -> None:
    case = Case(body("Shift"), [(2, 3, 4)])
    net = net_of(case, seed=3)
    (blob,) = net.params["layer"]
    assert blob.tolist() == [1, 2, 3]
    net(torch.zeros(2, 3, 4))["t0"].sum().backward()
    assert blob.grad is not None and blob.grad.tolist() == [8, 8, 8]
    with torch.no_grad():
        blob.sub_(blob.grad)
    assert net(torch.zeros(2, 3, 4))["t0"][0, :, 0].tolist() == [-7, -6, -5]
    assert net.get_submodule("layer").layer.blobs[0].data.tolist() == [-7, -6, -5]


def test_a_frozen_parameter_and_a_bottom_that_needs_nothing() -> None:
    net = net_of(Case(body("Shift") + " param { lr_mult: 0 }", [(2, 3, 4)]))
    net.params["layer"][0].requires_grad_(False)
    assert not net(torch.zeros(2, 3, 4))["t0"].requires_grad
    x = torch.zeros(2, 3, 4, requires_grad=True)
    net(x)["t0"].sum().backward()
    assert x.grad is not None and net.params["layer"][0].grad is None


def test_passes_are_not_mixed_up() -> None:
    net = net_of(Case(body("EuclideanLoss"), [(2,), (2,)]))
    given = {name: torch.ones(2, requires_grad=True) for name in ("b0", "b1")}
    first = net(**given)["t0"]
    with torch.no_grad():
        net(b0=torch.ones(2), b1=torch.zeros(2))
    with pytest.raises(LayerError) as caught:
        first.sum().backward()
    assert 'layer "layer" (Python), layers.python_examples.EuclideanLoss' in str(caught.value)
    assert "run backward before the next forward" in str(caught.value)


def test_parameters_are_added_in_setup_only() -> None:
    net = net_of(Case(body("Fails", "add"), [(2,)]))
    with pytest.raises(LayerError, match="had 0 parameter blobs after setup and has 1 now"):
        net(torch.ones(2))


def test_copies_have_a_state_of_their_own() -> None:
    net = net_of(Case(body("Numbers"), [], tops=2))
    net()
    twin = copy.deepcopy(net)
    assert net()["t1"][0, 0] == twin()["t1"][0, 0] == 2
    assert isinstance(twin.get_submodule("layer").layer, Numbers)


def test_a_module_keeps_its_values_and_takes_its_phase() -> None:
    case = Case(body("Affine", "2.5"), [(2, 3)], tops=2)
    net = net_of(case, seed=1)
    x = torch.ones(2, 3)
    assert net(x)["t0"][0].tolist() == [2.5, 3.5, 4.5]
    assert [blob.tolist() for blob in net.params["layer"]] == [[2.5]]
    assert torch.equal(net(x)["t1"], x)
    train = net_of(Case(case.body, case.bottoms, 2, "TRAIN"))
    assert train.get_submodule("layer").training and not net.get_submodule("layer").training


def test_building_draws_nothing_from_torch() -> None:
    before = torch.random.get_rng_state()
    net_of(Case(body("Affine", "1"), [(2, 3)], tops=2, phase="TRAIN"))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_weights_are_copied_by_name(tmp_path: Path) -> None:
    case = Case(body("Shift"), [(2, 3, 4)])
    np.savez(tmp_path / "weights.npz", **{"layer/0": np.float32([7, 8, 9])})
    net = torchcaffe.load(case.net("Python"), tmp_path / "weights.npz", allow_python=True)
    assert net.params["layer"][0].tolist() == [7, 8, 9]


def test_share_in_parallel_has_no_effect() -> None:
    text = body("Times").replace("layer:", "share_in_parallel: true layer:")
    with pytest.warns(NetWarning, match="share_in_parallel has no effect"):
        net_of(Case(text, [(2,)]))


def test_runs_compiled_nets_outside_the_compiled_part() -> None:
    net = torch.compile(net_of(Case(body("Times", "2"), [(2,)])), backend="eager")
    assert net(torch.ones(2))["t0"].tolist() == [2, 2]


def test_stands_alone() -> None:
    layer = PythonLayer(
        "layers.python_examples", "Shift", bottoms=((2, 3, 4),), tops=1, name="shift"
    )
    assert layer.top_shapes == ((2, 3, 4),)
    layer.load_state_dict({"blob_0": torch.zeros(3)})
    assert torch.equal(layer(torch.ones(2, 3, 4))[0], torch.ones(2, 3, 4))


class TestBlob:
    def test_has_caffes_names(self) -> None:
        blob = ArrayBlob(2, 3)
        assert (blob.num, blob.channels, blob.height, blob.width) == (2, 3, 1, 1)
        assert (blob.count, blob.shape, repr(blob)) == (6, (2, 3), "Blob(2, 3)")
        assert blob.data.dtype == blob.diff.dtype == np.float32
        assert not blob.data.any()

    def test_legacy_names_stop_at_four_axes(self) -> None:
        with pytest.raises(ValueError, match="at most 4 axes, this one has 5; use shape"):
            ArrayBlob(1, 1, 1, 1, 1).num  # noqa: B018

    def test_reshape_keeps_memory_until_it_grows(self) -> None:
        blob = ArrayBlob(2, 2)
        blob.data[...] = [[1, 2], [3, 4]]
        blob.reshape(3)
        assert blob.data.tolist() == [1, 2, 3]
        blob.reshape(4, 1)
        assert blob.data.ravel().tolist() == [1, 2, 3, 4]
        blob.reshape(5)
        assert not blob.data.any()

    def test_a_single_number_and_nothing(self) -> None:
        blob = ArrayBlob()
        assert blob.count == 0 and not blob.shaped
        blob.reshape()
        assert blob.count == 1 and blob.data.shape == ()
        blob.reshape(0, 3)
        assert blob.data.shape == (0, 3)

    @pytest.mark.parametrize("shape", [((2, 3),), (2.0,), (-1,), (True,)])
    def test_reshape_takes_whole_numbers(self, shape: tuple[Any, ...]) -> None:
        with pytest.raises(TypeError, match=r"as reshape\(2, 3\); got"):
            ArrayBlob().reshape(*shape)

    def test_arrays_are_changed_in_place_only(self) -> None:
        with pytest.raises(AttributeError):
            ArrayBlob(2).data = np.zeros(2)  # type: ignore[misc]

    def test_vector(self) -> None:
        blobs = BlobVec()
        blobs.add_blob(2, 3)
        blobs.add_blob()
        assert [blob.shape for blob in blobs] == [(2, 3), ()] and len(blobs) == 2
        assert blobs[1].count == 1

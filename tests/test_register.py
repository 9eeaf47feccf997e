import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import torchcaffe
from torchcaffe import proto
from torchcaffe.cli import main
from torchcaffe.convert import convert, load_folder
from torchcaffe.errors import ConversionError, InputError, LayerError, ParseError, UnknownLayerError
from torchcaffe.inspection import inspect
from torchcaffe.layers._registry import layer_types
from torchcaffe.net import CaffeNet
from torchcaffe.parity.classes import declared_classes
from torchcaffe.proto.message import MESSAGES
from torchcaffe.proto.schema import LayerParameter, NetParameter
from torchcaffe.register import (
    Bottom,
    Call,
    Enum,
    Plan,
    Setup,
    accumulated,
    bitwise,
    boolean,
    enum,
    float32,
    forget_layer,
    int32,
    message,
    register_layer,
    repeated,
    string,
    uint32,
    ulp,
)

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "own_layers"


class Power6(nn.Module):
    """y = (scale * x) ** power."""

    def __init__(self, power: int, scale: float, bottom_shapes: Any, tops: int, phase: str) -> None:
        super().__init__()
        if power > 6:
            raise ValueError(f"power takes at most 6, got {power}")
        self.power, self.scale, self.given = power, scale, (bottom_shapes, tops, phase)

    def forward(self, x: Tensor) -> Tensor:
        return (self.scale * x) ** self.power


class Undocumented(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


class Weighted(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.full((size,), 7.0))
        self.second = nn.Parameter(torch.full((size, 2), 8.0))
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("table", torch.arange(3.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.first.sum() + self.table.sum()


class Sizes(nn.Module):
    """Reads Caffe's own convolution_param."""

    def __init__(self, num_output: int, kernel_size: tuple[int, ...], bias_term: bool) -> None:
        super().__init__()
        self.seen = (num_output, kernel_size, bias_term)

    def forward(self, x: Tensor) -> Tensor:
        return x


class Taker(nn.Module):
    def __init__(self, a: bool, b: int, c: str, d: str, e: tuple[float, ...]) -> None:
        super().__init__()
        self.seen = (a, b, c, d, e)

    def forward(self, x: Tensor) -> Tensor:
        return x


class Defaults(nn.Module):
    def __init__(self, slope: float = 0.5, sizes: tuple[int, ...] = (), extra: int = 3) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x


class Needs(nn.Module):
    def __init__(self, unknown: int) -> None:
        super().__init__()


class Halves(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(x.chunk(2))


class Fails(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] != 2:
            raise RuntimeError("two rows are needed")
        return x


class NotAModule:
    pass


POWER = {"power": uint32(1, default=2), "scale": float32(2, default=1.5)}


def register_power(**options: Any) -> None:
    register_layer("Power6", param="power6_param", number=901, fields=POWER, **options)(Power6)


def net_of(layer: str, shape: str = "dim: 2 dim: 3", **options: Any) -> CaffeNet:
    text = (
        f'layer {{ name: "in" type: "Input" top: "x" input_param {{ shape {{ {shape} }} }} }}\n'
        f'layer {{ name: "own" bottom: "x" {layer} }}'
    )
    return CaffeNet(proto.parse_text(text, NetParameter, "net.prototxt"), "TEST", **options)


# The worked example


def test_the_page_shows_the_example() -> None:
    page = (ROOT / "docs" / "own-layers.md").read_text()
    code = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[0]
    assert code == (EXAMPLE / "my_layers.py").read_text()


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> CaffeNet:
    monkeypatch.syspath_prepend(EXAMPLE)
    import my_layers  # noqa: F401

    return torchcaffe.load(EXAMPLE / "head.prototxt", seed=1701)


def test_the_example_computes_what_ssd_does(example: CaffeNet) -> None:
    x = torch.rand(1, 8, 5, 5)
    blobs = example.blobs(x)
    scale = np.full(8, 20.0)
    norm = np.sqrt(1e-10 + (x.numpy().astype(np.float64) ** 2).sum(1, keepdims=True))
    expected = scale[:, None, None] * x.numpy() / norm
    np.testing.assert_allclose(blobs["conv4_3_norm"].detach(), expected, rtol=1e-6)
    assert torch.equal(blobs["loc_perm"], blobs["loc"].permute(0, 2, 3, 1))
    assert example.params["conv4_3_norm"][0].tolist() == [20.0] * 8
    blobs["loc_flat"].sum().backward()
    assert example.params["conv4_3_norm"][0].grad is not None


def test_the_example_normalizes_as_the_reference_says(example: CaffeNet) -> None:
    net = net_of(
        'type: "Normalize" top: "y" norm_param { scale_filler { value: 20 } }',
        "dim: 1 dim: 2 dim: 1 dim: 1",
    )
    x = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1).requires_grad_()
    y = net(x)["y"]
    torch.testing.assert_close(y.flatten(), torch.tensor([12.0, 16.0]))
    y.backward(torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1))
    assert x.grad is not None
    torch.testing.assert_close(x.grad.flatten(), torch.tensor([2.56, -1.92]))


def test_the_example_refuses_axes_given_twice(example: CaffeNet) -> None:
    with pytest.raises(LayerError) as caught:
        net_of('type: "Permute" top: "y" permute_param { order: 1 order: 1 }')
    assert str(caught.value) == (
        'net.prototxt:2: layer "own" (Permute): order takes each of the axes [0, 1] once at most, '
        "got [1, 1]"
    )


def test_the_example_takes_three_bottoms(example: CaffeNet) -> None:
    inputs = "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        f"input_param {{ shape {{ {shape} }} }} }}"
        for name, shape in (
            ("a", "dim: 2 dim: 3"),
            ("x", "dim: 2 dim: 3 dim: 4 dim: 4"),
            ("b", "dim: 2 dim: 3 dim: 4 dim: 4"),
        )
    )
    text = inputs + (
        'layer { name: "y" type: "Axpy" bottom: "a" bottom: "x" bottom: "b" top: "y" }'
    )
    net = CaffeNet(proto.parse_text(text, NetParameter), "TEST")
    given = {name: torch.rand(shape) for name, shape in net.inputs.items()}
    expected = given["a"][:, :, None, None] * given["x"] + given["b"]
    assert torch.equal(net(**given)["y"], expected)


def test_the_command_line_takes_a_file_of_layers(capsys: pytest.CaptureFixture[str]) -> None:
    for file in (str(EXAMPLE / "my_layers.py"), "my_layers"):
        with pytest.raises(SystemExit) as stop:
            main(["inspect", str(EXAMPLE / "head.prototxt"), "--layers", file])
            sys.exit(0)
        assert not stop.value.code
        assert "Permute" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no_such_file.py", '--layers "no_such_file.py": there is no such file'),
        (
            "no_such_module",
            '--layers "no_such_module": there is no such module on Python\'s path; a file is given '
            "as no_such_module.py",
        ),
    ],
)
def test_the_command_line_names_what_is_missing(
    value: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["inspect", str(EXAMPLE / "head.prototxt"), "--layers", value])
    assert stop.value.code == 1
    assert words in capsys.readouterr().err


def test_the_command_line_refuses_a_name_that_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "contract.py").write_text("")
    import contract

    before = contract.LayerContract
    with pytest.raises(SystemExit):
        main(["inspect", "net.prototxt", "--layers", str(tmp_path / "contract.py")])
    assert 'another module is called "contract"' in capsys.readouterr().err
    assert contract.LayerContract is before


def test_the_command_line_allows_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "of_the_net.py").write_text(
        "from torch import nn\nclass Same(nn.Module):\n    def forward(self, x): return x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "net.prototxt"
    path.write_text(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }\n'
        'layer { name: "p" type: "Python" bottom: "x" top: "y"\n'
        "  python_param { module: 'of_the_net' layer: 'Same' } }\n"
    )
    with pytest.raises(SystemExit):
        main(["inspect", str(path)])
    assert 'net.prototxt:2: layer "p" (Python): would import' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["inspect", str(path), "--allow-python"])
        sys.exit(0)
    assert "Python" in capsys.readouterr().out


# Converted


def test_a_converted_folder_imports_the_file(tmp_path: Path, example: CaffeNet) -> None:
    convert(example, tmp_path / "head")
    source = (tmp_path / "head" / "model.py").read_text()
    assert "from my_layers import Normalize, Permute\n" in source and "torchcaffe" not in source
    readme = (tmp_path / "head" / "README.md").read_text()
    assert "It also imports `my_layers` (Normalize), which must be on Python's path.\n" in readme
    x = torch.rand(1, 8, 5, 5)
    assert torch.equal(load_folder(tmp_path / "head")(x), example(x)["loc_flat"])


@pytest.mark.parametrize(("layer", "more"), [("Shift", ", and torchcaffe"), ("Doubled", "")])
def test_a_converted_folder_runs_python_layers(layer: str, more: str, tmp_path: Path) -> None:
    net = net_of(
        'type: "Python" top: "y" '
        f'python_param {{ module: "layers.python_examples" layer: "{layer}" }}',
        "dim: 2 dim: 3 dim: 1",
        allow_python=True,
    )
    convert(net, tmp_path / "own")
    readme = (tmp_path / "own" / "README.md").read_text()
    assert f"`layers.python_examples` (Python), which must be on Python's path{more}" in readme
    x = torch.rand(2, 3, 1)
    assert torch.equal(load_folder(tmp_path / "own")(x), net(x)["y"])


def test_a_class_of_the_running_script_cannot_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Undocumented, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Undocumented", Undocumented, raising=False)
    register_layer("Undocumented")(Undocumented)
    net = net_of('type: "Undocumented" top: "y"')
    assert torch.equal(net(torch.ones(2, 3))["y"], torch.ones(2, 3))
    with pytest.raises(ConversionError, match=r"stands in the script that runs now \(__main__\)"):
        convert(net, tmp_path / "own")


# What a registration does


def test_fields_reach_the_constructor() -> None:
    register_power()
    net = net_of('type: "Power6" top: "y" power6_param { power: 3 }')
    module = net.get_submodule("own")
    assert (module.power, module.scale) == (3, 1.5)
    assert module.given == (((2, 3),), 1, "TEST") and not module.training
    x = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    y = net(x)["y"]
    assert torch.equal(y, (1.5 * x) ** 3)
    y.sum().backward()
    assert net.steps[-1].plan.call == Call(
        "test_register.Power6",
        power=3,
        scale=1.5,
        bottom_shapes=((2, 3),),
        tops=1,
        phase="TEST",
    )


def test_is_listed_inspected_and_held_to_its_class() -> None:
    register_power(exactness=ulp(2))
    net = net_of('type: "Power6" top: "y"')
    assert layer_types()["Power6"].doc == "y = (scale * x) ** power."
    assert layer_types()["Power6"].params == ("power6_param",)
    assert [row.type for row in inspect(net).layers] == ["Input", "Power6"]
    assert declared_classes(net).blobs["y"] == ulp(2)
    assert declared_classes(net).diffs["x"] == accumulated()


def test_a_class_without_a_docstring_has_a_line() -> None:
    register_layer("Undocumented")(Undocumented)
    kind = layer_types()["Undocumented"]
    assert kind.doc == "Undocumented, as test_register.Undocumented computes it."
    assert kind.since == "own" and kind.exactness == accumulated()


def test_a_refused_value_names_file_and_layer() -> None:
    register_power()
    with pytest.raises(LayerError) as caught:
        net_of('type: "Power6" top: "y" power6_param { power: 7 }')
    assert str(caught.value) == (
        'net.prototxt:2: layer "own" (Power6): power takes at most 6, got 7'
    )


def test_the_reader_knows_the_message() -> None:
    register_power()
    with pytest.raises(ParseError, match=r'unknown field "powr" in Power6Parameter.*"power"'):
        net_of('type: "Power6" top: "y" power6_param { powr: 3 }')


def test_all_kinds_of_fields() -> None:
    fields = {
        "a": boolean(1),
        "b": int32(2, default=-3),
        "c": string(3, default="x"),
        "d": enum(4, Enum("Mode", MAX=0, SUM=1), default="SUM"),
        "e": repeated(5, "float32"),
    }

    register_layer("Taker", param="taker_param", number=903, fields=fields)(Taker)
    assert net_of('type: "Taker" top: "y"').get_submodule("own").seen == (
        False, -3, "x", "SUM", ()
    )  # fmt: skip
    given = "a: true b: 1 c: 'z' d: MAX e: [0.5, 2]"
    net = net_of(f'type: "Taker" top: "y" taker_param {{ {given} }}')
    assert net.get_submodule("own").seen == (True, 1, "z", "MAX", (0.5, 2.0))


def test_several_tops() -> None:
    register_layer("Halves", tops=2)(Halves)
    net = net_of('type: "Halves" top: "y" top: "z"')
    assert net.steps[-1].top_shapes == [(1, 3), (1, 3)]
    with pytest.raises(LayerError, match="takes 2 tops, got 1"):
        net_of('type: "Halves" top: "y"')


def test_reads_one_of_caffes_own_messages() -> None:
    register_layer("Sizes", param="convolution_param")(Sizes)
    net = net_of('type: "Sizes" top: "y" convolution_param { num_output: 4 kernel_size: 3 }')
    assert net.get_submodule("own").seen == (4, (3,), True)
    with pytest.raises(LayerError) as caught:
        net_of('type: "Sizes" top: "y" convolution_param { num_output: 4 dilation: 2 }')
    assert 'convolution_param has "dilation", which test_register.Sizes does not take' in str(
        caught.value
    )


WEIGHTED: dict[str, Any] = {
    "param": "weighted_param",
    "number": 904,
    "fields": {"size": uint32(1, default=2), "filler": message(2, "FillerParameter")},
}


def test_blobs_keep_the_constructors_values_or_take_the_fillers() -> None:
    register_layer(
        "Weighted", blobs={"second": "filler", "first": None, "count": None}, **WEIGHTED
    )(Weighted)
    net = net_of('type: "Weighted" top: "y"', seed=1701)
    assert [tuple(blob.shape) for blob in net.params["own"]] == [(2, 2), (2,), (1,)]
    assert [blob.flatten()[0].item() for blob in net.params["own"]] == [8, 7, 0]
    assert net(torch.zeros(2, 3))["y"][0, 0] == 3
    body = 'weighted_param { filler { type: "uniform" } }'
    filled = net_of(f'type: "Weighted" top: "y" {body}', seed=1701).params["own"]
    product = net_of(
        'type: "InnerProduct" top: "y" inner_product_param { num_output: 1 axis: 0 '
        'weight_filler { type: "uniform" } }',
        "dim: 4",
        seed=1701,
    ).params["own"]
    assert torch.equal(filled[0].flatten(), product[0].flatten())
    assert filled[1].tolist() == [7, 7]


def test_without_blobs_all_parameters_are_blobs() -> None:
    options = {**WEIGHTED, "fields": {"size": uint32(1, default=2)}}
    register_layer("Weighted", **options)(Weighted)
    net = net_of('type: "Weighted" top: "y"')
    assert [tuple(blob.shape) for blob in net.params["own"]] == [(2,), (2, 2)]


@pytest.mark.parametrize(
    ("blobs", "words"),
    [
        (
            {"first": "filler", "third": None},
            'test_register.Weighted has no parameter or buffer "third", which its registration '
            "lists among the blobs; it has count, first, second, table",
        ),
        (
            {"first": "filler"},
            'has a parameter "second" that its registration does not list among the blobs',
        ),
    ],
)
def test_blobs_must_be_the_modules(blobs: dict[str, str | None], words: str) -> None:
    register_layer("Weighted", blobs=blobs, **WEIGHTED)(Weighted)
    with pytest.raises(LayerError) as caught:
        net_of('type: "Weighted" top: "y"')
    assert words in str(caught.value)


def test_errors_of_the_forward_pass_name_the_layer() -> None:
    register_layer("Fails")(Fails)
    with pytest.raises(LayerError) as caught:
        net_of('type: "Fails" top: "y"', "dim: 3")
    assert 'layer "own" (Fails): cannot be computed for bottoms of 3: two rows are needed' in str(
        caught.value
    )
    with pytest.raises(
        LayerError, match="was built for bottoms of 2, and cannot be computed for 3"
    ):
        net_of('type: "Fails" top: "y"', "dim: 2")(torch.zeros(3))


def test_a_plan_function() -> None:
    @register_layer("Root", param="root_param", number=905, fields={"degree": uint32(1, default=2)})
    def root(layer: Setup) -> Plan:
        """y = x ** (1 / degree)."""
        return Plan(Call("torch.pow", Bottom(0), 1 / layer.param.root_param.degree))

    assert net_of('type: "Root" top: "y"')(torch.full((2, 3), 9.0))["y"][0, 0] == 3
    assert layer_types()["Root"].doc == "y = x ** (1 / degree)."


# What is refused


def refused(words: str, definition: Any = Undocumented, **options: Any) -> None:
    name = options.pop("name", "Fresh")
    fields, messages = dict(LayerParameter.fields), dict(MESSAGES)
    with pytest.raises(InputError) as caught:
        register_layer(name, **options)(definition)
    assert words in str(caught.value)
    assert f'register_layer("{name}")' in str(caught.value)
    assert name == "Power6" or (LayerParameter.fields == fields and messages == MESSAGES)


def test_names_that_are_taken() -> None:
    refused("torchcaffe itself has a layer type of this name; choose another", name="ReLU")
    register_power()
    refused("test_register.Power6 has a layer type of this name", name="Power6")
    one = {"size": uint32(1)}
    refused(
        'LayerParameter has a field "power6_param" already',
        Weighted, param="power6_param", number=999, fields=one,
    )  # fmt: skip
    refused(
        'number 901 is "power6_param" in LayerParameter; 902 is free, and more',
        Weighted, param="weighted_param", number=901, fields=one,
    )  # fmt: skip
    refused(
        'its message would be called "NetParameter", which is taken or no name at all',
        Weighted, name="Net", param="weighted_param", number=999, fields=one,
    )  # fmt: skip


FIELDS: dict[str, Any] = {"param": "fresh_param", "number": 999}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fields": {"a": uint32(1)}}, "fields need the message's name in a layer and its number"),
        ({"number": 999}, "a number needs the fields of the message it is for"),
        ({"param": "fresh_param"}, 'LayerParameter has no field "fresh_param"; give the fields'),
        (
            {**FIELDS, "param": "fresh", "fields": {"a": uint32(1)}},
            'param takes a name that ends in "_param", got "fresh"',
        ),
        ({**FIELDS, "number": 19001, "fields": {"a": uint32(1)}}, "number takes 1 to 536870911"),
        ({**FIELDS, "fields": {"a": 3}}, 'field "a" takes what uint32(1), float32(2, default=1.0)'),
        (
            {**FIELDS, "fields": {"a": uint32(1), "b": string(1)}},
            "two fields have one number: [1, 1]",
        ),
        (
            {**FIELDS, "fields": {"a": uint32(1), "b": string(2)}},
            "nothing reads the fields a, b: Undocumented.__init__ does not take them, and no blob",
        ),
        ({**FIELDS, "fields": {"a": uint32(1)}}, "nothing reads the field a: "),
        ({"blobs": {"w": "filler"}}, 'blob "w" names the filler "filler", which is no field'),
    ],
)
def test_a_message_must_be_whole(options: dict[str, Any], words: str) -> None:
    refused(words, **options)


@pytest.mark.parametrize(
    ("definition", "fields", "words"),
    [
        (
            Needs,
            {},
            'Needs.__init__ takes "unknown", which is no field that holds numbers or text, nor one '
            "of bottom_shapes, tops, phase",
        ),
        (Needs, {"unknown": message(1, "FillerParameter")}, 'Needs.__init__ takes "unknown"'),
        (
            Defaults,
            {"slope": float32(1)},
            '"slope" is 0.5 by default in __init__ and 0.0 in the table; the table counts',
        ),
        (NotAModule, {}, "test_register.NotAModule must be a torch.nn.Module or a plan function"),
    ],
)
def test_a_class_must_fit(definition: Any, fields: dict[str, Any], words: str) -> None:
    refused(words, definition, fields=fields, **(FIELDS if fields else {}))


def test_defaults_that_agree() -> None:
    fields = {"slope": float32(1, default=0.5), "sizes": repeated(2, "uint32")}
    register_layer("Defaults", fields=fields, **FIELDS)(Defaults)
    assert dict(net_of('type: "Defaults" top: "y"').steps[-1].plan.call.kwargs) == {
        "slope": 0.5,
        "sizes": (),
    }


def test_a_class_must_stand_at_the_top_of_a_module() -> None:
    class Inner(nn.Module):
        pass

    refused("<locals>.Inner stands inside a function; move it to the top of a module", Inner)


def test_a_plan_function_lists_its_own_blobs() -> None:
    refused("a plan function lists its blobs in its Plan", lambda layer: None, blobs={"w": None})


# Again, and back


def test_registering_the_same_class_again_replaces_it() -> None:
    register_power()
    fields = {"power": uint32(1, default=4), "scale": float32(2, default=1.0)}
    again: Callable[[Any], Any] = register_layer(
        "Power6", param="power_of_six_param", number=906, fields=fields, exactness=bitwise()
    )
    assert again(Power6) is Power6
    assert "power6_param" not in LayerParameter.fields
    net = net_of('type: "Power6" top: "y"')
    assert net.get_submodule("own").power == 4 and net.steps[-1].exactness == bitwise()


def test_forget_layer() -> None:
    register_power()
    forget_layer("Power6")
    assert "Power6Parameter" not in MESSAGES and 901 not in LayerParameter.numbers
    assert not hasattr(LayerParameter, "power6_param")
    with pytest.raises(ParseError, match='unknown field "power6_param" in LayerParameter'):
        net_of('type: "Power6" top: "y" power6_param { }')
    with pytest.raises(UnknownLayerError, match=r"torchcaffe.register_layer adds one"):
        net_of('type: "Power6" top: "y"')
    with pytest.raises(InputError, match=r'forget_layer\("Power6"\): no such layer was registered'):
        forget_layer("Power6")


def test_weights_come_back_from_a_caffemodel(tmp_path: Path, example: CaffeNet) -> None:
    torchcaffe.save_weights(example, tmp_path / "head.caffemodel")
    again = torchcaffe.load(EXAMPLE / "head.prototxt", tmp_path / "head.caffemodel")
    for layer, blobs in example.params.items():
        for mine, theirs in zip(blobs, again.params[layer], strict=True):
            assert torch.equal(mine, theirs)

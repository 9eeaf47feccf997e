import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from layers.recurrent import build, passes, shared_cases, shared_refusals
from torchcaffe.convert import convert
from torchcaffe.layers.lstm import LSTM
from torchcaffe.net import CaffeNet
from torchcaffe.parity.lanes import Question, walk
from torchcaffe.proto.schema import LayerParameter


def sigmoid(x: float) -> float:
    return 1 / (1 + np.exp(-x))


def lstm(
    x: np.ndarray,
    cont: np.ndarray,
    static: np.ndarray | None,
    h: np.ndarray,
    c: np.ndarray,
    blobs: list[np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Output, last h and last c, one number after the other."""
    w_xc, b_c, w_static, w_hc = blobs if static is not None else (*blobs[:2], None, blobs[2])
    size = w_hc.shape[1]
    h, c, y = h.copy(), c.copy(), np.empty((*x.shape[:2], size))
    for t in range(x.shape[0]):
        for n in range(x.shape[1]):
            gates = []
            for row in range(4 * size):
                total = 0.0
                for d in range(size):
                    total += w_hc[row, d] * (cont[t, n] * h[n, d])
                for d, value in enumerate(x[t, n].ravel()):
                    total += w_xc[row, d] * value
                total += b_c[row]
                if static is not None:
                    for d, value in enumerate(static[n].ravel()):
                        total += w_static[row, d] * value
                gates.append(total)
            for d in range(size):
                i, f, o = (sigmoid(gates[gate * size + d]) for gate in range(3))
                f = 0 if cont[t, n] == 0 else cont[t, n] * f
                c[n, d] = f * c[n, d] + i * np.tanh(gates[3 * size + d])
                h[n, d] = o * np.tanh(c[n, d])
            y[t, n] = h[n]
    return y, h, c


class TestLSTM(LayerContract):
    caffe_type = "LSTM"
    cases = shared_cases(2)
    refusals = shared_refusals("hc")

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        exposed = param.recurrent_param.expose_hidden
        x, cont, *more = bottoms
        states = [more.pop()[0], more.pop()[0]] if exposed else [np.zeros((x.shape[1], 2))] * 2
        if not exposed:
            states = [np.zeros((x.shape[1], param.recurrent_param.num_output))] * 2
        c, h = states
        y, h, c = lstm(x, cont, more[0] if more else None, h, c, blobs)
        return [y, h[None], c[None]] if exposed else [y]


def test_example_carries_the_state_until_cont_is_zero() -> None:
    net = CaffeNet(
        Case("recurrent_param { num_output: 1 }", [(1, 1, 1), (1, 1)]).net("LSTM"), "TEST"
    )
    for value, blob in zip((1, 0, 1), net.params["layer"], strict=True):
        torch.nn.init.constant_(blob, value)
    got = [
        net(b0=torch.ones(1, 1, 1), b1=torch.full((1, 1), cont))["t0"].item()
        for cont in (1.0, 1.0, 0.0, 1.0)
    ]
    assert np.round(got, 6).tolist() == [0.369606, 0.650535, 0.369606, 0.650535]


def test_state_of_a_stream_stays_while_fewer_streams_run() -> None:
    """Caffe keeps the state in memory that grows with the streams and never shrinks."""
    net = build("LSTM")
    blobs = [blob.detach().numpy().astype(np.float64) for blob in net.params["layer"]]
    generator = np.random.default_rng(5)
    memory: list[np.ndarray] = [np.zeros((0, 2)), np.zeros((0, 2))]
    counts = [3, 2, 3, 1, 4, 2, 4]
    for top, count in zip(passes(net, counts), counts, strict=True):
        x = generator.standard_normal((4, count, 2)).astype(np.float32)
        if count > len(memory[0]):
            memory = [np.zeros((count, 2)), np.zeros((count, 2))]
        h, c = (state[:count] for state in memory)
        y, h, c = lstm(x.astype(np.float64), np.ones((4, count)), None, h, c, blobs)
        memory[0][:count], memory[1][:count] = h, c
        np.testing.assert_allclose(top, y, rtol=1e-5)


def test_reset_state_begins_anew() -> None:
    net = build("LSTM")
    first = passes(net, [3])[0]
    assert not np.array_equal(passes(net, [3])[0], first)
    net.reset_state()
    assert np.array_equal(passes(net, [3])[0], first)


def test_state_is_copied_moved_and_never_stored() -> None:
    net = build("LSTM")
    passes(net, [3])
    assert not any("state" in name for name in net.state_dict())
    twin = copy.deepcopy(net)
    assert np.array_equal(passes(twin, [3])[0], passes(net, [3])[0])
    assert twin.double().get_submodule("layer").state.dtype == torch.float64
    x, cont = torch.ones(4, 3, 2), torch.ones(4, 3)
    carried = net(b0=x, b1=cont)["t0"]
    torch.testing.assert_close(twin(b0=x.double(), b1=cont.double())["t0"].float(), carried)


def test_no_gradient_crosses_passes() -> None:
    net = build("LSTM")
    x = torch.ones(4, 3, 2, requires_grad=True)
    net(b0=x, b1=torch.ones(4, 3))
    second = net(b0=torch.ones(4, 3, 2), b1=torch.ones(4, 3))["t0"]
    assert torch.autograd.grad(second.sum(), [x], allow_unused=True) == (None,)


def test_trains_after_a_pass_in_inference_mode() -> None:
    net = build("LSTM")
    with torch.inference_mode():
        net(b0=torch.ones(4, 3, 2), b1=torch.ones(4, 3))
    net(b0=torch.ones(4, 2, 2), b1=torch.ones(4, 2))["t0"].sum().backward()
    assert net.params["layer"][0].grad is not None


def test_exposed_states_neither_take_nor_give_gradients() -> None:
    case = TestLSTM.cases["exposed"]
    net = TestLSTM().build(case)
    given = {name: value.requires_grad_() for name, value in TestLSTM().inputs(case).items()}
    run = net.run(given)
    tops = [run.blobs[name] for name in ("t0", "t1", "t2")]
    wanted = [given["b0"], given["b2"], given["b3"], *net.params["layer"]]
    all_of_them = torch.autograd.grad(
        sum(top.sum() for top in tops), wanted, retain_graph=True, allow_unused=True
    )
    assert all_of_them[1] is None and all_of_them[2] is None
    output_only = torch.autograd.grad(tops[0].sum(), wanted, allow_unused=True)
    for mine, other in zip(all_of_them, output_only, strict=True):
        assert mine is other is None or torch.equal(mine, other)


@pytest.mark.parametrize("name", ["exposed", "exposed-static"])
def test_gradients_with_exposed_states(name: str) -> None:
    """The finite differences of the output alone, the states fixed."""
    case = TestLSTM.cases[name]
    net = TestLSTM().build(case).double()
    given = {key: value.double() for key, value in TestLSTM().inputs(case).items()}

    def output(x: torch.Tensor) -> torch.Tensor:
        return net.run({**given, "b0": x}).blobs["t0"]

    assert torch.autograd.gradcheck(output, [given["b0"].clone().requires_grad_()])


def test_fills_the_recurrent_weight_once_a_step_and_keeps_the_first() -> None:
    def blobs(steps: int) -> list[torch.Tensor]:
        case = Case(TestLSTM.cases["static"].body, [(steps, 3, 2), (steps, 3), (3, 5)])
        return CaffeNet(case.net("LSTM"), "TEST", seed=1701).params["layer"]

    one, four = blobs(1), blobs(4)
    assert all(torch.equal(a, b) for a, b in zip(one, four, strict=True))
    net = CaffeNet(
        Case(TestLSTM.cases["static"].body, [(4, 3, 2), (4, 3)]).net("LSTM"), "TEST", seed=1701
    )
    assert net.steps[-1].plan.fill_order == (0, 1, 2, 2, 2, 2)


def test_takes_another_number_of_steps_and_streams() -> None:
    net = build("LSTM")
    assert net(b0=torch.zeros(7, 5, 2), b1=torch.ones(7, 5))["t0"].shape == (7, 5, 2)


def test_agrees_with_torch_where_gates_and_biases_are_rearranged() -> None:
    ours, theirs = LSTM(3, 4), torch.nn.LSTM(3, 4)
    for blob in ours.parameters():
        torch.nn.init.uniform_(blob, -1, 1, torch.Generator().manual_seed(blob.numel()))

    def arranged(blob: torch.Tensor) -> torch.Tensor:
        i, f, o, g = blob.detach().chunk(4)
        return torch.cat((i, f, g, o))

    theirs.load_state_dict(
        {
            "weight_ih_l0": arranged(ours.W_xc),
            "weight_hh_l0": arranged(ours.W_hc),
            "bias_ih_l0": arranged(ours.b_c),
            "bias_hh_l0": torch.zeros(16),
        }
    )
    x = torch.randn(20, 2, 3, generator=torch.Generator().manual_seed(0))
    (y,) = ours(x, torch.ones(20, 2))
    torch.testing.assert_close(y, theirs(x)[0])


def test_counts_multiply_adds() -> None:
    plan = TestLSTM().build(TestLSTM.cases["static"]).steps[-1].plan
    assert plan.multiply_adds == 4 * 3 * 8 * (2 + 2) + 3 * 8 * 5


def test_conversion_neither_sees_nor_changes_the_state(tmp_path: Path) -> None:
    net = build("LSTM")
    passes(net, [3])
    twin = copy.deepcopy(net)
    convert(net, tmp_path / "lstm")
    assert np.array_equal(passes(twin, [3])[0], passes(net, [3])[0])


def test_verification_neither_sees_nor_changes_the_state() -> None:
    net = build("LSTM")
    passes(net, [3])
    twin = copy.deepcopy(net)
    inputs = {"b0": np.ones((4, 3, 2), np.float32), "b1": np.ones((4, 3), np.float32)}
    bottoms = [torch.from_numpy(value) for value in inputs.values()]
    (visit,) = walk(net, inputs, 1701, lambda place, step: Question(bottoms, None, probe=True))
    assert torch.equal(visit.chained.own["top/0"], visit.local.own["top/0"])
    fresh = build("LSTM")
    assert torch.equal(visit.local.own["top/0"], fresh(**inputs)["t0"])
    assert np.array_equal(passes(net, [3])[0], passes(twin, [3])[0])

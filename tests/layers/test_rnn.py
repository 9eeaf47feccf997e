import copy

import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from layers.recurrent import build, passes, shared_cases, shared_refusals
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter


def rnn(
    x: np.ndarray,
    cont: np.ndarray,
    static: np.ndarray | None,
    h: np.ndarray,
    blobs: list[np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Output and last state, one number after the other."""
    w_xh, b_h, *middle, w_hh, w_ho, b_o = blobs
    size = w_hh.shape[0]
    h, y = h.copy(), np.empty((*x.shape[:2], size))
    for t in range(x.shape[0]):
        for n in range(x.shape[1]):
            before = [cont[t, n] * value for value in h[n]]
            for row in range(size):
                total = b_h[row]
                for d in range(size):
                    total += w_hh[row, d] * before[d]
                for d, value in enumerate(x[t, n].ravel()):
                    total += w_xh[row, d] * value
                if static is not None:
                    for d, value in enumerate(static[n].ravel()):
                        total += middle[0][row, d] * value
                h[n, row] = np.tanh(total)
            for row in range(size):
                total = b_o[row]
                for d in range(size):
                    total += w_ho[row, d] * h[n, d]
                y[t, n, row] = np.tanh(total)
    return y, h


class TestRNN(LayerContract):
    caffe_type = "RNN"
    cases = shared_cases(1)
    refusals = shared_refusals("h")

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        p = param.recurrent_param
        x, cont, *more = bottoms
        h = more.pop()[0] if p.expose_hidden else np.zeros((x.shape[1], p.num_output))
        y, h = rnn(x, cont, more[0] if more else None, h, blobs)
        return [y, h[None]] if p.expose_hidden else [y]


def test_state_of_a_stream_stays_while_fewer_streams_run() -> None:
    """Caffe keeps the state in memory that grows with the streams and never shrinks."""
    net = build("RNN")
    blobs = [blob.detach().numpy().astype(np.float64) for blob in net.params["layer"]]
    generator = np.random.default_rng(5)
    memory = np.zeros((0, 2))
    counts = [3, 2, 3, 1, 4, 2, 4]
    for top, count in zip(passes(net, counts), counts, strict=True):
        x = generator.standard_normal((4, count, 2)).astype(np.float32)
        if count > len(memory):
            memory = np.zeros((count, 2))
        y, memory[:count] = rnn(
            x.astype(np.float64), np.ones((4, count)), None, memory[:count], blobs
        )
        np.testing.assert_allclose(top, y, rtol=1e-5)


def test_reset_state_begins_anew() -> None:
    net = build("RNN")
    first = passes(net, [3])[0]
    assert not np.array_equal(passes(net, [3])[0], first)
    net.reset_state()
    assert np.array_equal(passes(net, [3])[0], first)


def test_state_is_copied_moved_and_never_stored() -> None:
    net = build("RNN")
    passes(net, [3])
    assert not any("state" in name for name in net.state_dict())
    twin = copy.deepcopy(net)
    assert np.array_equal(passes(twin, [3])[0], passes(net, [3])[0])
    assert twin.double().get_submodule("layer").state.dtype == torch.float64


def test_no_gradient_crosses_passes() -> None:
    net = build("RNN")
    x = torch.ones(4, 3, 2, requires_grad=True)
    net(b0=x, b1=torch.ones(4, 3))
    second = net(b0=torch.ones(4, 3, 2), b1=torch.ones(4, 3))["t0"]
    assert torch.autograd.grad(second.sum(), [x], allow_unused=True) == (None,)


@pytest.mark.parametrize("name", ["exposed", "exposed-static"])
def test_exposed_states_neither_take_nor_give_gradients(name: str) -> None:
    case = TestRNN.cases[name]
    net = TestRNN().build(case).double()
    given = {key: value.double() for key, value in TestRNN().inputs(case).items()}
    state = given[f"b{len(given) - 1}"].requires_grad_()

    def output(x: torch.Tensor) -> torch.Tensor:
        return net.run({**given, "b0": x}).blobs["t0"]

    x = given["b0"].clone().requires_grad_()
    assert torch.autograd.gradcheck(output, [x])
    run = net.run({**given, "b0": x})
    (last,) = torch.autograd.grad(run.blobs["t1"].sum(), [x], retain_graph=True, allow_unused=True)
    assert last is None
    total = run.blobs["t0"].sum() + run.blobs["t1"].sum()
    assert torch.autograd.grad(total, [state], allow_unused=True) == (None,)


def test_fill_order_repeats_what_each_step_has() -> None:
    body = TestRNN.cases["static"].body
    net = CaffeNet(Case(body, [(2, 3, 2), (2, 3), (3, 5)]).net("RNN"), "TEST", seed=1701)
    assert net.steps[-1].plan.fill_order == (0, 1, 2, 3, 4, 5, 3, 4, 5)


def test_takes_another_number_of_steps_and_streams() -> None:
    net = build("RNN")
    assert net(b0=torch.zeros(7, 5, 2), b1=torch.ones(7, 5))["t0"].shape == (7, 5, 2)


def test_counts_multiply_adds() -> None:
    plan = TestRNN().build(TestRNN.cases["static"]).steps[-1].plan
    assert plan.multiply_adds == 4 * 3 * 2 * (2 + 2 + 2) + 3 * 2 * 5

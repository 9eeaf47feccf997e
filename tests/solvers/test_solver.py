"""The training loop, piece by piece."""

import copy
import math
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import NET, batch, make, same, solver_param, weights

from assertions import assert_parity
from torchcaffe.errors import InputError, SolverError
from torchcaffe.fillers import fill
from torchcaffe.layers._exactness import ulp
from torchcaffe.proto import format_text, parse_text
from torchcaffe.proto.schema import FillerParameter, NetParameter, SolverParameter
from torchcaffe.random import Mersenne
from torchcaffe.solvers import events
from torchcaffe.solvers.batches import Numbered
from torchcaffe.solvers.distributed import Ranks
from torchcaffe.solvers.losses import SmoothedLoss
from torchcaffe.solvers.solver import Solver
from torchcaffe.weights import save_weights

TESTING = "test_iter: 3 test_interval: 2 "


class Told(list[events.Event]):
    """A listener that remembers."""

    def __call__(self, event: events.Event) -> None:
        self.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self if isinstance(event, kind)]


class TestFeeding:
    def test_every_pass_takes_a_batch(self) -> None:
        taken: list[int] = []

        def counted(number: int) -> Any:
            taken.append(number)
            return batch(number)

        make("iter_size: 2", batches=counted).step(3)
        assert taken == list(range(6))

    def test_iterators_do_too(self) -> None:
        first, second = make(), make(batches=(batch(number) for number in range(3)))
        first.step(3)
        second.step(3)
        assert same(weights(first), weights(second))

    def test_their_end_is_said(self) -> None:
        solver = make(batches=[batch(0), batch(1)])
        words = r"the train net: its batches ended after 2\. .* itertools\.cycle does"
        with pytest.raises(InputError, match=words):
            solver.step(3)

    def test_none_at_all(self) -> None:
        with pytest.raises(
            InputError,
            match=r"the train net takes data \(4x3\), target \(4x2\); give the solver a source of "
            r"batches: Solver\(\.\.\., batches=\.\.\.\)",
        ):
            make(batches=None).step(1)
        with pytest.raises(InputError, match=r"test net 0 takes .*test_batches=\[\.\.\.\]"):
            make(TESTING).step(1)

    def test_one_source_a_test_net(self) -> None:
        words = "test_batches takes one source for each of the 1 test nets, got 2"
        with pytest.raises(InputError, match=words):
            make(TESTING, test_batches=[batch, batch])

    def test_arrays_of_any_kind(self) -> None:
        def whole(number: int) -> Any:
            values = {name: (10 * v).astype(np.int64) for name, v in batch(number).items()}
            values["data"].setflags(write=False)
            return {**values, "target": torch.from_numpy(values["target"])}

        solver = make(batches=whole)
        solver.step(1)
        assert math.isfinite(solver.loss)

    def test_shapes_of_the_caller(self) -> None:
        net = NET.replace("dim: 4 dim: 3", "dim: 9 dim: 3")
        solver = make(net=net, inputs={"data": (4, 3)})
        assert solver.net.inputs["data"] == (4, 3)
        solver.step(1)

    def test_a_numbered_source_goes_anywhere(self) -> None:
        source = Numbered(batch)
        next(source)
        state = source.state_dict()
        next(source)
        source.load_state_dict(state)
        assert same(dict(next(source)), dict(batch(1)))
        assert list(islice(source, 1))


class TestLoop:
    def test_steps_add_up(self) -> None:
        first, second = make(), make()
        first.step(4)
        for _ in range(4):
            second.step(1)
        assert same(weights(first), weights(second))
        assert first.iter == second.iter == 4

    def test_iter_size_is_a_larger_batch(self) -> None:
        # Without dropout, two halves of a batch give half the sum of the same gradients.
        net = NET.replace('layer { name: "drop" type: "Dropout" bottom: "a" top: "a" }', "")

        def halves(number: int) -> Any:
            return {n: v[2 * (number % 2) :][:2] for n, v in batch(number // 2).items()}

        # In float64, so that rounding to float32 hides the two orders of summation.
        whole = make(net=net, dtype=torch.float64)
        parts = make("iter_size: 2", net=net, batches=halves, dtype=torch.float64)
        whole.step(3)
        parts.step(3)
        # EuclideanLoss divides by the batch's size, so halves count as much as the whole.
        ours, theirs = rounded(weights(parts)), rounded(weights(whole))
        assert_parity(ours, theirs, dict.fromkeys(theirs, ulp(1)))
        assert abs(parts.loss - whole.loss) <= 2 * np.spacing(np.float32(whole.loss))

    def test_the_loss_is_the_mean(self) -> None:
        told = Told()
        solver = make("iter_size: 2 display: 1", listener=told)
        solver.step(1)
        assert told.of(events.Displayed)[0].loss == solver.loss
        assert told.of(events.Displayed)[0].outputs[0].value == solver.outputs["loss"].item()
        assert solver.outputs["loss"].item() != solver.loss

    def test_callbacks_come_between(self) -> None:
        order: list[str] = []
        solver = make(
            "display: 1 " + TESTING,
            test_batches=[batch],
            listener=lambda event: order.append(type(event).__name__),
        )
        del order[:]

        def ready() -> None:
            order.append("ready")
            assert all(entry.value.grad is not None for entry in solver.learnable)

        solver.add_callback(on_gradients_ready=ready)
        solver.add_callback(on_start=lambda: order.append("start"))
        solver.step(1)
        assert order == ["Testing", "Tested", "start", "Displayed", "ready", "Rated", "Updated"]

    def test_gradients_can_be_changed_before_the_update(self) -> None:
        solver = make()

        def silence() -> None:
            for entry in solver.learnable:
                assert entry.value.grad is not None
                entry.value.grad.zero_()

        solver.add_callback(on_gradients_ready=silence)
        before = weights(solver)
        solver.step(2)
        assert same(before, weights(solver))

    def test_the_rate_is_there_before_the_step(self) -> None:
        solver = make()
        assert solver.lr == np.float32(0.1)
        stepped = make().param.copy()
        stepped.lr_policy, stepped.gamma, stepped.stepvalue = "multistep", 0.5, [0]
        solver = Solver(stepped, batches=batch)
        # Asking does not advance the policy, as it does in pycaffe.
        assert solver.lr == solver.lr == np.float32(0.05)
        solver.step(1)
        assert solver.current_step == 1

    def test_nothing_learnt_is_no_error(self) -> None:
        frozen = 'type: "InnerProduct" param { lr_mult: 0 } param { lr_mult: 0 }'
        net = NET.replace("param { lr_mult: 1 }", "").replace(
            "param { lr_mult: 2 decay_mult: 0 }", ""
        )
        solver = make("weight_decay: 0.1", net=net.replace('type: "InnerProduct"', frozen))
        before = weights(solver)
        solver.step(2)
        assert same(before, weights(solver))
        assert math.isfinite(solver.loss)

    def test_in_double(self) -> None:
        single, double = make(), make(dtype=torch.float64)
        first = weights(single)
        assert same(first, rounded(weights(double)))
        double.step(1)
        assert {value.dtype for value in weights(double).values()} == {np.dtype(np.float64)}
        assert {value.dtype for value in double.history} == {torch.float64}


def rounded(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value.astype(np.float32) for name, value in values.items()}


class TestSmoothing:
    def test_real_caffe_s_rule(self) -> None:
        smoothed = SmoothedLoss(3, start=5)
        shown = []
        for iteration, loss in enumerate([4.0, 2.0, 3.0, 7.0, 8.0], start=5):
            smoothed.add(loss, iteration)
            shown.append(smoothed.value)
        assert shown == [4, 3, 3, 4, 6]

    def test_a_step_begins_anew(self) -> None:
        told = Told()
        solver = make("display: 1 average_loss: 10 ", listener=told)
        solver.step(2)
        solver.step(1)
        assert told.of(events.Displayed)[-1].loss == solver.loss


class Unconnected(Ranks):
    """One of several ranks that keeps to itself."""

    def same(self, what: str, value: object) -> None:
        """Whatever it is."""

    def broadcast(self, tensors: Sequence[torch.Tensor]) -> None:
        """Keep them."""


class TestSeeds:
    @pytest.mark.parametrize(
        ("seed", "rank", "wanted"), [(7, 0, 7), (2**32 + 7, 0, 7), (5, 2, 7), (2**32 - 1, 3, 2)]
    )
    def test_they_are_taken_modulo_2_to_the_32(self, seed: int, rank: int, wanted: int) -> None:
        param = solver_param()
        param.random_seed = seed
        solver = Solver(param, batches=batch, ranks=Unconnected(rank, 4))
        param.random_seed = wanted
        assert same(weights(solver), weights(Solver(param, batches=batch)))

    def test_a_negative_one_is_none(self) -> None:
        param = solver_param()
        param.random_seed = -1
        assert not same(weights(Solver(param)), weights(Solver(param)))

    def test_test_nets_draw_from_the_train_net_s_stream(self) -> None:
        plain, tested = make(), make(TESTING, test_batches=[batch])
        assert tested.test_nets[0].stream is tested.stream is tested.net.stream
        stream = Mersenne(0)
        stream.state = plain.stream.state
        for name, blobs in tested.test_nets[0].params.items():
            spec = {"a": FillerParameter(type="xavier"), "b": FillerParameter(type="gaussian")}
            spec["b"].std = 0.5
            wanted = fill(spec[name], tuple(blobs[0].shape), stream)
            assert np.array_equal(blobs[0].detach().numpy(), wanted)
        assert (stream.state == tested.stream.state).all()


class TestTesting:
    def test_outputs_are_averaged_with_the_train_net_s_weights(self) -> None:
        told = Told()
        solver = make(TESTING + "test_compute_loss: true ", test_batches=[batch], listener=told)
        solver.step(2)
        net = copy.deepcopy(solver.test_nets[0])
        with torch.no_grad():
            losses = [net(**batch(number))["loss"].item() for number in (3, 4, 5)]
        solver.step(1)
        first, second = told.of(events.Tested)
        assert [(event.iteration, event.test) for event in (first, second)] == [(0, 0), (2, 0)]
        assert [output.blob for output in first.outputs] == ["loss"]
        mean = np.float32(0)
        for loss in losses:
            mean += np.float32(loss)
        assert second.outputs[0].value == mean / np.float32(3) == second.loss
        assert second.outputs[0].weight == 1

    def test_every_number_is_an_output(self) -> None:
        told = Told()
        net = NET + 'layer { name: "p" type: "Power" bottom: "b" top: "A" include { phase: TEST } }'
        solver = make(TESTING, net=net, test_batches=[batch], listener=told)
        solver.test_all()
        outputs = told.of(events.Tested)[0].outputs
        assert [output.blob for output in outputs] == ["A"] * 8 + ["loss"]
        assert [output.weight for output in outputs] == [0] * 8 + [1]

    def test_no_test_at_the_start(self) -> None:
        told = Told()
        solver = make(TESTING + "test_initialization: false ", test_batches=[batch], listener=told)
        solver.step(3)
        assert [event.iteration for event in told.of(events.Tested)] == [2]

    def test_weights_are_the_same_tensors_afterwards(self) -> None:
        solver = make(TESTING, test_batches=[batch])
        own = solver.test_nets[0].params["a"][0]
        assert own is not solver.net.params["a"][0]
        solver.test_all()
        assert solver.test_nets[0].params["a"][0] is solver.net.params["a"][0]

    def test_another_shape_is_refused(self) -> None:
        text = format_text(parse_text(NET.replace("num_output: 5", "num_output: 6"), NetParameter))
        param = solver_param(f"test_iter: 1 test_interval: 1 test_net_param {{ {text} }} ")
        solver = Solver(param, batches=batch, test_batches=[batch])
        words = 'layer "a" of the test net has the blobs 6x3, 6, that of the train net 5x3, 5; '
        with pytest.raises(SolverError, match=words):
            solver.step(1)

    def test_shared_parameters_of_another_shape(self) -> None:
        # b reads a's weights as 6x2 where a has them as 4x3.
        net = """
        layer { name: "data" type: "Input" top: "data" top: "target"
                input_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 6 } } }
        layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" }
                inner_product_param { num_output: 2 bias_term: false
                                      weight_filler { type: "xavier" } } }
        layer { name: "b" type: "InnerProduct" bottom: "a" top: "b"
                param { name: "w" share_mode: PERMISSIVE }
                inner_product_param { num_output: 3 bias_term: false } }
        layer { name: "loss" type: "EuclideanLoss" bottom: "b" bottom: "data" top: "loss" }
        layer { name: "s" type: "Silence" bottom: "target" }
        """

        def fed(number: int) -> Any:
            return {"data": batch(number)["data"], "target": np.zeros((4, 6), np.float32)}

        solver = make(TESTING, net=net, batches=fed, test_batches=[fed])
        solver.step(5)
        with torch.no_grad():
            ours = solver.test_nets[0](**fed(0))["loss"]
            theirs = solver.net(**fed(0))["loss"]
        assert torch.equal(ours, theirs)


class TestRequests:
    @staticmethod
    def poll(*wanted: events.Request) -> Any:
        left = list(wanted)
        return lambda: left.pop(0) if left else events.Request.NONE

    def test_a_stop_comes_after_the_update(self, tmp_path: Path) -> None:
        none, stop = events.Request.NONE, events.Request.STOP
        told = Told()
        solver = make(
            f'max_iter: 9 snapshot_prefix: "{tmp_path}/s" ',
            poll=self.poll(none, stop),
            listener=told,
        )
        assert solver.solve() is events.Stop.REQUESTED
        assert solver.iter == 2
        assert (tmp_path / "s_iter_2.solverstate").exists()
        assert told[-1] == events.Stopped(events.Stop.REQUESTED)
        assert events.Stop.REQUESTED.value == "Optimization stopped early."
        assert solver.solve() is events.Stop.FINISHED
        assert solver.iter == 9

    def test_a_snapshot_on_request(self, tmp_path: Path) -> None:
        none, snapshot = events.Request.NONE, events.Request.SNAPSHOT
        solver = make(f'snapshot_prefix: "{tmp_path}/s" ', poll=self.poll(none, snapshot))
        solver.step(4)
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {"s_iter_2.caffemodel", "s_iter_2.solverstate"}

    def test_a_stop_during_a_test(self, tmp_path: Path) -> None:
        none, snapshot, stop = events.Request
        told = Told()
        solver = make(
            TESTING + f'snapshot_prefix: "{tmp_path}/s" ',
            test_batches=[batch],
            poll=self.poll(none, snapshot, none, stop),
            listener=told,
        )
        solver.step(4)
        assert solver.iter == 0
        assert [type(event).__name__ for event in told[-4:]] == [
            "Testing",
            "Snapshotting",
            "Snapshotting",
            "TestInterrupted",
        ]

    def test_stop_itself(self) -> None:
        solver = make()
        solver.add_callback(on_gradients_ready=solver.stop)
        solver.step(3)
        assert solver.iter == 1


class TestSolve:
    def test_it_shows_the_end(self) -> None:
        told = Told()
        solver = make(
            "max_iter: 4 display: 2 snapshot_after_train: false " + TESTING,
            test_batches=[batch],
            listener=told,
        )
        assert solver.solve() is events.Stop.FINISHED
        kinds = [type(event).__name__ for event in told if event not in told.of(events.Clipped)]
        assert kinds[-4:] == ["FinalLoss", "Testing", "Tested", "Stopped"]
        assert told.of(events.FinalLoss)[0].iteration == 4

    def test_a_snapshot_at_the_end_unless_there_is_one(self, tmp_path: Path) -> None:
        prefix = f'snapshot_prefix: "{tmp_path}/s" '
        make("max_iter: 3 " + prefix).solve()
        assert (tmp_path / "s_iter_3.solverstate").exists()
        told = Told()
        make("max_iter: 4 snapshot: 2 " + prefix, listener=told).solve()
        states = [event.path.name for event in told.of(events.Snapshotting)][1::2]
        assert states == ["s_iter_2.solverstate", "s_iter_4.solverstate"]

    def test_where_to_is_asked_before_the_training(self) -> None:
        solver = make("max_iter: 3 ")
        with pytest.raises(SolverError, match="but snapshot_prefix does not say where to"):
            solver.solve()
        assert solver.iter == 0


class TestNonFinite:
    def test_the_first_blob_is_named(self) -> None:
        def broken(number: int) -> Any:
            values = dict(batch(number))
            if number == 2:
                values["target"][0, 0] = np.nan
            return values

        solver = make(batches=broken)
        solver.step(2)
        before = weights(solver)
        words = (
            r'iteration 2: the loss is nan\. s:\d+: layer "data" \(Input\): its top "target" is '
            r"the first that is not finite; 1 of its 8 numbers are NaN or infinite\. The weights "
            r"and snapshots were left as they are; keep_going \(--keep-going\) trains on"
        )
        with pytest.raises(SolverError, match=words):
            solver.step(2)
        assert same(before, weights(solver))

    def test_a_parameter_may_be_the_first(self) -> None:
        solver = make()
        with torch.no_grad():
            solver.net.params["b"][1][0] = torch.inf
        words = r'layer "b" \(InnerProduct\): its parameter blob 1 is the first .* 1 of its 2 .*inf'
        with pytest.raises(SolverError, match=words):
            solver.step(1)

    def test_the_sum_may_be_it(self) -> None:
        net = NET.replace('top: "loss" }', 'top: "loss" loss_weight: 3e38 }')
        with pytest.raises(SolverError, match="all blobs and parameters are finite, only their"):
            make(net=net, batches=lambda n: {k: 9 * v for k, v in batch(n).items()}).step(1)

    def test_keep_going(self) -> None:
        solver = make(keep_going=True)
        with torch.no_grad():
            solver.net.params["b"][1][0] = torch.nan
        solver.step(2)
        assert math.isnan(solver.loss)
        assert solver.iter == 2


class TestNets:
    @pytest.fixture
    def files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "net.prototxt").write_text(NET)
        other = NET.replace('"small"', '"other"')
        (tmp_path / "other.prototxt").write_text(other)
        return tmp_path

    @staticmethod
    def made(text: str) -> tuple[Solver, list[events.CreatingNet]]:
        told = Told()
        settings = 'base_lr: 0.1 lr_policy: "fixed" random_seed: 7 '
        param = parse_text(settings + text, SolverParameter, "s")
        return Solver(param, listener=told), told.of(events.CreatingNet)

    def test_of_files(self, files: Path) -> None:
        solver, told = self.made(
            'net: "net.prototxt" test_net: "other.prototxt" test_iter: 1 test_iter: 1 test_iter: 1 '
            "test_interval: 1"
        )
        assert [net.name for net in solver.test_nets] == ["other", "small", "small"]
        assert [(event.test, event.source, event.file) for event in told] == [
            (None, "net", "net.prototxt"),
            (0, "test_net", "other.prototxt"),
            (1, "net", "net.prototxt"),
            (2, "net", "net.prototxt"),
        ]
        assert {net.phase for net in solver.test_nets} == {"TEST"}

    def test_inline(self, files: Path) -> None:
        solver, told = self.made(
            f"train_net_param {{ {NET} }} test_net_param {{ {NET} }} test_iter: 1 test_interval: 1"
        )
        assert [(event.test, event.source) for event in told] == [
            (None, "train_net_param"),
            (0, "test_net_param"),
        ]
        assert solver.net.phase == "TRAIN"

    def test_train_net(self, files: Path) -> None:
        _, told = self.made(
            'train_net: "net.prototxt" test_net: "other.prototxt" test_iter: 1 test_interval: 1'
        )
        assert [event.source for event in told] == ["train_net", "test_net"]
        assert not self.made('train_net: "net.prototxt"')[0].test_nets

    def test_a_net_without_test_iter_is_not_tested(self, files: Path) -> None:
        assert not self.made('net: "net.prototxt"')[0].test_nets

    def test_states_are_merged(self, files: Path) -> None:
        marked = NET + (
            'state { stage: "own" level: 1 }'
            'layer { name: "t" type: "Silence" bottom: "loss" include { stage: "own" '
            'stage: "train" min_level: 2 phase: TRAIN } include { stage: "own" stage: "test" '
            "min_level: 1 max_level: 1 phase: TEST } }"
        )
        (files / "net.prototxt").write_text(marked)
        solver, _ = self.made(
            'net: "net.prototxt" train_state { stage: "train" level: 2 } test_iter: 1 test_iter: 1 '
            'test_interval: 1 test_state { stage: "test" } test_state { stage: "other" }'
        )
        nets = (solver.net, *solver.test_nets)
        assert ["t" in {step.name for step in net.steps} for net in nets] == [True, True, False]

    def test_weights_are_taken_in(self, files: Path) -> None:
        first, _ = self.made('net: "net.prototxt"')
        with torch.no_grad():
            first.net.params["a"][0].fill_(2)
        save_weights(first.net, files / "w.caffemodel")
        save_weights(first.net, files / "v.caffemodel")
        told = Told()
        param = solver_param('weights: "w.caffemodel, v.caffemodel" weights: "w.caffemodel" ')
        param.test_iter, param.test_interval = [1], 1
        solver = Solver(param, listener=told)
        assert [e.file for e in told.of(events.Finetuning)] == 2 * [
            "w.caffemodel",
            "v.caffemodel",
            "w.caffemodel",
        ]
        for net in (solver.net, solver.test_nets[0]):
            assert (net.params["a"][0] == 2).all()

    def test_a_file_s_old_solver_type(self, files: Path) -> None:
        (files / "s.prototxt").write_text(
            'net: "net.prototxt" base_lr: 1 lr_policy: "fixed" solver_type: ADAM momentum: 0.9'
        )
        solver = Solver("s.prototxt")
        assert solver.param.type == "Adam"
        assert type(solver.optimizer).__name__ == "Adam"
        assert solver.param.snapshot_prefix == "s"


SCALE = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: %d dim: 3 dim: 2 } } }
layer { name: "s" type: "Scale" bottom: "data" top: "s" scale_param { bias_term: true %s } }
layer { name: "r" type: "Reduction" bottom: "s" top: "loss" loss_weight: 1 }
"""


@pytest.mark.parametrize(
    ("images", "more", "scale", "bias"),
    [(1, "", 2, 6), (2, "", 12, 12), (2, "axis: 0", 6, 18), (1, "axis: 2", 9, 9)],
)
def test_scale_s_gradient_is_replaced(images: int, more: str, scale: float, bias: float) -> None:
    # Three batches of ones: real Caffe's Scale keeps only the last one's for a single image with
    # several factors, and where there is a factor for each element.
    solver = make(
        "iter_size: 3 ",
        net=SCALE % (images, more),
        batches=lambda _: {"data": np.ones((images, 3, 2), np.float32)},
    )
    found: list[float] = []
    solver.add_callback(
        on_gradients_ready=lambda: found.extend(
            blob.grad.flatten()[0].item() for blob in solver.net.params["s"]
        )
    )
    solver.step(1)
    assert found == [scale, bias]


def test_a_parameter_layer_keeps_the_last_gradient() -> None:
    net = """
    layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 } } }
    layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 2 } } }
    layer { name: "sum" type: "Eltwise" bottom: "data" bottom: "p" top: "sum"
            eltwise_param { operation: PROD } }
    layer { name: "r" type: "Reduction" bottom: "sum" top: "loss" loss_weight: 1 }
    """
    solver = make(
        "iter_size: 3 ", net=net, batches=lambda n: {"data": np.full(2, n + 1, np.float32)}
    )
    found: list[float] = []
    value = solver.net.params["p"][0]
    solver.add_callback(on_gradients_ready=lambda: found.extend(value.grad.tolist()))
    solver.step(1)
    assert found == [3, 3]


def test_layers_of_the_train_net_alone_are_not_shared() -> None:
    more = """
    layer { name: "aside" type: "InnerProduct" bottom: "data" top: "aside" include { phase: TRAIN }
            inner_product_param { num_output: 2 } }
    """
    solver = make(TESTING, net=NET + more, test_batches=[batch])
    solver.test_all()
    assert set(solver.test_nets[0].params) == {"a", "b"}
    assert set(solver.net.params) == {"a", "b", "aside"}

"""Snapshots: Caffe's files, whole or not at all, and going on from them."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from runs import NET, batch, make, same, solver_param, weights, with_prefix

from torchcaffe.errors import InputError, ParseError, SolverError
from torchcaffe.proto import read_weights_net, read_wire, write_wire
from torchcaffe.proto.schema import SolverState
from torchcaffe.solvers import state_files
from torchcaffe.solvers.events import Request
from torchcaffe.solvers.snapshot import is_whole, newest_snapshot
from torchcaffe.solvers.solver import Solver
from torchcaffe.solvers.torch_state import read_tree, write_tree

DATA = Path(__file__).parents[1] / "goldens" / "data"

FORMATS = {
    "BINARYPROTO": [".caffemodel", ".solverstate"],
    "HDF5": [".caffemodel.h5", ".solverstate.h5"],
    "TORCH": [".caffemodel", ".solverstate", ".torchstate"],
}
TESTING = "test_iter: 2 test_interval: 3 average_loss: 4 display: 1 "


def histories(solver: Solver) -> dict[str, np.ndarray]:
    return {str(index): value.numpy().copy() for index, value in enumerate(solver.history)}


@pytest.mark.parametrize("kind", FORMATS)
class TestFormats:
    def test_names(self, kind: str, tmp_path: Path) -> None:
        solver = make(with_prefix(tmp_path, f"snapshot: 2 snapshot_format: {kind}"))
        solver.step(5)
        wanted = {f"s_iter_{n}{suffix}" for n in (2, 4) for suffix in FORMATS[kind]}
        assert {path.name for path in tmp_path.iterdir()} == wanted

    @pytest.mark.parametrize("rule", ["SGD", "Adam"])
    def test_they_come_back(self, kind: str, rule: str, tmp_path: Path) -> None:
        text = with_prefix(tmp_path, f'snapshot_format: {kind} type: "{rule}" ')
        first, second = make(text), make(text)
        first.step(3)
        second.restore(first.snapshot())
        assert same(weights(first), weights(second))
        assert same(histories(first), histories(second))
        assert second.iter == 3

    def test_current_step_comes_back(self, kind: str, tmp_path: Path) -> None:
        param = solver_param(with_prefix(tmp_path, f"snapshot_format: {kind}"))
        param.lr_policy, param.gamma, param.stepvalue = "multistep", 0.5, [1, 2]
        first, second = Solver(param, batches=batch), Solver(param, batches=batch)
        first.step(4)
        second.restore(first.snapshot())
        assert (second.current_step, second.lr) == (2, first.lr)

    def test_nothing_half_written_is_seen(
        self, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        solver = make(with_prefix(tmp_path, f"snapshot_format: {kind}"))
        solver.step(1)
        solver.snapshot()
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(InputError, match=r"caffemodel.* cannot be written.*space left"):
            solver.snapshot()
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


class TestResume:
    """Stopping and resuming from a TORCH snapshot is an unbroken run, bit for bit."""

    @staticmethod
    def run(solver: Solver, iterations: int) -> list[float]:
        losses = []
        for _ in range(iterations):
            solver.step(1)
            losses.append(solver.loss)
        return losses

    @pytest.mark.parametrize("rule", ["SGD", "Nesterov", "AdaDelta", "Adam"])
    def test_bits(self, rule: str, tmp_path: Path) -> None:
        text = with_prefix(tmp_path, f'snapshot_format: TORCH type: "{rule}" iter_size: 2 ')
        unbroken = make(text + TESTING, test_batches=[batch])
        self.run(unbroken, 5)
        state = unbroken.snapshot()
        losses = self.run(unbroken, 5)
        resumed = make(text + TESTING, test_batches=[batch])
        resumed.restore(state)
        assert self.run(resumed, 5) == losses
        assert same(weights(unbroken), weights(resumed))
        assert same(histories(unbroken), histories(resumed))
        assert (unbroken.stream.state == resumed.stream.state).all()
        assert [feed.position() for feed in unbroken.feeds] == [
            feed.position() for feed in resumed.feeds
        ]

    def test_the_displayed_loss_goes_on(self, tmp_path: Path) -> None:
        text = with_prefix(tmp_path, "snapshot_format: TORCH snapshot: 3 max_iter: 8 " + TESTING)
        shown: list[list[Any]] = [[], []]
        make(text, test_batches=[batch], listener=shown[0].append).solve()
        make(text, test_batches=[batch], listener=shown[1].append).solve(
            tmp_path / "s_iter_3.torchstate"
        )
        first, second = (
            [(e.iteration, e.loss) for e in events if type(e).__name__ == "Displayed"]
            for events in shown
        )
        assert second == first[3:]

    def test_a_snapshot_during_a_test_goes_on_from_before_it(self, tmp_path: Path) -> None:
        text = with_prefix(tmp_path, "snapshot_format: TORCH " + TESTING)
        # Asked before each batch of the first test, after three updates, and in the second test.
        answers = [Request.NONE] * (2 + 3 + 1) + [Request.SNAPSHOT]
        unbroken = make(
            text,
            test_batches=[batch],
            poll=lambda: answers.pop(0) if answers else Request.NONE,
        )
        unbroken.step(3)
        losses = self.run(unbroken, 3)
        resumed = make(text, test_batches=[batch])
        resumed.restore(tmp_path / "s_iter_3.torchstate")
        assert resumed.feeds[1].position() == {"position": 2}
        assert self.run(resumed, 3) == losses

    def test_recurrent_states_are_carried_on(self, tmp_path: Path) -> None:
        net = """
        layer { name: "in" type: "Input" top: "data" top: "cont"
                input_param { shape { dim: 3 dim: 2 dim: 3 } shape { dim: 3 dim: 2 } } }
        layer { name: "lstm" type: "LSTM" bottom: "data" bottom: "cont" top: "h"
                recurrent_param { num_output: 3 weight_filler { type: "xavier" } } }
        layer { name: "loss" type: "EuclideanLoss" bottom: "h" bottom: "data" top: "loss" }
        """

        def sequence(number: int) -> Any:
            random = np.random.default_rng(number)
            data = random.standard_normal((3, 2, 3), np.float32)
            return {"data": data, "cont": np.ones((3, 2), np.float32)}

        text = with_prefix(tmp_path, "snapshot_format: TORCH ")
        unbroken = make(text, net=net, batches=sequence)
        self.run(unbroken, 2)
        state = unbroken.snapshot()
        losses = self.run(unbroken, 3)
        resumed = make(text, net=net, batches=sequence)
        resumed.restore(state)
        assert self.run(resumed, 3) == losses

    def test_data_layers_go_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(DATA)
        net = """
        layer { name: "d" type: "ImageData" top: "data" top: "label"
                image_data_param { source: "list.txt" batch_size: 4 shuffle: true
                                   new_height: 12 new_width: 12 }
                transform_param { crop_size: 9 mirror: true scale: 0.01 } }
        layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
                inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
        layer { name: "drop" type: "Dropout" bottom: "ip" top: "ip" }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
        """
        text = with_prefix(tmp_path, "snapshot_format: TORCH " + TESTING)
        unbroken = make(text, net=net, batches=None)
        self.run(unbroken, 4)
        state = unbroken.snapshot()
        losses = self.run(unbroken, 6)
        resumed = make(text, net=net, batches=None)
        resumed.restore(state)
        assert self.run(resumed, 6) == losses

    def test_torch_s_generator_goes_on(self, tmp_path: Path) -> None:
        text = with_prefix(tmp_path, "snapshot_format: TORCH ")
        torch.manual_seed(3)
        unbroken = make(text, rng="torch")
        self.run(unbroken, 2)
        state = unbroken.snapshot()
        losses = self.run(unbroken, 3)
        resumed = make(text, rng="torch")
        resumed.restore(state)
        assert self.run(resumed, 3) == losses

    def test_caffe_s_own_states_begin_the_data_anew(self, tmp_path: Path) -> None:
        text = with_prefix(tmp_path)
        solver = make(text)
        solver.step(3)
        state = solver.snapshot()
        resumed = make(text)
        resumed.restore(state)
        assert resumed.feeds[0].position() == {"position": 0}
        assert (resumed.stream.state == make(text).stream.state).all()

    def test_a_source_must_be_able_to_go_back(self, tmp_path: Path) -> None:
        text = with_prefix(tmp_path, "snapshot_format: TORCH ")
        solver = make(text, batches=(batch(number) for number in range(9)))
        solver.step(3)
        words = (
            r"the train net: its source of batches cannot go back to where it was; give a function "
            r"of the batch's number, or an iterator with state_dict\(\) and load_state_dict\(\)"
        )
        state = solver.snapshot()
        with pytest.raises(InputError, match=words):
            make(text).restore(state)

    def test_the_run_must_be_the_same(self, tmp_path: Path) -> None:
        text = with_prefix(tmp_path, "snapshot_format: TORCH ")
        state = make(text).snapshot()
        words = 'the state is of a run with 0 test nets and rng "caffe", this one has 1 and "caffe"'
        with pytest.raises(SolverError, match=words):
            make(text + TESTING, test_batches=[batch]).restore(state)
        (tmp_path / "s_iter_0.solverstate").write_bytes(
            (tmp_path / "s_iter_0.solverstate").read_bytes().replace(b"\x08\x00", b"\x08\x05", 1)
        )
        with pytest.raises(
            SolverError, match=r"is of iteration 5, the \.torchstate beside it of 0"
        ):
            make(text).restore(state)


class TestDiffs:
    @pytest.mark.parametrize("kind", ["BINARYPROTO", "HDF5"])
    @pytest.mark.parametrize("rule", ["SGD", "Nesterov", "Adam"])
    def test_they_are_what_was_subtracted(self, kind: str, rule: str, tmp_path: Path) -> None:
        text = f'snapshot_diff: true snapshot_format: {kind} type: "{rule}" '
        solver = make(with_prefix(tmp_path, text))
        solver.step(2)
        before = weights(solver)
        solver.step(1)
        solver.snapshot()
        for name, diff in self.diffs(tmp_path, kind).items():
            assert np.array_equal(before[name] - diff, weights(solver)[name])
            assert diff.any()

    @staticmethod
    def diffs(folder: Path, kind: str) -> dict[str, np.ndarray]:
        if kind == "HDF5":
            with h5py.File(folder / "s_iter_3.caffemodel.h5") as file:
                return {
                    f"{layer}/{index}": file["diff"][layer][index][()]
                    for layer in file["diff"]
                    for index in file["diff"][layer]
                }
        return {
            f"{layer.name}/{index}": blob.diff.reshape(tuple(blob.shape.dim))
            for layer in read_weights_net(folder / "s_iter_3.caffemodel").layer
            for index, blob in enumerate(layer.blobs)
        }

    def test_before_the_first_step_they_are_0(self, tmp_path: Path) -> None:
        make(with_prefix(tmp_path, "snapshot_diff: true")).snapshot()
        net = read_weights_net(tmp_path / "s_iter_0.caffemodel")
        diffs = [blob.diff for layer in net.layer for blob in layer.blobs]
        assert len(diffs) == 4
        assert not any(diff.any() for diff in diffs)


class TestHdf5:
    def test_the_layout_is_caffe_s(self, tmp_path: Path) -> None:
        solver = make(with_prefix(tmp_path, "snapshot_format: HDF5"))
        solver.step(1)
        path = solver.snapshot()
        with h5py.File(path) as file:
            assert sorted(file) == ["current_step", "history", "iter", "learned_net"]
            for name in ("iter", "current_step"):
                assert (file[name].shape, file[name].dtype) == ((1,), np.int32)
            learned = file["learned_net"]
            assert learned.shape == ()
            kind = learned.id.get_type()
            wanted = f"{tmp_path}/s_iter_1.caffemodel.h5"
            assert kind.get_size() == len(wanted) + 1
            assert kind.get_strpad() == h5py.h5t.STR_NULLTERM
            assert learned[()].decode() == wanted
            assert sorted(file["history"]) == ["0", "1", "2", "3"]
            assert file["history/0"].dtype == np.float32

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ({}, "this file lacks iter, current_step, history"),
            ({"iter": [1], "current_step": [0]}, "this file lacks history"),
        ],
    )
    def test_other_files(self, content: dict[str, Any], words: str, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "x.h5", "w") as file:
            for name, value in content.items():
                file[name] = value
        with pytest.raises(SolverError, match=words):
            make().restore(tmp_path / "x.h5")

    def test_damaged_files(self, tmp_path: Path) -> None:
        (tmp_path / "x.solverstate.h5").write_bytes(b"\x89HDF\r\n\x1a\n not at all")
        with pytest.raises(ParseError, match="cannot be read as an HDF5 solver state"):
            make().restore(tmp_path / "x.solverstate.h5")
        with pytest.raises(ParseError, match=r"y\.h5 does not exist; a solver state"):
            make().restore(tmp_path / "y.h5")


class TestRefusals:
    @staticmethod
    def state(folder: Path, **changes: Any) -> Path:
        solver = make(with_prefix(folder))
        solver.step(1)
        path = solver.snapshot()
        message = read_wire(path, SolverState).copy()
        for name, value in changes.items():
            if value is None:
                message.clear(name)
            else:
                setattr(message, name, value)
        write_wire(path, message)
        return path

    def test_another_type(self, tmp_path: Path) -> None:
        words = (
            r"s_iter_1\.solverstate has 4 history blobs, this solver 8: 2 blobs for each of the "
            r"net's 4 parameters with Adam\. Is it the state of another net, or of another type"
        )
        with pytest.raises(SolverError, match=words):
            make('type: "Adam"').restore(self.state(tmp_path))

    def test_another_net(self, tmp_path: Path) -> None:
        solver = make(net=NET.replace("num_output: 5", "num_output: 6"))
        before = weights(solver)
        words = "history blob 0, of parameter a/0, is 5x3, and the net's is 6x3. Is it the state"
        with pytest.raises(SolverError, match=words):
            solver.restore(self.state(tmp_path))
        assert same(before, weights(solver))

    def test_no_state_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(SolverError, match="has no iteration; is it a solver state"):
            make().restore(self.state(tmp_path, iter=None))

    def test_weights_are_looked_for_from_the_current_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = self.state(tmp_path, learned_net="s_iter_1.caffemodel")
        words = (
            r'its weights are in "s_iter_1\.caffemodel", which is looked for from the current '
            r"folder, .*, as in Caffe, and is not there; .*s_iter_1\.caffemodel is there: run from "
            r"the folder that the path begins in, or give it as restore\(\.\.\., model=\)"
        )
        with pytest.raises(SolverError, match=words):
            make().restore(path)
        given = make()
        given.restore(path, model=tmp_path / "s_iter_1.caffemodel")
        monkeypatch.chdir(tmp_path)
        solver = make()
        solver.restore(path)
        assert same(weights(solver), weights(given))

    def test_a_state_without_weights_leaves_them(self, tmp_path: Path) -> None:
        solver = make()
        before = weights(solver)
        solver.restore(self.state(tmp_path, learned_net=None))
        assert same(before, weights(solver))
        assert solver.iter == 1

    def test_old_shapes_fit(self, tmp_path: Path) -> None:
        path = self.state(tmp_path)
        message = read_wire(path, SolverState).copy()
        for blob in message.history:
            dims = list(blob.shape.dim)
            blob.clear("shape")
            names = ("num", "channels", "height", "width")
            for name, dim in zip(names, [1] * (4 - len(dims)) + dims, strict=True):
                setattr(blob, name, dim)
        write_wire(path, message)
        solver = make()
        solver.restore(path)
        assert tuple(solver.history[0].shape) == (5, 3)


class TestNewest:
    def test_the_highest_iteration(self, tmp_path: Path) -> None:
        prefix = tmp_path / "s"
        assert newest_snapshot(prefix) is None
        solver = make(with_prefix(tmp_path, "snapshot: 4"))
        solver.step(9)
        solver.step(3)
        (tmp_path / "s_iter_99.caffemodel").write_bytes(b"")
        (tmp_path / "s_iter_x.solverstate").write_bytes(b"")
        (tmp_path / "other_iter_50.solverstate").write_bytes(b"")
        assert newest_snapshot(prefix) == tmp_path / "s_iter_12.solverstate"

    @pytest.mark.parametrize("kind", FORMATS)
    @pytest.mark.parametrize("part", [0, -1])
    def test_a_damaged_one_is_passed_over(self, kind: str, part: int, tmp_path: Path) -> None:
        solver = make(with_prefix(tmp_path, f"snapshot: 2 snapshot_format: {kind}"))
        solver.step(4)
        last = FORMATS[kind][-1]
        assert newest_snapshot(tmp_path / "s") == tmp_path / f"s_iter_4{last}"
        damaged = tmp_path / f"s_iter_4{FORMATS[kind][part]}"
        damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
        # What Caffe itself needs of iteration 4 may be whole when only our own file is not.
        left = "s_iter_4.solverstate" if kind == "TORCH" and part == -1 else f"s_iter_2{last}"
        assert newest_snapshot(tmp_path / "s") == tmp_path / left

    def test_a_model_that_is_gone(self, tmp_path: Path) -> None:
        solver = make(with_prefix(tmp_path, "snapshot: 2"))
        solver.step(4)
        (tmp_path / "s_iter_4.caffemodel").unlink()
        assert newest_snapshot(tmp_path / "s") == tmp_path / "s_iter_2.solverstate"


class TestTrees:
    def test_they_come_back(self, tmp_path: Path) -> None:
        tree = {
            "a": {"b": [1, 2.5, "c", None, True], "d": np.arange(3)},
            "e": torch.ones(2, dtype=torch.uint8),
            "f": np.float32(0.5),
        }
        write_tree(tmp_path / "t", tree)
        back = read_tree(tmp_path / "t")
        assert back["a"]["b"] == [1, 2.5, "c", None, True]
        assert back["a"]["d"].tolist() == [0, 1, 2]
        assert back["e"].dtype == torch.uint8
        assert back["f"] == 0.5

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ({"a": object()}, "a state is saved without pickle, .*; /a is a object"),
            ({"a": {1: 2}}, "a state's dictionary has strings as keys, /a has others"),
        ],
    )
    def test_refusals(self, value: Any, words: str, tmp_path: Path) -> None:
        with pytest.raises(SolverError, match=words):
            write_tree(tmp_path / "t", value)
        assert not list(tmp_path.iterdir())

    def test_other_files(self, tmp_path: Path) -> None:
        from safetensors.torch import save_file

        with pytest.raises(ParseError, match=r"none\.torchstate does not exist; a \.torchstate"):
            make().restore(tmp_path / "none.torchstate")
        save_file({"x": torch.zeros(1)}, tmp_path / "a.torchstate")
        with pytest.raises(
            ParseError, match=r"is no state of torchcaffe's, .* None, 1 was expected"
        ):
            make().restore(tmp_path / "a.torchstate")
        (tmp_path / "b.torchstate").write_bytes(b"nonsense")
        with pytest.raises(ParseError, match="cannot be read as a state of torchcaffe's"):
            make().restore(tmp_path / "b.torchstate")


def test_strings_of_hdf5_end_with_a_nul(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    state = state_files.State(1, 2, "ab", [np.zeros(3, np.float32)])
    state_files.write_state(path, state)
    again = state_files.read_state(path)
    assert (again.iter, again.current_step, again.learned_net) == (1, 2, "ab")


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from runs import make, with_prefix
make(with_prefix({folder!r}, "snapshot: 1 snapshot_format: TORCH")).step(10**6)
"""


@pytest.mark.slow
def test_killed_at_any_instant(tmp_path: Path) -> None:
    prefix = tmp_path / "s"
    for round_ in range(3):
        for path in tmp_path.iterdir():
            path.unlink()
        code = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
        process = subprocess.Popen([sys.executable, "-c", code])
        while newest_snapshot(prefix) is None:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.11 + 0.037 * round_)
        process.kill()
        process.wait()
        # Nothing that has its name is damaged; what was being written has another.
        states = [path for path in tmp_path.iterdir() if path.suffix == ".solverstate"]
        wanted = {path.with_suffix(".torchstate") for path in states}
        assert all(is_whole(path) for path in wanted)
        newest = newest_snapshot(prefix)
        assert newest in wanted
        make(with_prefix(tmp_path)).restore(newest)


def test_a_state_that_cannot_be_written(tmp_path: Path) -> None:
    state = state_files.State(1, 2, None, [np.zeros(3, np.float32)])
    for end in ("", ".h5"):
        with pytest.raises(InputError, match=r"s\.solverstate.* cannot be written"):
            state_files.write_state(tmp_path / "none" / f"s.solverstate{end}", state)

from pathlib import Path

import h5py
import numpy as np
import pytest

from contract import Case, LayerContract
from torchcaffe.errors import LayerError
from torchcaffe.proto.schema import LayerParameter


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def body(name: str = "out.h5") -> str:
    return f'hdf5_output_param {{ file_name: "{name}" }}'


class TestHDF5Output(LayerContract):
    caffe_type = "HDF5Output"
    cases = {
        "two-axes": Case(body(), [(2, 3), (2,)], tops=0, gradcheck=False),
        "maps": Case(body(), [(2, 3, 2, 2), (2, 1, 2, 2)], tops=0, gradcheck=False),
    }
    refusals = {
        "name": (Case("", [(2,), (2,)], tops=0), "has no file_name in hdf5_output_param"),
        "folder": (
            Case(body("missing/out.h5"), [(2,), (2,)], tops=0),
            'cannot write "missing/out.h5": its folder does not exist; make it',
        ),
        "batch": (
            Case(body(), [(2, 3), (3,)], tops=0),
            "the same first dimension, got 2x3 and 3",
        ),
        "five-axes": (
            Case(body(), [(2, 1, 1, 1, 3), (2,)], tops=0),
            "takes bottoms of at most 4 axes",
        ),
        "a-top": (Case(body(), [(2,), (2,)]), "takes 0 tops, got 1"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        return []

    def test_is_deterministic_and_leaves_its_input_alone(self, case: Case) -> None:
        """It runs once: what it writes is looked at instead."""
        net, given = self.build(case), self.inputs(case)
        net.run(given)
        with h5py.File("out.h5") as file:
            assert set(file) == {"data", "label"}
            for name, value in zip(("data", "label"), given.values(), strict=True):
                assert file[name].dtype == np.float32
                assert file[name].shape == (*value.shape, *[1] * (4 - value.dim()))
                assert np.array_equal(file[name][...].ravel(), value.numpy().ravel())

    def test_refuses_a_second_pass(self) -> None:
        case = self.cases["two-axes"]
        net = self.build(case)
        net.run(self.inputs(case))
        with pytest.raises(LayerError, match=r'"layer".*"out.h5" holds the first pass'):
            net.run(self.inputs(case))

    def test_building_a_net_writes_nothing(self) -> None:
        self.build(self.cases["two-axes"])
        assert not Path("out.h5").exists()

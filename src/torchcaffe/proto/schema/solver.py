"""A solver and its state."""

from __future__ import annotations

from torchcaffe.proto.message import (
    Enum,
    Message,
    boolean,
    enum,
    float32,
    int32,
    int64,
    message,
    repeated,
    string,
)
from torchcaffe.proto.schema.blob import BlobProto
from torchcaffe.proto.schema.net import NetParameter, NetState

SolverParameter_SnapshotFormat = Enum(
    "SolverParameter.SnapshotFormat", ours={"TORCH": 1000}, HDF5=0, BINARYPROTO=1
)
SolverParameter_SolverMode = Enum("SolverParameter.SolverMode", CPU=0, GPU=1)
SolverParameter_SolverType = Enum(
    "SolverParameter.SolverType", SGD=0, NESTEROV=1, ADAGRAD=2, RMSPROP=3, ADADELTA=4, ADAM=5
)


class SolverParameter(Message):
    train_net: str = string(1)
    test_net: list[str] = repeated(2, "string")
    test_iter: list[int] = repeated(3, "int32")
    test_interval: int = int32(4)
    base_lr: float = float32(5)
    display: int = int32(6)
    max_iter: int = int32(7)
    lr_policy: str = string(8)
    gamma: float = float32(9)
    power: float = float32(10)
    momentum: float = float32(11)
    weight_decay: float = float32(12)
    stepsize: int = int32(13)
    snapshot: int = int32(14)
    snapshot_prefix: str = string(15)
    snapshot_diff: bool = boolean(16)
    solver_mode: str = enum(17, SolverParameter_SolverMode, default="GPU")
    device_id: int = int32(18)
    test_compute_loss: bool = boolean(19)
    random_seed: int = int64(20, default=-1)
    train_net_param: NetParameter = message(21, "NetParameter")
    test_net_param: list[NetParameter] = repeated(22, "NetParameter")
    debug_info: bool = boolean(23)
    net: str = string(24)
    net_param: NetParameter = message(25, "NetParameter")
    train_state: NetState = message(26, "NetState")
    test_state: list[NetState] = repeated(27, "NetState")
    snapshot_after_train: bool = boolean(28, default=True)
    regularization_type: str = string(29, default="L2")
    solver_type: str = enum(30, SolverParameter_SolverType, default="SGD")
    delta: float = float32(31, default=1e-08)
    test_initialization: bool = boolean(32, default=True)
    average_loss: int = int32(33, default=1)
    stepvalue: list[int] = repeated(34, "int32")
    clip_gradients: float = float32(35, default=-1.0)
    iter_size: int = int32(36, default=1)
    snapshot_format: str = enum(37, SolverParameter_SnapshotFormat, default="BINARYPROTO")
    rms_decay: float = float32(38, default=0.99)
    momentum2: float = float32(39, default=0.999)
    type: str = string(40, default="SGD")
    layer_wise_reduce: bool = boolean(41, default=True)
    weights: list[str] = repeated(42, "string")


class SolverState(Message):
    iter: int = int32(1)
    learned_net: str = string(2)
    history: list[BlobProto] = repeated(3, "BlobProto")
    current_step: int = int32(4)

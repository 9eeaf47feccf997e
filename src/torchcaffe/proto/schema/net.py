"""A net and its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchcaffe.proto.message import (
    Enum,
    Message,
    boolean,
    enum,
    float32,
    int32,
    message,
    repeated,
    string,
)
from torchcaffe.proto.schema.blob import BlobProto, BlobShape
from torchcaffe.proto.schema.layers import (
    AccuracyParameter,
    ArgMaxParameter,
    BatchNormParameter,
    BiasParameter,
    ClipParameter,
    ConcatParameter,
    ContrastiveLossParameter,
    ConvolutionParameter,
    CropParameter,
    DataParameter,
    DropoutParameter,
    DummyDataParameter,
    EltwiseParameter,
    ELUParameter,
    EmbedParameter,
    ExpParameter,
    FlattenParameter,
    HDF5DataParameter,
    HDF5OutputParameter,
    HingeLossParameter,
    ImageDataParameter,
    InfogainLossParameter,
    InnerProductParameter,
    InputParameter,
    LogParameter,
    LossParameter,
    LRNParameter,
    MemoryDataParameter,
    MVNParameter,
    ParameterParameter,
    PoolingParameter,
    PowerParameter,
    PReLUParameter,
    PythonParameter,
    RecurrentParameter,
    ReductionParameter,
    ReLUParameter,
    ReshapeParameter,
    ScaleParameter,
    SigmoidParameter,
    SliceParameter,
    SoftmaxParameter,
    SPPParameter,
    SwishParameter,
    TanHParameter,
    ThresholdParameter,
    TileParameter,
    TransformationParameter,
    WindowDataParameter,
)

if TYPE_CHECKING:
    from torchcaffe.proto.schema.legacy import V1LayerParameter

PHASE = Enum("Phase", TRAIN=0, TEST=1)


class NetParameter(Message):
    name: str = string(1)
    layers: list[V1LayerParameter] = repeated(2, "V1LayerParameter")
    input: list[str] = repeated(3, "string")
    input_dim: list[int] = repeated(4, "int32")
    force_backward: bool = boolean(5)
    state: NetState = message(6, "NetState")
    debug_info: bool = boolean(7)
    input_shape: list[BlobShape] = repeated(8, "BlobShape")
    layer: list[LayerParameter] = repeated(100, "LayerParameter")


class NetState(Message):
    phase: str = enum(1, PHASE, default="TEST")
    level: int = int32(2)
    stage: list[str] = repeated(3, "string")


class NetStateRule(Message):
    phase: str = enum(1, PHASE)
    min_level: int = int32(2)
    max_level: int = int32(3)
    stage: list[str] = repeated(4, "string")
    not_stage: list[str] = repeated(5, "string")


ParamSpec_DimCheckMode = Enum("ParamSpec.DimCheckMode", STRICT=0, PERMISSIVE=1)


class ParamSpec(Message):
    name: str = string(1)
    share_mode: str = enum(2, ParamSpec_DimCheckMode)
    lr_mult: float = float32(3, default=1.0)
    decay_mult: float = float32(4, default=1.0)


class LayerParameter(Message):
    name: str = string(1)
    type: str = string(2)
    bottom: list[str] = repeated(3, "string")
    top: list[str] = repeated(4, "string")
    loss_weight: list[float] = repeated(5, "float32")
    param: list[ParamSpec] = repeated(6, "ParamSpec")
    blobs: list[BlobProto] = repeated(7, "BlobProto")
    include: list[NetStateRule] = repeated(8, "NetStateRule")
    exclude: list[NetStateRule] = repeated(9, "NetStateRule")
    phase: str = enum(10, PHASE)
    propagate_down: list[bool] = repeated(11, "boolean")
    transform_param: TransformationParameter = message(100, "TransformationParameter")
    loss_param: LossParameter = message(101, "LossParameter")
    accuracy_param: AccuracyParameter = message(102, "AccuracyParameter")
    argmax_param: ArgMaxParameter = message(103, "ArgMaxParameter")
    concat_param: ConcatParameter = message(104, "ConcatParameter")
    contrastive_loss_param: ContrastiveLossParameter = message(105, "ContrastiveLossParameter")
    convolution_param: ConvolutionParameter = message(106, "ConvolutionParameter")
    data_param: DataParameter = message(107, "DataParameter")
    dropout_param: DropoutParameter = message(108, "DropoutParameter")
    dummy_data_param: DummyDataParameter = message(109, "DummyDataParameter")
    eltwise_param: EltwiseParameter = message(110, "EltwiseParameter")
    exp_param: ExpParameter = message(111, "ExpParameter")
    hdf5_data_param: HDF5DataParameter = message(112, "HDF5DataParameter")
    hdf5_output_param: HDF5OutputParameter = message(113, "HDF5OutputParameter")
    hinge_loss_param: HingeLossParameter = message(114, "HingeLossParameter")
    image_data_param: ImageDataParameter = message(115, "ImageDataParameter")
    infogain_loss_param: InfogainLossParameter = message(116, "InfogainLossParameter")
    inner_product_param: InnerProductParameter = message(117, "InnerProductParameter")
    lrn_param: LRNParameter = message(118, "LRNParameter")
    memory_data_param: MemoryDataParameter = message(119, "MemoryDataParameter")
    mvn_param: MVNParameter = message(120, "MVNParameter")
    pooling_param: PoolingParameter = message(121, "PoolingParameter")
    power_param: PowerParameter = message(122, "PowerParameter")
    relu_param: ReLUParameter = message(123, "ReLUParameter")
    sigmoid_param: SigmoidParameter = message(124, "SigmoidParameter")
    softmax_param: SoftmaxParameter = message(125, "SoftmaxParameter")
    slice_param: SliceParameter = message(126, "SliceParameter")
    tanh_param: TanHParameter = message(127, "TanHParameter")
    threshold_param: ThresholdParameter = message(128, "ThresholdParameter")
    window_data_param: WindowDataParameter = message(129, "WindowDataParameter")
    python_param: PythonParameter = message(130, "PythonParameter")
    prelu_param: PReLUParameter = message(131, "PReLUParameter")
    spp_param: SPPParameter = message(132, "SPPParameter")
    reshape_param: ReshapeParameter = message(133, "ReshapeParameter")
    log_param: LogParameter = message(134, "LogParameter")
    flatten_param: FlattenParameter = message(135, "FlattenParameter")
    reduction_param: ReductionParameter = message(136, "ReductionParameter")
    embed_param: EmbedParameter = message(137, "EmbedParameter")
    tile_param: TileParameter = message(138, "TileParameter")
    batch_norm_param: BatchNormParameter = message(139, "BatchNormParameter")
    elu_param: ELUParameter = message(140, "ELUParameter")
    bias_param: BiasParameter = message(141, "BiasParameter")
    scale_param: ScaleParameter = message(142, "ScaleParameter")
    input_param: InputParameter = message(143, "InputParameter")
    crop_param: CropParameter = message(144, "CropParameter")
    parameter_param: ParameterParameter = message(145, "ParameterParameter")
    recurrent_param: RecurrentParameter = message(146, "RecurrentParameter")
    swish_param: SwishParameter = message(147, "SwishParameter")
    clip_param: ClipParameter = message(148, "ClipParameter")

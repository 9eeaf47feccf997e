"""Layers as Caffe wrote them before 2014: V0 (nested) and V1 (``layers``)."""

from __future__ import annotations

from torchcaffe.proto.message import (
    Enum,
    Message,
    boolean,
    enum,
    float32,
    int32,
    message,
    repeated,
    repeated_enum,
    string,
    uint32,
)
from torchcaffe.proto.schema.blob import BlobProto
from torchcaffe.proto.schema.layers import (
    AccuracyParameter,
    ArgMaxParameter,
    ConcatParameter,
    ContrastiveLossParameter,
    ConvolutionParameter,
    DataParameter,
    DropoutParameter,
    DummyDataParameter,
    EltwiseParameter,
    ExpParameter,
    FillerParameter,
    HDF5DataParameter,
    HDF5OutputParameter,
    HingeLossParameter,
    ImageDataParameter,
    InfogainLossParameter,
    InnerProductParameter,
    LossParameter,
    LRNParameter,
    MemoryDataParameter,
    MVNParameter,
    PoolingParameter,
    PowerParameter,
    ReLUParameter,
    SigmoidParameter,
    SliceParameter,
    SoftmaxParameter,
    TanHParameter,
    ThresholdParameter,
    TransformationParameter,
    WindowDataParameter,
)
from torchcaffe.proto.schema.net import NetStateRule

V1LayerParameter_LayerType = Enum(
    "V1LayerParameter.LayerType",
    NONE=0,
    ABSVAL=35,
    ACCURACY=1,
    ARGMAX=30,
    BNLL=2,
    CONCAT=3,
    CONTRASTIVE_LOSS=37,
    CONVOLUTION=4,
    DATA=5,
    DECONVOLUTION=39,
    DROPOUT=6,
    DUMMY_DATA=32,
    EUCLIDEAN_LOSS=7,
    ELTWISE=25,
    EXP=38,
    FLATTEN=8,
    HDF5_DATA=9,
    HDF5_OUTPUT=10,
    HINGE_LOSS=28,
    IM2COL=11,
    IMAGE_DATA=12,
    INFOGAIN_LOSS=13,
    INNER_PRODUCT=14,
    LRN=15,
    MEMORY_DATA=29,
    MULTINOMIAL_LOGISTIC_LOSS=16,
    MVN=34,
    POOLING=17,
    POWER=26,
    RELU=18,
    SIGMOID=19,
    SIGMOID_CROSS_ENTROPY_LOSS=27,
    SILENCE=36,
    SOFTMAX=20,
    SOFTMAX_LOSS=21,
    SPLIT=22,
    SLICE=33,
    TANH=23,
    WINDOW_DATA=24,
    THRESHOLD=31,
)
V1LayerParameter_DimCheckMode = Enum("V1LayerParameter.DimCheckMode", STRICT=0, PERMISSIVE=1)


class V1LayerParameter(Message):
    layer: V0LayerParameter = message(1, "V0LayerParameter")
    bottom: list[str] = repeated(2, "string")
    top: list[str] = repeated(3, "string")
    name: str = string(4)
    type: str = enum(5, V1LayerParameter_LayerType)
    blobs: list[BlobProto] = repeated(6, "BlobProto")
    blobs_lr: list[float] = repeated(7, "float32")
    weight_decay: list[float] = repeated(8, "float32")
    concat_param: ConcatParameter = message(9, "ConcatParameter")
    convolution_param: ConvolutionParameter = message(10, "ConvolutionParameter")
    data_param: DataParameter = message(11, "DataParameter")
    dropout_param: DropoutParameter = message(12, "DropoutParameter")
    hdf5_data_param: HDF5DataParameter = message(13, "HDF5DataParameter")
    hdf5_output_param: HDF5OutputParameter = message(14, "HDF5OutputParameter")
    image_data_param: ImageDataParameter = message(15, "ImageDataParameter")
    infogain_loss_param: InfogainLossParameter = message(16, "InfogainLossParameter")
    inner_product_param: InnerProductParameter = message(17, "InnerProductParameter")
    lrn_param: LRNParameter = message(18, "LRNParameter")
    pooling_param: PoolingParameter = message(19, "PoolingParameter")
    window_data_param: WindowDataParameter = message(20, "WindowDataParameter")
    power_param: PowerParameter = message(21, "PowerParameter")
    memory_data_param: MemoryDataParameter = message(22, "MemoryDataParameter")
    argmax_param: ArgMaxParameter = message(23, "ArgMaxParameter")
    eltwise_param: EltwiseParameter = message(24, "EltwiseParameter")
    threshold_param: ThresholdParameter = message(25, "ThresholdParameter")
    dummy_data_param: DummyDataParameter = message(26, "DummyDataParameter")
    accuracy_param: AccuracyParameter = message(27, "AccuracyParameter")
    hinge_loss_param: HingeLossParameter = message(29, "HingeLossParameter")
    relu_param: ReLUParameter = message(30, "ReLUParameter")
    slice_param: SliceParameter = message(31, "SliceParameter")
    include: list[NetStateRule] = repeated(32, "NetStateRule")
    exclude: list[NetStateRule] = repeated(33, "NetStateRule")
    mvn_param: MVNParameter = message(34, "MVNParameter")
    loss_weight: list[float] = repeated(35, "float32")
    transform_param: TransformationParameter = message(36, "TransformationParameter")
    tanh_param: TanHParameter = message(37, "TanHParameter")
    sigmoid_param: SigmoidParameter = message(38, "SigmoidParameter")
    softmax_param: SoftmaxParameter = message(39, "SoftmaxParameter")
    contrastive_loss_param: ContrastiveLossParameter = message(40, "ContrastiveLossParameter")
    exp_param: ExpParameter = message(41, "ExpParameter")
    loss_param: LossParameter = message(42, "LossParameter")
    param: list[str] = repeated(1001, "string")
    blob_share_mode: list[str] = repeated_enum(1002, V1LayerParameter_DimCheckMode)


V0LayerParameter_PoolMethod = Enum("V0LayerParameter.PoolMethod", MAX=0, AVE=1, STOCHASTIC=2)


class V0LayerParameter(Message):
    name: str = string(1)
    type: str = string(2)
    num_output: int = uint32(3)
    biasterm: bool = boolean(4, default=True)
    weight_filler: FillerParameter = message(5, "FillerParameter")
    bias_filler: FillerParameter = message(6, "FillerParameter")
    pad: int = uint32(7)
    kernelsize: int = uint32(8)
    group: int = uint32(9, default=1)
    stride: int = uint32(10, default=1)
    pool: str = enum(11, V0LayerParameter_PoolMethod, default="MAX")
    dropout_ratio: float = float32(12, default=0.5)
    local_size: int = uint32(13, default=5)
    alpha: float = float32(14, default=1.0)
    beta: float = float32(15, default=0.75)
    source: str = string(16)
    scale: float = float32(17, default=1.0)
    meanfile: str = string(18)
    batchsize: int = uint32(19)
    cropsize: int = uint32(20)
    mirror: bool = boolean(21)
    k: float = float32(22, default=1.0)
    blobs: list[BlobProto] = repeated(50, "BlobProto")
    blobs_lr: list[float] = repeated(51, "float32")
    weight_decay: list[float] = repeated(52, "float32")
    rand_skip: int = uint32(53)
    det_fg_threshold: float = float32(54, default=0.5)
    det_bg_threshold: float = float32(55, default=0.5)
    det_fg_fraction: float = float32(56, default=0.25)
    det_context_pad: int = uint32(58)
    det_crop_mode: str = string(59, default="warp")
    new_num: int = int32(60)
    new_channels: int = int32(61)
    new_height: int = int32(62)
    new_width: int = int32(63)
    shuffle_images: bool = boolean(64)
    concat_dim: int = uint32(65, default=1)
    hdf5_output_param: HDF5OutputParameter = message(1001, "HDF5OutputParameter")

"""The parameters of each layer type."""

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
    string,
    uint32,
)
from torchcaffe.proto.schema.blob import BlobShape

FillerParameter_VarianceNorm = Enum("FillerParameter.VarianceNorm", FAN_IN=0, FAN_OUT=1, AVERAGE=2)


class FillerParameter(Message):
    type: str = string(1, default="constant")
    value: float = float32(2)
    min: float = float32(3)
    max: float = float32(4, default=1.0)
    mean: float = float32(5)
    std: float = float32(6, default=1.0)
    sparse: int = int32(7, default=-1)
    variance_norm: str = enum(8, FillerParameter_VarianceNorm, default="FAN_IN")


class TransformationParameter(Message):
    scale: float = float32(1, default=1.0)
    mirror: bool = boolean(2)
    crop_size: int = uint32(3)
    mean_file: str = string(4)
    mean_value: list[float] = repeated(5, "float32")
    force_color: bool = boolean(6)
    force_gray: bool = boolean(7)


LossParameter_NormalizationMode = Enum(
    "LossParameter.NormalizationMode", FULL=0, VALID=1, BATCH_SIZE=2, NONE=3
)


class LossParameter(Message):
    ignore_label: int = int32(1)
    normalize: bool = boolean(2)
    normalization: str = enum(3, LossParameter_NormalizationMode, default="VALID")


class AccuracyParameter(Message):
    top_k: int = uint32(1, default=1)
    axis: int = int32(2, default=1)
    ignore_label: int = int32(3)


class ArgMaxParameter(Message):
    out_max_val: bool = boolean(1)
    top_k: int = uint32(2, default=1)
    axis: int = int32(3)


class ClipParameter(Message):
    min: float = float32(1, required=True)
    max: float = float32(2, required=True)


class ConcatParameter(Message):
    concat_dim: int = uint32(1, default=1)
    axis: int = int32(2, default=1)


class BatchNormParameter(Message):
    use_global_stats: bool = boolean(1)
    moving_average_fraction: float = float32(2, default=0.999)
    eps: float = float32(3, default=1e-05)


class BiasParameter(Message):
    axis: int = int32(1, default=1)
    num_axes: int = int32(2, default=1)
    filler: FillerParameter = message(3, "FillerParameter")


class ContrastiveLossParameter(Message):
    margin: float = float32(1, default=1.0)
    legacy_version: bool = boolean(2)


ConvolutionParameter_Engine = Enum("ConvolutionParameter.Engine", DEFAULT=0, CAFFE=1, CUDNN=2)


class ConvolutionParameter(Message):
    num_output: int = uint32(1)
    bias_term: bool = boolean(2, default=True)
    pad: list[int] = repeated(3, "uint32")
    kernel_size: list[int] = repeated(4, "uint32")
    group: int = uint32(5, default=1)
    stride: list[int] = repeated(6, "uint32")
    weight_filler: FillerParameter = message(7, "FillerParameter")
    bias_filler: FillerParameter = message(8, "FillerParameter")
    pad_h: int = uint32(9)
    pad_w: int = uint32(10)
    kernel_h: int = uint32(11)
    kernel_w: int = uint32(12)
    stride_h: int = uint32(13)
    stride_w: int = uint32(14)
    engine: str = enum(15, ConvolutionParameter_Engine, default="DEFAULT")
    axis: int = int32(16, default=1)
    force_nd_im2col: bool = boolean(17)
    dilation: list[int] = repeated(18, "uint32")


class CropParameter(Message):
    axis: int = int32(1, default=2)
    offset: list[int] = repeated(2, "uint32")


DataParameter_DB = Enum("DataParameter.DB", LEVELDB=0, LMDB=1)


class DataParameter(Message):
    source: str = string(1)
    scale: float = float32(2, default=1.0)
    mean_file: str = string(3)
    batch_size: int = uint32(4)
    crop_size: int = uint32(5)
    mirror: bool = boolean(6)
    rand_skip: int = uint32(7)
    backend: str = enum(8, DataParameter_DB, default="LEVELDB")
    force_encoded_color: bool = boolean(9)
    prefetch: int = uint32(10, default=4)


class DropoutParameter(Message):
    dropout_ratio: float = float32(1, default=0.5)


class DummyDataParameter(Message):
    data_filler: list[FillerParameter] = repeated(1, "FillerParameter")
    num: list[int] = repeated(2, "uint32")
    channels: list[int] = repeated(3, "uint32")
    height: list[int] = repeated(4, "uint32")
    width: list[int] = repeated(5, "uint32")
    shape: list[BlobShape] = repeated(6, "BlobShape")


EltwiseParameter_EltwiseOp = Enum("EltwiseParameter.EltwiseOp", PROD=0, SUM=1, MAX=2)


class EltwiseParameter(Message):
    operation: str = enum(1, EltwiseParameter_EltwiseOp, default="SUM")
    coeff: list[float] = repeated(2, "float32")
    stable_prod_grad: bool = boolean(3, default=True)


class ELUParameter(Message):
    alpha: float = float32(1, default=1.0)


class EmbedParameter(Message):
    num_output: int = uint32(1)
    input_dim: int = uint32(2)
    bias_term: bool = boolean(3, default=True)
    weight_filler: FillerParameter = message(4, "FillerParameter")
    bias_filler: FillerParameter = message(5, "FillerParameter")


class ExpParameter(Message):
    base: float = float32(1, default=-1.0)
    scale: float = float32(2, default=1.0)
    shift: float = float32(3)


class FlattenParameter(Message):
    axis: int = int32(1, default=1)
    end_axis: int = int32(2, default=-1)


class HDF5DataParameter(Message):
    source: str = string(1)
    batch_size: int = uint32(2)
    shuffle: bool = boolean(3)


class HDF5OutputParameter(Message):
    file_name: str = string(1)


HingeLossParameter_Norm = Enum("HingeLossParameter.Norm", L1=1, L2=2)


class HingeLossParameter(Message):
    norm: str = enum(1, HingeLossParameter_Norm, default="L1")


class ImageDataParameter(Message):
    source: str = string(1)
    scale: float = float32(2, default=1.0)
    mean_file: str = string(3)
    batch_size: int = uint32(4, default=1)
    crop_size: int = uint32(5)
    mirror: bool = boolean(6)
    rand_skip: int = uint32(7)
    shuffle: bool = boolean(8)
    new_height: int = uint32(9)
    new_width: int = uint32(10)
    is_color: bool = boolean(11, default=True)
    root_folder: str = string(12)


class InfogainLossParameter(Message):
    source: str = string(1)
    axis: int = int32(2, default=1)


class InnerProductParameter(Message):
    num_output: int = uint32(1)
    bias_term: bool = boolean(2, default=True)
    weight_filler: FillerParameter = message(3, "FillerParameter")
    bias_filler: FillerParameter = message(4, "FillerParameter")
    axis: int = int32(5, default=1)
    transpose: bool = boolean(6)


class InputParameter(Message):
    shape: list[BlobShape] = repeated(1, "BlobShape")


class LogParameter(Message):
    base: float = float32(1, default=-1.0)
    scale: float = float32(2, default=1.0)
    shift: float = float32(3)


LRNParameter_NormRegion = Enum("LRNParameter.NormRegion", ACROSS_CHANNELS=0, WITHIN_CHANNEL=1)
LRNParameter_Engine = Enum("LRNParameter.Engine", DEFAULT=0, CAFFE=1, CUDNN=2)


class LRNParameter(Message):
    local_size: int = uint32(1, default=5)
    alpha: float = float32(2, default=1.0)
    beta: float = float32(3, default=0.75)
    norm_region: str = enum(4, LRNParameter_NormRegion, default="ACROSS_CHANNELS")
    k: float = float32(5, default=1.0)
    engine: str = enum(6, LRNParameter_Engine, default="DEFAULT")


class MemoryDataParameter(Message):
    batch_size: int = uint32(1)
    channels: int = uint32(2)
    height: int = uint32(3)
    width: int = uint32(4)


class MVNParameter(Message):
    normalize_variance: bool = boolean(1, default=True)
    across_channels: bool = boolean(2)
    eps: float = float32(3, default=1e-09)


class ParameterParameter(Message):
    shape: BlobShape = message(1, "BlobShape")


PoolingParameter_PoolMethod = Enum("PoolingParameter.PoolMethod", MAX=0, AVE=1, STOCHASTIC=2)
PoolingParameter_Engine = Enum("PoolingParameter.Engine", DEFAULT=0, CAFFE=1, CUDNN=2)
PoolingParameter_RoundMode = Enum("PoolingParameter.RoundMode", CEIL=0, FLOOR=1)


class PoolingParameter(Message):
    pool: str = enum(1, PoolingParameter_PoolMethod, default="MAX")
    kernel_size: int = uint32(2)
    stride: int = uint32(3, default=1)
    pad: int = uint32(4)
    kernel_h: int = uint32(5)
    kernel_w: int = uint32(6)
    stride_h: int = uint32(7)
    stride_w: int = uint32(8)
    pad_h: int = uint32(9)
    pad_w: int = uint32(10)
    engine: str = enum(11, PoolingParameter_Engine, default="DEFAULT")
    global_pooling: bool = boolean(12)
    round_mode: str = enum(13, PoolingParameter_RoundMode, default="CEIL")


class PowerParameter(Message):
    power: float = float32(1, default=1.0)
    scale: float = float32(2, default=1.0)
    shift: float = float32(3)


class PythonParameter(Message):
    module: str = string(1)
    layer: str = string(2)
    param_str: str = string(3)
    share_in_parallel: bool = boolean(4)


class RecurrentParameter(Message):
    num_output: int = uint32(1)
    weight_filler: FillerParameter = message(2, "FillerParameter")
    bias_filler: FillerParameter = message(3, "FillerParameter")
    debug_info: bool = boolean(4)
    expose_hidden: bool = boolean(5)


ReductionParameter_ReductionOp = Enum(
    "ReductionParameter.ReductionOp", SUM=1, ASUM=2, SUMSQ=3, MEAN=4
)


class ReductionParameter(Message):
    operation: str = enum(1, ReductionParameter_ReductionOp, default="SUM")
    axis: int = int32(2)
    coeff: float = float32(3, default=1.0)


ReLUParameter_Engine = Enum("ReLUParameter.Engine", DEFAULT=0, CAFFE=1, CUDNN=2)


class ReLUParameter(Message):
    negative_slope: float = float32(1)
    engine: str = enum(2, ReLUParameter_Engine, default="DEFAULT")


class ReshapeParameter(Message):
    shape: BlobShape = message(1, "BlobShape")
    axis: int = int32(2)
    num_axes: int = int32(3, default=-1)


class ScaleParameter(Message):
    axis: int = int32(1, default=1)
    num_axes: int = int32(2, default=1)
    filler: FillerParameter = message(3, "FillerParameter")
    bias_term: bool = boolean(4)
    bias_filler: FillerParameter = message(5, "FillerParameter")


SigmoidParameter_Engine = Enum("SigmoidParameter.Engine", DEFAULT=0, CAFFE=1, CUDNN=2)


class SigmoidParameter(Message):
    engine: str = enum(1, SigmoidParameter_Engine, default="DEFAULT")


class SliceParameter(Message):
    slice_dim: int = uint32(1, default=1)
    slice_point: list[int] = repeated(2, "uint32")
    axis: int = int32(3, default=1)


SoftmaxParameter_Engine = Enum("SoftmaxParameter.Engine", DEFAULT=0, CAFFE=1, CUDNN=2)


class SoftmaxParameter(Message):
    engine: str = enum(1, SoftmaxParameter_Engine, default="DEFAULT")
    axis: int = int32(2, default=1)


class SwishParameter(Message):
    beta: float = float32(1, default=1.0)


TanHParameter_Engine = Enum("TanHParameter.Engine", DEFAULT=0, CAFFE=1, CUDNN=2)


class TanHParameter(Message):
    engine: str = enum(1, TanHParameter_Engine, default="DEFAULT")


class TileParameter(Message):
    axis: int = int32(1, default=1)
    tiles: int = int32(2)


class ThresholdParameter(Message):
    threshold: float = float32(1)


class WindowDataParameter(Message):
    source: str = string(1)
    scale: float = float32(2, default=1.0)
    mean_file: str = string(3)
    batch_size: int = uint32(4)
    crop_size: int = uint32(5)
    mirror: bool = boolean(6)
    fg_threshold: float = float32(7, default=0.5)
    bg_threshold: float = float32(8, default=0.5)
    fg_fraction: float = float32(9, default=0.25)
    context_pad: int = uint32(10)
    crop_mode: str = string(11, default="warp")
    cache_images: bool = boolean(12)
    root_folder: str = string(13)


SPPParameter_PoolMethod = Enum("SPPParameter.PoolMethod", MAX=0, AVE=1, STOCHASTIC=2)
SPPParameter_Engine = Enum("SPPParameter.Engine", DEFAULT=0, CAFFE=1, CUDNN=2)


class SPPParameter(Message):
    pyramid_height: int = uint32(1)
    pool: str = enum(2, SPPParameter_PoolMethod, default="MAX")
    engine: str = enum(6, SPPParameter_Engine, default="DEFAULT")


class PReLUParameter(Message):
    filler: FillerParameter = message(1, "FillerParameter")
    channel_shared: bool = boolean(2)

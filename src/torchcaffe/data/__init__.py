"""Caffe's data sources: the same batches in the same order, to the bit. Knows nothing of torch."""

from torchcaffe.data.feed import Ahead, Feed, Setting
from torchcaffe.data.hdf5 import HDF5Rows, libc_stream
from torchcaffe.data.image_list import ImageList
from torchcaffe.data.imageset import channel_means, compute_image_mean, convert_imageset
from torchcaffe.data.leveldb import copy_leveldb
from torchcaffe.data.lmdb_file import read_lmdb, write_lmdb
from torchcaffe.data.memory import Memory
from torchcaffe.data.records import Records
from torchcaffe.data.transformer import Transformer
from torchcaffe.data.windows import Windows

__all__ = [
    "Ahead",
    "Feed",
    "HDF5Rows",
    "ImageList",
    "Memory",
    "Records",
    "Setting",
    "Transformer",
    "Windows",
    "channel_means",
    "compute_image_mean",
    "convert_imageset",
    "copy_leveldb",
    "libc_stream",
    "read_lmdb",
    "write_lmdb",
]

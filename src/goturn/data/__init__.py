"""Data sets, one file each: ``read(folder, ...)`` gives sequences, or stills, in a fixed order.

A reader reads annotations and lists files; images are read when they are needed. What a file
cannot mean is a DataError that names the file and the line.
"""

from goturn.data._registry import data_sets, read_data_set, read_named, split_named

__all__ = ["data_sets", "read_data_set", "read_named", "split_named"]

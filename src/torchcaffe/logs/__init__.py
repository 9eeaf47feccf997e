"""Logs of training: Caffe's lines, a progress bar, files of numbers; reading and drawing them.

Listeners take a solver's events: ``Solver(..., listener=several(CaffeLog(), Measures(...)))``.
"""

from torchcaffe.logs.caffe_log import CaffeLog, output_text
from torchcaffe.logs.files import ROWS, JsonLines, prepare_folder, tensorboard
from torchcaffe.logs.glog import Line, LogWriter, dump, number
from torchcaffe.logs.listeners import Logging, several
from torchcaffe.logs.measures import Measures, Row
from torchcaffe.logs.plotting import plot
from torchcaffe.logs.progress import ProgressBar
from torchcaffe.logs.reading import RunLog, read_log
from torchcaffe.logs.tables import as_json, write_csv

__all__ = [
    "ROWS",
    "CaffeLog",
    "JsonLines",
    "Line",
    "LogWriter",
    "Logging",
    "Measures",
    "ProgressBar",
    "Row",
    "RunLog",
    "as_json",
    "dump",
    "number",
    "output_text",
    "plot",
    "prepare_folder",
    "read_log",
    "several",
    "tensorboard",
    "write_csv",
]

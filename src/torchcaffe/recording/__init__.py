"""What a real Caffe did, on disk: the recorder that runs inside an old pycaffe, and its reader."""

from torchcaffe.recording.reader import (
    RecordedLayer,
    RecordedParam,
    Recording,
    read_recording,
)
from torchcaffe.recording.recorder import write_recorder

__all__ = ["RecordedLayer", "RecordedParam", "Recording", "read_recording", "write_recorder"]

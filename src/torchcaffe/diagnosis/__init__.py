"""A port that differs from Caffe: where, and why."""

from torchcaffe.diagnosis.diagnose import diagnose
from torchcaffe.diagnosis.findings import Cause, Diagnosis, Gap, Matched, Place, Unexplained
from torchcaffe.diagnosis.parameters import ParameterAlignment, ParameterPair, align_parameters

__all__ = [
    "Cause",
    "Diagnosis",
    "Gap",
    "Matched",
    "ParameterAlignment",
    "ParameterPair",
    "Place",
    "Unexplained",
    "align_parameters",
    "diagnose",
]

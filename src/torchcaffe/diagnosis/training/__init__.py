"""A port's training beside a solver's: the other half of ``torchcaffe.diagnose``."""

from torchcaffe.diagnosis.training.diagnose import TrainingDiagnosis, diagnose_training
from torchcaffe.diagnosis.training.front import diagnose_both
from torchcaffe.diagnosis.training.lightning import lightning
from torchcaffe.diagnosis.training.prepare import reference_for
from torchcaffe.diagnosis.training.protocol import Batch, TrainingPort, training_port

__all__ = [
    "Batch",
    "TrainingDiagnosis",
    "TrainingPort",
    "diagnose_both",
    "diagnose_training",
    "lightning",
    "reference_for",
    "training_port",
]

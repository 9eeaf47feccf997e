"""A port's training beside a solver's: the other half of ``torchcaffe.diagnose``."""

from torchcaffe.diagnosis.training.diagnose import TrainingDiagnosis, diagnose_training
from torchcaffe.diagnosis.training.lightning import lightning
from torchcaffe.diagnosis.training.protocol import Batch, TrainingPort, training_port

__all__ = [
    "Batch",
    "TrainingDiagnosis",
    "TrainingPort",
    "diagnose_training",
    "lightning",
    "training_port",
]

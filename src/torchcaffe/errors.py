"""Every exception torchcaffe raises on purpose.

::

    CaffeError                 anything below; the command line prints it as one line, exit status 1
    ├── ParseError             a file is not what it says: file:line:column or file and byte
    ├── NetError               a net that Caffe itself would refuse, or that cannot be computed
    │   └── LayerError         ... because of one layer, which the message names
    │       └── UnknownLayerError   a type torchcaffe does not know
    ├── WeightsError           weights that do not fit the net
    ├── InputError             a value given by the caller: an input blob, an image, an option
    ├── SolverError            a solver that Caffe would refuse, a state that is not its own, or a
    │                          training run that cannot go on
    ├── RecordingError         a recording that cannot be read or compared
    └── ConversionError        source that cannot be written, or does not compute the same

    NetWarning                 a net holds something that has no effect, in Caffe as here
    WeightsWarning             weights were copied, but some layers of the net got none

A message says where, what was expected, what arrived, and the way out.
"""


class CaffeError(Exception):
    """Base of every error raised on purpose."""


class ParseError(CaffeError):
    """A file is not what it says it is; the message starts with the place in the file."""


class NetError(CaffeError):
    """The net cannot be built, as Caffe itself would refuse it."""


class LayerError(NetError):
    """One layer cannot be built or run; the message names it."""


class UnknownLayerError(LayerError):
    """A layer type that torchcaffe does not know."""


class WeightsError(CaffeError):
    """Weights that do not fit the net they are meant for."""


class InputError(CaffeError):
    """A value given by the caller that cannot be used."""


class SolverError(CaffeError):
    """A solver that Caffe would refuse, a state that is not its own, or a run that cannot go on."""


class RecordingError(CaffeError):
    """A recording of a Caffe run that cannot be read or compared."""


class ConversionError(CaffeError):
    """Source code that cannot be written, or does not compute what the net computes."""


class NetWarning(UserWarning):
    """A net holds something that has no effect, in Caffe as here."""


class WeightsWarning(UserWarning):
    """Weights were copied, but some layers of the net got none."""

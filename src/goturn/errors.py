"""Every exception goturn raises on purpose.

::

    torchcaffe.CaffeError
    └── GoturnError      anything below; the command line prints it as one line, exit status 1
        ├── BoxError     a box that nothing can be tracked with
        ├── DataError    an image, a video, an annotation or a data set that cannot be used
        └── ModelError   weights that are no GOTURN's
"""

from torchcaffe import CaffeError


class GoturnError(CaffeError):
    """Base of every error raised on purpose."""


class BoxError(GoturnError):
    """A box outside its image, empty, or not of numbers."""


class DataError(GoturnError):
    """An image, a video, an annotation or a data set that cannot be used; the message names it."""


class ModelError(GoturnError):
    """Weights that are no GOTURN's; the message says what is missing."""

"""Caffe's update rules and learning rates as ordinary torch optimizers and schedulers.

::

    optimizer = optim.SGD(optim.param_groups(net), lr=0.01, momentum=0.9, weight_decay=0.0005)
    scheduler = optim.CaffeLR(optimizer, "step", gamma=0.1, stepsize=100_000)
    for batch in batches:
        optimizer.zero_grad()
        net.run(batch).loss.backward()
        optimizer.step()
        scheduler.step()

``torchcaffe.Solver`` does all of it from a solver prototxt.
"""

from torchcaffe.solvers._base import CaffeOptimizer
from torchcaffe.solvers.adadelta import AdaDelta
from torchcaffe.solvers.adagrad import AdaGrad
from torchcaffe.solvers.adam import Adam
from torchcaffe.solvers.nesterov import Nesterov
from torchcaffe.solvers.param_groups import param_groups
from torchcaffe.solvers.rmsprop import RMSProp
from torchcaffe.solvers.scheduler import CaffeLR
from torchcaffe.solvers.sgd import SGD

__all__ = [
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "CaffeLR",
    "CaffeOptimizer",
    "Nesterov",
    "RMSProp",
    "param_groups",
]

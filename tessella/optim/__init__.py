"""Optimisers, under PyTorch's names."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import NoReturn as _NoReturn

from tessella.names import missing as _missing
from tessella.optim import lr_scheduler, swa_utils
from tessella.optim.adam import Adam, Adamax, AdamW, NAdam, RAdam
from tessella.optim.adaptive import Adadelta, Adafactor, Adagrad, RMSprop
from tessella.optim.groups import decay_groups
from tessella.optim.layerwise import LAMB, Muon
from tessella.optim.lbfgs import LBFGS
from tessella.optim.optimiser import Optimizer
from tessella.optim.sgd import ASGD, SGD
from tessella.optim.signs import Lion, Rprop

if not _TYPE_CHECKING:  # for which it would mean that all names are there

    def __getattr__(name: str) -> _NoReturn:
        """The error says what other libraries mean by this name, or which name is near it."""
        raise _missing("optim", name)


__all__ = [
    "ASGD",
    "LAMB",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "decay_groups",
    "lr_scheduler",
    "swa_utils",
]

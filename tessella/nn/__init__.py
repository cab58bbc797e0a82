"""Neural networks: modules, layers, functions, initialisations; names and layouts as PyTorch's."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import NoReturn as _NoReturn

from tessella.names import missing as _missing
from tessella.nn import functional, init, utils
from tessella.nn.containers import ModuleList, Sequential
from tessella.nn.functional_call import functional_call, stack_module_state
from tessella.nn.layers.activations import (
    ELU,
    GELU,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from tessella.nn.layers.convolution import Conv1d, Conv2d, Conv3d
from tessella.nn.layers.dropout import Dropout
from tessella.nn.layers.embedding import Embedding
from tessella.nn.layers.linear import Flatten, Identity, Linear
from tessella.nn.layers.losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from tessella.nn.layers.normalisation import BatchNorm1d, BatchNorm2d, LayerNorm
from tessella.nn.layers.pooling import AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
from tessella.nn.layers.recurrent import (
    GRU,
    LSTM,
    RNN,
    GRUCell,
    LSTMCell,
    RNNBase,
    RNNCell,
    RNNCellBase,
)
from tessella.nn.module import Module, Parameter

if not _TYPE_CHECKING:  # for which it would mean that all names are there

    def __getattr__(name: str) -> _NoReturn:
        """The error says what other libraries mean by this name, or which name is near it."""
        raise _missing("nn", name)


__all__ = [
    "ELU", "GELU", "GRU", "LSTM", "RNN", "AvgPool1d", "AvgPool2d", "BCELoss", "BCEWithLogitsLoss",
    "BatchNorm1d", "BatchNorm2d", "Conv1d", "Conv2d", "Conv3d", "CrossEntropyLoss", "Dropout",
    "Embedding", "Flatten", "GRUCell", "Hardtanh", "HuberLoss", "Identity", "L1Loss", "LSTMCell",
    "LayerNorm", "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax", "MSELoss", "MaxPool1d",
    "MaxPool2d", "Mish", "Module", "ModuleList", "NLLLoss", "Parameter", "RNNBase", "RNNCell",
    "RNNCellBase", "ReLU", "Sequential", "SiLU", "Sigmoid", "SmoothL1Loss", "Softmax", "Softplus",
    "Softsign", "Tanh", "functional", "functional_call", "init", "stack_module_state", "utils",
]  # fmt: skip

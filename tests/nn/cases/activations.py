"""Activations: every option, the corners, sizes 0 and 1."""

import numpy as np

from .case import case, normal

CORNERS = np.array(
    [-100, -25, -6, -3, -1, -0.5, -0.0, 0.0, 0.25, 0.5, 1, 3, 6, 19, 21, 100, np.inf, -np.inf], np.float32
)  # fmt: skip
SCALAR = {  # options of functions; of modules, whose names are the same but for capitals and underscores
    "relu": [{}], "relu6": [{}], "hardsigmoid": [{}], "hardswish": [{}], "selu": [{}],
    "logsigmoid": [{}], "sigmoid": [{}], "tanh": [{}], "softsign": [{}], "tanhshrink": [{}],
    "hardtanh": [{}, {"min_val": -0.5, "max_val": 3.0}, {"min_val": 1.0, "max_val": 1.0}],
    "celu": [{}, {"alpha": 2.5}, {"alpha": -0.5}], "elu": [{}, {"alpha": 2.0}, {"alpha": -1.0}],
    "leaky_relu": [{}, {"negative_slope": 0.3}, {"negative_slope": -0.5}],
    "hardshrink": [{}, {"lambd": 1.0}, {"lambd": -1.0}],
    "softshrink": [{}, {"lambd": 1.0}, {"lambd": 0.0}],
    "threshold": [{"threshold": 0.5, "value": -2.0}], "rrelu": [{}, {"lower": 0.25, "upper": 0.5}],
    "softplus": [{}, {"beta": 2.0, "threshold": 1.0}, {"beta": -2.0}],
}  # fmt: skip
MODULES = [
    case("ELU", normal(4, 5), alpha=2.0), case("GELU", normal(3, 5)), case("GELU", normal(3, 5), approximate="tanh"),
    case("SiLU", normal(0, 3)), case("Mish", normal(1)), case("CELU", normal(3, 1), alpha=0.5),
    case("SELU", normal(0, 5)), case("LeakyReLU", normal(3, 5), negative_slope=0.2),
    case("PReLU", normal(3, 5)), case("PReLU", normal(7)), case("PReLU", np.array(-0.5, np.float32)), case("PReLU", normal(2, 3, 5, 1), num_parameters=3),
    case("PReLU", normal(0, 3), num_parameters=3, init=0.5),
    case("RReLU", normal(3, 5), lower=0.1, upper=0.3)._replace(prepare=lambda layer: layer.eval()),
    case("ReLU", normal(3, 5)), case("ReLU6", normal(3, 5) * 5), case("Sigmoid", normal(3, 5)), case("Tanh", normal(3, 5)),
    case("Hardtanh", normal(3, 5), min_val=-0.5, max_val=0.7), case("Hardsigmoid", normal(3, 5) * 3),
    case("Hardswish", normal(1, 1) * 3), case("Hardshrink", normal(3, 5), lambd=0.7),
    case("Softshrink", normal(3, 5), lambd=0.7), case("Tanhshrink", normal(3, 5)),
    case("Threshold", normal(3, 5), threshold=0.1, value=20.0), case("Softplus", normal(3, 5), beta=3.0, threshold=2.0),
    case("Softsign", normal(3, 0)), case("LogSigmoid", normal(3, 5)),
    case("GLU", normal(3, 6)), case("GLU", normal(4, 1, 3), dim=0), case("GLU", normal(0, 6)),
    case("Softmax", normal(4, 5, 3), dim=1), case("LogSoftmax", normal(4, 5), dim=-2), case("Softmin", normal(4, 5), dim=0),
    case("Softmax2d", normal(2, 3, 5, 1)), case("Softmax2d", normal(3, 1, 5)), case("Softmax2d", normal(0, 3, 2, 2)),
]  # fmt: skip
OTHERS = [
    case("prelu", normal(2, 3, 5), normal(3, seed=3)), case("prelu", normal(1, 1), normal(1, seed=3)),
    case("glu", normal(5, 4)), case("glu", normal(4, 5), dim=-2), case("softmin", normal(0, 3), dim=1),
    case("softmax", normal(1, 1), dim=0), case("log_softmax", normal(3, 0), dim=0),
    case("gelu", CORNERS[:-2]), case("gelu", CORNERS[:-2], approximate="tanh"), case("silu", CORNERS[:-2]),
    case("mish", CORNERS[:-2]),
]  # fmt: skip
FUNCTIONS = [
    case(name, CORNERS, **options) for name, several in SCALAR.items() for options in several
]
CASES = [*FUNCTIONS, *MODULES, *OTHERS]

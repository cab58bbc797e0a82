"""Dropouts, where nothing is drawn: in evaluation, and with probabilities of zero and one."""

from .case import Case, case, normal

INPUTS = {
    "Dropout": normal(3, 4), "Dropout1d": normal(2, 3, 4), "Dropout2d": normal(2, 3, 4, 5), "Dropout3d": normal(2, 2, 3, 2, 2),
    "AlphaDropout": normal(3, 4), "FeatureAlphaDropout": normal(2, 3, 4),
}  # fmt: skip

CASES = [
    *[Case(name, (x,), {"p": 0.5}, prepare=lambda layer: layer.eval()) for name, x in INPUTS.items()],
    *[case(name, x, p=p) for name, x in INPUTS.items() for p in (0.0, 1.0)],
    case("Dropout1d", normal(3, 4), p=1.0),
    case("dropout3d", normal(2, 3, 2, 2), 0.3, False),
    case("alpha_dropout", normal(0, 3)),
]  # fmt: skip

"""Recurrent layers and their cells; pairs of states and packed sequences are in tests/nn/test_recurrent.py."""

from .case import case, normal

X, ONE = normal(5, 3, 4), normal(5, 4)
STATE = normal(1, 3, 6, seed=1)
OPTIONS = (
    {},
    {"bias": False},
    {"num_layers": 2},
    {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
)

CASES = [
    *(
        case(name, x, input_size=4, hidden_size=6, **options)
        for name in ("RNN", "LSTM", "GRU")
        for options in OPTIONS
        for x in (X, ONE)
    ),
    *(
        case(name, x, input_size=4, hidden_size=1)
        for name in ("RNN", "LSTM", "GRU")
        for x in (normal(1, 1, 4), normal(3, 0, 4))
    ),
    case("RNN", X, input_size=4, hidden_size=6, nonlinearity="relu", num_layers=2),
    case("RNN", X, STATE, input_size=4, hidden_size=6),
    case("GRU", X, STATE, input_size=4, hidden_size=6),
    case("GRU", ONE, normal(2, 6), input_size=4, hidden_size=6, num_layers=2),
    case(
        "GRU", X, normal(4, 5, 6), input_size=4, hidden_size=6, num_layers=2, bidirectional=True,
        batch_first=True,
    ),
    case("LSTM", X, input_size=4, hidden_size=6, proj_size=2),
    case("LSTM", X, input_size=4, hidden_size=6, proj_size=3, num_layers=2, bidirectional=True),
    case("LSTM", ONE, input_size=4, hidden_size=6, proj_size=3, bias=False),
    case("LSTM", X, input_size=4, hidden_size=6, num_layers=2, dropout=0.0),
    *(
        case(name, *inputs, input_size=4, hidden_size=6, bias=bias)
        for name in ("RNNCell", "LSTMCell", "GRUCell")
        for bias in (True, False)
        for inputs in ((normal(3, 4),), (normal(4),), (normal(0, 4),))
    ),
    case("RNNCell", normal(3, 4), normal(3, 6, seed=1), input_size=4, hidden_size=6),
    case("RNNCell", normal(3, 4), input_size=4, hidden_size=6, nonlinearity="relu"),
    case("GRUCell", normal(3, 4), normal(3, 6, seed=1), input_size=4, hidden_size=6),
    case("GRUCell", normal(4), normal(6, seed=1), input_size=4, hidden_size=6),
]  # fmt: skip

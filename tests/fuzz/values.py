"""What the calls are given: values good and bad, as expressions, so that each can be printed and made anew.

An expression may use `np`, `ts` and what is built in, and nothing else: a finding is one line that anyone can run.
"""

PRELUDE = "import numpy as np, tessella as ts"

TENSORS = [
    "ts.ones((2, 3))",
    "ts.ones((2, 3, 4, 4))",
    "ts.asarray([0.5, -1.0, 2.0])",
    "ts.asarray([[1.0, 2.0], [3.0, 4.0]])",
    "ts.asarray([1, 2, 3])",
    "ts.asarray([True, False, True])",
    "ts.asarray(2.5)",
    "ts.zeros((0,))",
    "ts.zeros((2, 0, 3))",
    "ts.ones((1, 1))",
    "ts.asarray([float('nan'), float('inf'), -float('inf')])",
    "ts.ones((2, 3), dtype=ts.float64)",
    "ts.ones((2, 2), dtype=ts.float16)",
    "ts.ones((3,), dtype=ts.bfloat16)",
    "ts.ones((2, 3)).astype(ts.float8_e4m3fn)",
    "ts.asarray([1, -2, 7], dtype=ts.int4)",
    "ts.ones((3,), dtype=ts.uint8)",
    "ts.asarray([1 + 2j, 3j])",
    "ts.asarray([-5, 7, 100])",
    "ts.ones((2, 3)).requires_grad_()",
    "(ts.ones((2, 3)).requires_grad_() * 2)",
    "ts.arange(24).reshape((2, 3, 4))",
    "ts.broadcast_to(ts.ones((1, 3)), (4, 3))",
    "ts.nn.Parameter(ts.ones((2, 3)))",
]

ARRAYS = [
    "np.ones((2, 3), np.float32)",
    "np.arange(6).reshape(2, 3)",
    "np.array([1.5, 2.5])",
    "np.array(3.0)",
    "np.zeros((0, 2))",
    "np.array([True, False])",
    "np.float32(1.5)",
    "np.int64(2)",
    "np.bool_(True)",
    "np.array([1 + 1j])",
    "[1.0, 2.0, 3.0]",
    "[[1, 2], [3, 4]]",
    "(1, 2, 3)",
]

BAD_ARRAYS = [
    "np.array(['a', 'b'])",
    "np.array([None, 1], dtype=object)",
    "np.array(['2020-01-01'], dtype='datetime64[D]')",
    "np.zeros(2, dtype=[('a', 'i4')])",
    "[[1, 2], [3]]",
    "[1, 'a']",
    "[ts.ones(2), 1.0]",
    "[]",
    "[[]]",
    "()",
    "np.ma.masked_array([1, 2], [True, False])",
]

INTEGERS = ["0", "1", "2", "3", "-1", "-2", "5", "7"]
EXTREME_NUMBERS = [
    "-100",
    "2**31",
    "2**40",
    "2**63",
    "-2**63",
    "2**64 - 1",
    "2**200",
    "10**400",
    "-10**400",
    "10**5000",
    "1e308",
    "-1e308",
    "5e-324",
    "float('nan')",
    "float('inf')",
    "-float('inf')",
    "1 + 2j",
    "True",
    "False",
    "-0.0",
    "__import__('fractions').Fraction(1, 3)",
    "__import__('decimal').Decimal('1.5')",
]
FLOATS = ["0.0", "0.5", "1.0", "-1.5", "0.1", "2.0", "1e-3"]

# Whoever walks along it never comes to an end.
ENDLESS = "type('Odd', (), {'__len__': lambda self: -1, '__getitem__': lambda self, i: i})()"

OBJECTS = [
    "None",
    "'abc'",
    "''",
    "b'x'",
    "bytearray(b'xy')",
    "{1, 2}",
    "frozenset()",
    "{'a': 1}",
    "{}",
    "{1: ts.ones(2)}",
    "object()",
    "Ellipsis",
    "NotImplemented",
    "slice(0, 2)",
    "range(3)",
    "(i for i in range(3))",
    "iter([ts.ones(2)])",
    "lambda *a, **k: None",
    "lambda x: x",
    "ts",
    "np",
    "np.nan",
    "ts.float32",
    "ts.nn.Linear(2, 2)",
    "ts.Tensor",
    ENDLESS,
    "type('NoBool', (), {'__bool__': lambda self: None, '__eq__': lambda self, o: None})()",
    "type('OwnIndex', (), {'__index__': lambda self: 2})()",
    "type('OwnFloat', (), {'__float__': lambda self: 2.0})()",
    "memoryview(b'abcd')",
    "'é\\x00'",
    "'x' * 3000",
]

TEXTS = [
    "'mean'", "'sum'", "'none'", "'abc'", "''", "'float32'", "'linear'", "'relu'", "'fan_in'", "'valid'",
    "'same'", "'cpu'", "'numpy'", "'weight'", "'i'", "'ij,jk->ik'", "'batch'", "'constant'", "'different'",
]  # fmt: skip

DTYPES = [
    "ts.float32", "ts.float64", "ts.int32", "ts.int64", "ts.bool", "ts.bfloat16", "ts.float16", "ts.uint8",
    "ts.float8_e5m2", "ts.uint4", "ts.complex64", "np.float32", "np.dtype('int64')", "float", "int", "bool", "'float32'", "np.dtype('>f4')",
    "np.dtype('O')", "'abc'", "None", "True", "3", "object", "np.longdouble", "np.str_",
]  # fmt: skip

SHAPES = [
    "(2, 3)", "[2, 3]", "3", "()", "(0,)", "(2, 0)", "(6,)", "(-1,)", "(3, -1)", "(1, 2, 3)", "np.int64(2)",
    "(np.int64(2), 3)", "(2.5,)", "(None,)", "('a',)", "b'x'", "{1, 2}", "'23'", "(True,)", "(2**40,)",
    "(2**31, 2**31)", "(2**63,)", "(-5,)", "((2, 3),)", "np.array([2, 3])", "ts.asarray([2, 3])", "(1,) * 40",
    "(i for i in (2, 3))", "2.5", "float('nan')", "{'a': 1}", "(2**16, 2**16, 0)",
]  # fmt: skip

AXES = [
    "0", "1", "-1", "-2", "2", "7", "-9", "None", "()", "(0,)", "(0, 1)", "[0, 1]", "(0, 0)", "(1, -1)", "''",
    "'0'", "1.0", "np.int64(0)", "ts.asarray(0)", "True", "(0.5,)", "(None,)", "2**63", "{0}", "float('nan')",
]  # fmt: skip

FUNCTIONS = [
    "lambda *a: a[0]",
    "lambda x: x * 2",
    "lambda x: (x * x).sum()",
    "lambda x: x.sum()",
    "lambda x, y: x + y",
    "lambda c, x: (c, x)",
    "lambda c, x: (c + x, c * x)",
    "lambda i, c: c + 1",
    "lambda *a, **k: None",
    "lambda *a: 1.0",
    "lambda *a: 'text'",
    "lambda *a: [a, a]",
    "lambda *a: 1 / 0",
    "lambda x: x > 0",
    "lambda x: x + 1",
    "ts.sin",
    "lambda x: abs(x)",
    "lambda x: np.sin(x)",
    "ts.nn.Linear(3, 2)",
    "ts.jit(lambda x: x + 1)",
    "ts.grad(lambda x: (x * x).sum())",
]

MODULES = [
    "ts.nn.Linear(3, 2)",
    "ts.nn.ReLU()",
    "ts.nn.Sequential(ts.nn.Linear(3, 2), ts.nn.Dropout(0.5))",
    "ts.nn.ModuleList([ts.nn.Linear(2, 2)])",
]

PARAMETERS = [
    "[ts.nn.Parameter(ts.ones((2, 3)))]",
    "ts.nn.Linear(3, 2).parameters()",
    "[{'params': [ts.nn.Parameter(ts.ones(2))], 'lr': 0.1}]",
    "[{'params': [ts.nn.Parameter(ts.ones(2))], 'lr': 'abc'}]",
    "[{'params': 3}]",
    "[{}]",
    "[{'lr': 0.1}]",
    "[]",
    "[ts.ones(2), {}]",
    "[ts.ones(2) for _ in range(2)]",
    "ts.nn.Linear(3, 2).named_parameters()",
    "[ts.asarray([1, 2])]",
    "{'params': [ts.nn.Parameter(ts.ones(2))]}",
    "[ts.nn.Parameter(ts.ones(2))] * 2",
]

TREES = [
    "{'a': ts.ones(2), 'b': [ts.zeros(3), None]}",
    "(ts.ones(2), (1, 2.0))",
    "[ts.ones(2), ts.ones(2)]",
    "[ts.ones((2, 3)), ts.ones((2, 3))]",
    "(ts.ones((2, 3)), ts.ones((3, 2)))",
    "[ts.ones(2), 'text']",
    "{1: 1, 'a': 2}",
]

STATES = [
    "ts.nn.Linear(3, 2).state_dict()",
    "{'weight': np.ones((2, 3)), 'bias': np.ones(2)}",
    "{'weight': 'text', 'bias': None}",
    "{1: ts.ones(2)}",
    "{'state': {}, 'param_groups': [{'params': [0], 'lr': 0.5}]}",
    "{'state': {}, 'param_groups': [{'params': [0], 'lr': 'abc'}]}",
    "{'state': {0: {'momentum_buffer': ts.ones(7)}}, 'param_groups': [{'params': [0]}]}",
    "{'state': {0: {'step': ts.ones(2), 'exp_avg': ts.ones(7), 'exp_avg_sq': 'abc'}}, 'param_groups': [{'params': [0]}]}",
    "{'state': {9: {}}, 'param_groups': [{'params': [0]}]}",
    "{'state': {'x': 3}, 'param_groups': [{'params': [0]}]}",
    "{'state': 3, 'param_groups': 4}",
    "{'state': {}, 'param_groups': [3]}",
    "{'state': {}, 'param_groups': [{}]}",
]

FLAGS = ["True", "False", "None", "1", "'yes'", "ts.ones(2)", "np.bool_(True)"]
BETAS = ["(0.9, 0.99)", "(0.9,)", "0.9", "(0.9, 'a')", "(1.0, 2.0)", "(float('nan'), 0.9)", "None", "[0.9, 0.99]", "()", "(0, 0)"]  # fmt: skip
KEYS = ["ts.random.key(0)", "ts.random.key(7)", "ts.asarray([1, 2])", "ts.ones(2)", "0"]
INDICES = [
    "0", "-1", "9", "slice(None)", "slice(None, None, -1)", "slice(None, None, 0)", "Ellipsis", "None", "[0, 1]", "(0, 1)",
    "ts.asarray([0, 1])", "ts.asarray([True, False])", "np.array([0, 1])", "1.5", "'a'", "(0, 0, 0, 0, 0)", "True",
    "2**70", "(Ellipsis, Ellipsis)", "[]", "[[0], [1]]", "slice(0.5, 2)", "{0}", "ts.asarray([99])",
]  # fmt: skip
NAMES = ["'weight'", "'a.b'", "''", "'extra'", "'forward'", "None", "3", "'0'"]

EVERYTHING = [
    *TENSORS, *ARRAYS, *BAD_ARRAYS, *INTEGERS, *EXTREME_NUMBERS, *FLOATS, *OBJECTS, *TEXTS, *SHAPES, *AXES, *FUNCTIONS,
    *TREES, *STATES,
]  # fmt: skip

# Conditions of loops that end.
ENDING = [
    "lambda *a: False",
    "lambda *a: 1 / 0",
    "lambda *a: 'text'",
    "lambda *a: [a, a]",
    "None",
    "3",
    "'abc'",
]

# Which of them may be meant by a parameter, by its name; the first line with a word that is in the name decides.
BY_NAME = [
    ("key", KEYS),
    ("device", ["None", "'cpu'", "'emulated'", "'cuda:0'", "3", "''"]),
    ("dtype kind", DTYPES),
    ("params", PARAMETERS),
    ("state_dict", STATES),
    ("betas", BETAS),
    ("index indices", [*INDICES, "ts.asarray([0, 2])"]),
    ("axes axis dim dims source destination", AXES),
    ("shape repeats sizes size_", [*SHAPES, *INTEGERS]),
    ("module modules child", [*MODULES, f"[{MODULES[0]}]"]),
    ("name target prefix", NAMES),
    ("reduction mode nonlinearity approximate path equation subscripts indexing side randomness", TEXTS),
    (
        "function fun f fn body branch true_fn cond predicate hook closure rule operator body_fun cond_fun combine branches",
        [*FUNCTIONS, "[lambda x: x, lambda x: x * 2]"],
    ),
    ("tree init carry xs operands args pytree leaves", [*TREES, *TENSORS]),
    (
        "bias affine keepdims strict recurse persistent amsgrad maximize nesterov copy training bidirectional batch_first"
        " track_running_stats descending stable requires_grad sorted replace has_aux decoupled set_to_none donate",
        FLAGS,
    ),
    ("tensor tensors input target query weight logits x x1 x2 a b other value mask condition", [*TENSORS, *ARRAYS]),
    (
        "features channels size num kernel stride padding dilation groups n k count length start stop step lower upper"
        " low high offset seed width steps window argnums levels",
        [*INTEGERS, *INTEGERS, "(2, 2)", "(1, 2)", *EXTREME_NUMBERS],
    ),
    (
        "lr eps momentum dampening weight_decay p alpha slope beta min max std mean gain label scale rate prob",
        [*FLOATS, *FLOATS, *EXTREME_NUMBERS],
    ),
]  # fmt: skip

"""What a function finds around itself: a compiled call does at every moment what the plain one would do.

Each case is run twice, plain and compiled; what it yields (results, and the state of things outside) must be the same.
"""

import array
import collections
import contextvars
import copy
import ctypes
import dataclasses
import enum
import functools
import gc
import operator
import types
import typing
import warnings
import weakref

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim
from tessella.transforms.jit import Jitted

A = ts.asarray
CASES = []


def case(function):
    CASES.append(function)
    return function


def shown(value):
    """What can be compared with `==`."""
    if isinstance(value, ts.Tensor):
        return value.dtype.name, np.round(value.detach().numpy(), 5).tolist()
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return [(key, shown(item)) for key, item in value.items()]
    return value


def traced(function, how, times):
    """Whether a compiled function was traced as rarely as it should."""
    count = len(getattr(function, "traces", ()))
    return not isinstance(function, Jitted) or (count <= times if how == "<=" else count == times)


def observed(make, jit):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.RetraceWarning)
        return [shown(value) for value in make(jit)]


x = ts.ones(2)
G = 2.0
GC = [1.0]
GD = {"a": 1.0}


@case
def global_number(jit):
    global G
    G = 2.0
    f = jit(lambda x: x * G)
    yield f(x)
    G = 3.0
    yield f(x)
    G = 3
    yield f(A([1, 2]))
    G = True
    yield f(x)


@case
def global_write(jit):
    global G
    G = 0

    def step(x):
        global G
        G += 1
        return x * G

    f = jit(step)
    for _ in range(6):
        yield f(x)
        yield G


@case
def nonlocal_write(jit):
    n = 0

    def step(x):
        nonlocal n
        n += 1
        return x * n

    f = jit(step)
    for _ in range(6):
        yield f(x)
        yield n
    yield traced(f, "<=", 3)


@case
def list_len(jit):
    part = [1.0]

    def s(x):
        for v in part:
            x = x * v
        return x + len(part)

    f = jit(s)
    yield f(x)
    part.append(2.0)
    yield f(x)
    part[0] = 5.0
    yield f(x)
    part.pop()
    yield f(x)


@case
def enum_objs(jit):
    class L:
        pass

    ls = [L(), L()]
    for i, part in enumerate(ls):
        part.s = float(i + 1)

    def s(x):
        for i, part in enumerate(ls):
            x = x * part.s + i
        return x

    f = jit(s)
    yield f(x)
    ls[1].s = 9.0
    yield f(x)


@case
def comp_objs(jit):
    class L:
        pass

    ls = [L(), L()]
    for i, part in enumerate(ls):
        part.s = float(i + 1)
    f = jit(lambda x: sum([x * part.s for part in ls if part.s > 0]))
    yield f(x)
    ls[1].s = 9.0
    yield f(x)
    ls[0].s = -1.0
    yield f(x)


@case
def zip_dict_items(jit):
    d = {"a": 1.0, "b": 2.0}

    def s(x):
        for _, v in d.items():
            x = x * v
        for k in d:
            x = x + d[k]
        return x

    f = jit(s)
    yield f(x)
    d["a"] = 3.0
    yield f(x)
    d["c"] = 4.0
    yield f(x)
    del d["a"]
    yield f(x)


@case
def dict_get(jit):
    d = {"a": 1.0}
    f = jit(lambda x: x * d.get("a", 2.0) + d.get("z", 0.5))
    yield f(x)
    d["z"] = 7.0
    yield f(x)
    del d["a"]
    yield f(x)


@case
def dict_in(jit):
    d = {}
    f = jit(lambda x: x * 2 if "k" in d else x)
    yield f(x)
    d["k"] = 1
    yield f(x)


@case
def getattr_dyn(jit):
    class C:
        pass

    c = C()
    c.a1 = 2.0

    def s(x):
        for i in range(2):
            x = x * getattr(c, f"a{i}", 1.0)
        return x

    f = jit(s)
    yield f(x)
    c.a0 = 5.0
    yield f(x)
    c.a1 = 3.0
    yield f(x)


@case
def hasattr_(jit):
    class C:
        pass

    c = C()
    f = jit(lambda x: x * 2 if hasattr(c, "q") else x)
    yield f(x)
    c.q = 1
    yield f(x)


@case
def class_attr(jit):
    class C:
        s = 2.0

    c = C()
    f = jit(lambda x: x * c.s * C.s)
    yield f(x)
    C.s = 3.0
    yield f(x)
    c.s = 5.0
    yield f(x)


@case
def method_helper(jit):
    class C:
        def __init__(s):
            s.k = 2.0
            s.inner = types.SimpleNamespace(z=1.0)

        def helper(s, x):
            return x * s.k + s.inner.z

        def step(s, x):
            return s.helper(x)

    c = C()
    f = jit(c.step)
    yield f(x)
    c.k = 4.0
    yield f(x)
    c.inner.z = 3.0
    yield f(x)
    c.inner = types.SimpleNamespace(z=8.0)
    yield f(x)
    C.helper = lambda s, x: x * 100
    yield f(x)
    c.helper = lambda x: x * 7
    yield f(x)


@case
def prop(jit):
    class C:
        def __init__(s):
            s._k = 2.0

        @property
        def k(s):
            return s._k * 2

    c = C()
    f = jit(lambda x: x * c.k)
    yield f(x)
    c._k = 5.0
    yield f(x)


@case
def slots(jit):
    class C:
        __slots__ = ("k",)

    c = C()
    c.k = 2.0
    f = jit(lambda x: x * c.k)
    yield f(x)
    c.k = 3.0
    yield f(x)


@case
def defaults(jit):
    cfg = {"s": 2.0}

    def s(x, c=cfg, k=3.0):
        return x * c["s"] * k

    f = jit(s)
    yield f(x)
    cfg["s"] = 5.0
    yield f(x)
    s.__defaults__ = (cfg, 1.0)
    yield f(x)


@case
def global_func(jit):
    def h(x):
        return x * 2

    box = [h]
    f = jit(lambda x: box[0](x))
    yield f(x)
    box[0] = lambda x: x * 3
    yield f(x)


@case
def nested_closures(jit):
    k = 2.0

    def inner(x):
        return x * k

    def outer(x):
        return ts.vmap(lambda y: inner(y) + k)(x)

    f = jit(outer)
    yield f(x)
    k = 3.0
    yield f(x)


@case
def module_attr(jit):
    class M(nn.Module):
        def __init__(s):
            super().__init__()
            s.l = nn.Linear(2, 2)
            s.flag = True
            s.scale = 1.5
            s.subs = nn.ModuleList([nn.Linear(2, 2)])

        def forward(s, x):
            y = s.l(x) * s.scale if s.flag else x
            for m in s.subs:
                y = m(y)
            return y

    ts.manual_seed(0)
    m = M()
    f = jit(lambda x: m(x))
    yield f(x)
    m.flag = False
    yield f(x)
    m.flag = True
    m.scale = 3.0
    yield f(x)
    ts.manual_seed(1)
    m.l = nn.Linear(2, 2)
    yield f(x)
    m.l.weight = nn.Parameter(ts.ones((2, 2)))
    yield f(x)
    m.l.bias = None
    yield f(x)
    ts.manual_seed(3)
    m.subs.append(nn.Linear(2, 2))
    yield f(x)
    m.subs = nn.ModuleList()
    yield f(x)
    del m.l
    m.l = nn.Identity()
    yield f(x)
    m.register_forward_hook(lambda m, i, o: o * 10)
    yield f(x)


@case
def dropout_p(jit):
    ts.manual_seed(0)
    d = nn.Dropout(0.5)
    s = nn.Sequential(d)
    f = jit(lambda x: s(x))
    a = ts.ones(1000)
    yield f(a).sum()
    d.p = 0.0
    yield f(a).sum()
    d.eval()
    yield f(a).sum()
    d.train()
    d.p = 1.0
    yield f(a).sum()


@case
def bn_momentum(jit):
    b = nn.BatchNorm1d(2)
    f = jit(lambda x: b(x))
    a = A([[1.0, 2.0], [3.0, 7.0]])
    yield f(a)
    yield b.running_mean
    b.momentum = 0.9
    yield f(a)
    yield b.running_mean
    b.running_mean = ts.zeros(2)
    yield f(a)
    yield b.running_mean
    b.eval()
    yield f(a)
    b.eps = 1.0
    yield f(a)


@case
def buffer_replace(jit):
    class M(nn.Module):
        def __init__(s):
            super().__init__()
            s.register_buffer("b", ts.zeros(2))
            s.n = 0

        def forward(s, x):
            s.b = s.b * 0.5 + x
            s.n += 1
            s.last = x * 2
            return s.b * s.n

    m = M()
    f = jit(lambda x: m(x))
    for i in range(6):
        yield f(x * i)
        yield m.b
        yield m.n
        yield m.last
    yield traced(f, "<=", 3)
    m.b = ts.ones(2) * 9
    yield f(x)
    yield m.b


@case
def append_loss(jit):
    h = []
    d = {}
    st = set()

    def s(x):
        part = x.sum()
        h.append(part)
        d["last"] = part
        d["n"] = d.get("n", 0) + 1
        st.add("k")
        return part

    f = jit(s)
    for i in range(5):
        yield f(x * i)
        yield h
        yield d
        yield sorted(st)
    yield traced(f, "<=", 4)


@case
def opt_roll(jit):
    p = nn.Parameter(ts.ones(2))
    o = optim.SGD([p], lr=0.1, momentum=0.9)

    def s():
        o.zero_grad()
        (p * p).sum().backward()
        o.step()

    f = jit(s)
    f()
    f()
    sd = copy.deepcopy(o.state_dict())
    f()
    yield p
    o.load_state_dict(sd)
    f()
    yield p
    o.state.clear()
    f()
    yield p
    yield o.state_dict()["state"]
    q = nn.Parameter(ts.ones(2) * 3)
    o.add_param_group({"params": [q], "lr": 1.0})
    q.grad = None
    f()
    yield p
    yield q
    o.param_groups[0]["momentum"] = 0.1
    f()
    yield p
    o.param_groups[0]["lr"] = 1.0
    f()
    yield p
    o.state[p]["momentum_buffer"] = ts.zeros(2)
    f()
    yield p
    o.param_groups[0]["params"].pop()
    f()
    yield p


@case
def args_mut(jit):
    def upd(p, g):
        p -= 0.1 * g
        return p

    p = ts.ones(2)
    f = jit(upd)
    yield f(p, ts.ones(2))
    yield p
    yield f(p, p)
    yield p
    yield f(p, ts.ones(2))
    yield p

    def si(x):
        x[0] = 5.0
        return x.sum()

    p = ts.ones(3)
    v = p[1:]
    f = jit(si)
    yield f(p)
    yield p
    yield v

    def asg(x, y):
        x.assign(y * 2)

    p = ts.ones(3)
    f = jit(asg)
    f(p, ts.ones(3))
    yield p


@case
def args_mut_tree(jit):
    def upd(d):
        d["p"] -= 1.0
        d["q"] = d["p"] * 2
        return d["q"]

    d = {"p": ts.ones(2)}
    f = jit(upd)
    yield f(d)
    yield d["p"]


@case
def grad_hist_accum(jit):
    w = ts.ones(2).requires_grad_()
    tot = ts.zeros(())

    def s(x):
        nonlocal tot
        tot = tot + (w * x).sum()
        return tot

    f = jit(s)
    r = f(x)
    yield r
    r.backward()
    yield w.grad


@case
def inplace_hist(jit):
    w = ts.ones(2).requires_grad_()
    tot = ts.zeros(())

    def s(x):
        nonlocal tot
        tot += (w * x).sum()

    f = jit(s)
    f(x)
    yield tot
    yield tot.requires_grad
    tot.backward()
    yield w.grad


@case
def np_capture(jit):
    a = np.ones(2, np.float32)
    f = jit(lambda x: x * a + a[1:])
    yield f(x)
    a[:] = 5
    yield f(x)
    a = np.zeros(2, np.float32)
    yield f(x)


@case
def np_capture_scalar(jit):
    a = np.ones(2, np.float32)
    f = jit(lambda x: x * float(a[0]) + np.sum(a))
    yield f(x)
    a[:] = 5
    yield f(x)
    a *= 2
    yield f(x)


@case
def np_capture_expr(jit):
    a = np.ones(2, np.float32)
    f = jit(lambda x: x * (a * 2))
    yield f(x)
    a[:] = 5
    yield f(x)


@case
def np_asarray(jit):
    a = np.ones(2, np.float32)
    f = jit(lambda x: x * ts.asarray(a) + ts.vmap(lambda y: y * ts.asarray(a).sum())(x))
    yield f(x)
    a[:] = 5
    yield f(x)


@case
def float_change(jit):
    cfg = types.SimpleNamespace(lr=0.1)
    f = jit(lambda x: x * cfg.lr)
    for i in range(10):
        cfg.lr = 0.1 * i
        yield f(x)
    yield traced(f, "<=", 3)


@case
def float_change_looked(jit):
    cfg = types.SimpleNamespace(lr=0.1)
    f = jit(lambda x: x * cfg.lr if cfg.lr > 0.3 else x)
    for i in range(6):
        cfg.lr = 0.1 * i
        yield f(x)


@case
def int_shape_change(jit):
    cfg = types.SimpleNamespace(n=1)
    f = jit(lambda x: ts.ones((cfg.n,)).sum() * x)
    for i in range(6):
        cfg.n = i + 1
        yield f(x)


@case
def int_range_change(jit):
    cfg = {"n": 1}

    def s(x):
        for i in range(cfg["n"]):
            x = x + i
        return x

    f = jit(s)
    for i in range(6):
        cfg["n"] = i
        yield f(x)


@case
def int_mul_int(jit):
    cfg = {"n": 1}
    xi = A([1, 2], dtype=ts.int32)
    f = jit(lambda x: (x * cfg["n"] + cfg["n"] * 3, x / cfg["n"]))
    for i in range(1, 6):
        cfg["n"] = i
        yield f(xi)


@case
def partial_(jit):
    cfg = {"k": 2.0}

    def g(c, x):
        return x * c["k"]

    f = jit(functools.partial(g, cfg))
    yield f(x)
    cfg["k"] = 3.0
    yield f(x)


@case
def callable_obj(jit):
    class C:
        def __init__(s):
            s.k = 2.0

        def __call__(s, x):
            return x * s.k

    c = C()
    f = jit(c)
    yield f(x)
    c.k = 4.0
    yield f(x)
    g = jit(lambda x: c(x))
    yield g(x)
    c.k = 6.0
    yield g(x)


@case
def jit_in_jit(jit):
    k = 2.0
    inner = jit(lambda x: x * k)
    f = jit(lambda x: inner(x) + 1)
    yield f(x)
    k = 5.0
    yield f(x)
    yield inner(x)


@case
def grad_glob(jit):
    cfg = {"k": 2.0}
    g = ts.grad(lambda x: (x * x * cfg["k"]).sum())
    f = jit(lambda x: g(x))
    yield f(x)
    cfg["k"] = 5.0
    yield f(x)
    f = jit(g)
    yield f(x)
    cfg["k"] = 7.0
    yield f(x)


@case
def dataclass_cfg(jit):
    @dataclasses.dataclass
    class Cfg:
        lr: float = 0.5
        n: int = 2

    c = Cfg()
    f = jit(lambda x: x * c.lr * c.n)
    yield f(x)
    c.lr = 2.0
    yield f(x)
    c.n = 4
    yield f(x)


@case
def ndict(jit):
    c = {"m": {"k": [1.0, {"z": 2.0}]}}
    f = jit(lambda x: x * c["m"]["k"][1]["z"])
    yield f(x)
    c["m"]["k"][1]["z"] = 9.0
    yield f(x)
    c["m"] = {"k": [1.0, {"z": 4.0}]}
    yield f(x)


@case
def train_in_step(jit):
    nn.Dropout(0.0)
    b = nn.BatchNorm1d(2)

    def s(x):
        b.train()
        return b(x)

    f = jit(s)
    a = A([[1.0, 2.0], [3.0, 7.0]])
    yield f(a)
    b.eval()
    yield f(a)
    yield b.training
    yield b.running_mean


@case
def unrelated(jit):
    m = nn.Linear(2, 2)
    m.step = 0
    cfg = {"k": 1.0, "i": 0}
    ts.manual_seed(0)
    nn.init.ones_(m.weight)

    class Tr:
        pass

    t = Tr()
    t.i = 0
    t.k = 2.0
    f = jit(lambda x: m(x).sum() * cfg["k"] * t.k)
    for i in range(5):
        m.step = i
        cfg["i"] = i
        t.i = i
        yield f(x) * 0
    yield traced(f, "==", 1)


@case
def param_in_list(jit):
    ps = [ts.ones(2).requires_grad_() for _ in range(2)]

    def s(x):
        part = sum((p * x).sum() for p in ps)
        part.backward()
        with ts.no_grad():
            for p in ps:
                p -= 0.1 * p.grad
                p.grad = None
        return part

    f = jit(s)
    yield f(x)
    yield f(x)
    yield ps[0]
    ps[0] = ts.ones(2).requires_grad_()
    yield f(x)
    yield ps[0]


@case
def returns_param(jit):
    m = nn.Linear(2, 2)
    f = jit(lambda x: m.weight)
    yield f(x) is m.weight


@case
def named_params(jit):
    ts.manual_seed(0)
    m = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    f = jit(lambda x: sum((p * p).sum() for n, p in m.named_parameters()) * x)
    yield f(x)
    m.append(nn.Linear(2, 2))
    nn.init.ones_(m[2].weight)
    nn.init.ones_(m[2].bias)
    yield f(x)


@case
def setattr_builtin(jit):
    class C:
        pass

    c = C()
    c.n = 0

    def s(x):
        c.n = c.n + 1
        c.t = x * 2
        return x

    f = jit(s)
    for _ in range(5):
        f(x)
        yield c.n
        yield c.t


@case
def custom_opt(jit):
    class Mine(optim.Optimizer):
        def __init__(s, p, lr):
            super().__init__(p, {"lr": lr})

        def _update(s, p, g, state, opt):
            if "m" not in state:
                state["m"] = ts.zeros_like(p)
            state["m"] = state["m"] * 0.9 + g
            p.assign(p - state["m"] * opt["lr"])

    p = nn.Parameter(ts.ones(2))
    o = Mine([p], 0.1)

    def s():
        o.zero_grad()
        (p * p).sum().backward()
        o.step()

    f = jit(s)
    for _i in range(5):
        f()
        yield p
    yield o.state_dict()
    o.param_groups[0]["lr"] = 0.5
    f()
    yield p
    yield traced(f, "<=", 5)


@case
def gens(jit):
    cfg = {"k": 2.0}

    def g():
        for i in range(2):
            yield cfg["k"] * i

    f = jit(lambda x: sum(x * v for v in g()))
    yield f(x)
    cfg["k"] = 5.0
    yield f(x)


@case
def lambda_default(jit):
    fs = [lambda x, i=i: x * i for i in range(3)]
    f = jit(lambda x: sum(g(x) for g in fs))
    yield f(x)
    fs[0] = lambda x: x * 100
    yield f(x)


@case
def ternary_attr(jit):
    a = types.SimpleNamespace(k=1.0)
    b = types.SimpleNamespace(k=2.0)
    sel = [True]
    f = jit(lambda x: x * (a if sel[0] else b).k)
    yield f(x)
    a.k = 5.0
    yield f(x)
    sel[0] = False
    yield f(x)
    b.k = 9.0
    yield f(x)


@case
def call_result_attr(jit):
    cfg = types.SimpleNamespace(k=1.0)
    d = {"a": cfg}
    part = [cfg]

    def get():
        return cfg

    f = jit(
        lambda x: x * get().k + d.get("a").k + next(iter(part)).k + max(part, key=lambda c: c.k).k
    )
    yield f(x)
    cfg.k = 5.0
    yield f(x)


@case
def next_only(jit):
    cfg = types.SimpleNamespace(k=1.0)
    part = [cfg]
    f = jit(lambda x: x * next(iter(part)).k)
    yield f(x)
    cfg.k = 5.0
    yield f(x)


@case
def with_stmt(jit):
    class Ctx:
        def __init__(s):
            s.k = 2.0

        def __enter__(s):
            return s

        def __exit__(s, *a):
            return False

    c = Ctx()

    def s(x):
        with c as d:
            return x * d.k

    f = jit(s)
    yield f(x)
    c.k = 3.0
    yield f(x)


@case
def try_stmt(jit):
    d = {}

    def s(x):
        try:
            return x * d["k"]
        except KeyError:
            return x

    f = jit(s)
    yield f(x)
    d["k"] = 3.0
    yield f(x)
    d["k"] = 4.0
    yield f(x)


@case
def set_global_tensor(jit):
    global GT
    GT = ts.zeros(2)

    def s(x):
        global GT
        GT = GT + x
        return GT * 2

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield GT
    yield traced(f, "==", 1)


@case
def hidden_state_tuple(jit):
    class R:
        def __init__(s):
            s.h = (ts.zeros(2), ts.zeros(2))

        def __call__(s, x):
            a, b = s.h
            s.h = (a + x, b + a)
            return a + b

    r = R()
    f = jit(lambda x: r(x))
    for _ in range(5):
        yield f(x)
        yield r.h


@case
def swap_state(jit):
    c = types.SimpleNamespace(a=ts.ones(2), b=ts.zeros(2))

    def s(x):
        c.a, c.b = c.b, c.a
        return c.a * x

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield c.a


@case
def star_args(jit):
    cfg = {"a": 2.0, "b": 3.0}
    part = [1.0, 2.0]

    def g(x, a, b):
        return x * a + b

    f = jit(lambda x: g(x, *part) + g(x, **cfg))
    yield f(x)
    part[0] = 7.0
    yield f(x)
    cfg["b"] = 9.0
    yield f(x)


@case
def fstring_key(jit):
    d = {"k1": 1.0, "k2": 2.0}

    def s(x):
        for i in (1, 2):
            x = x * d[f"k{i}"]
        return x

    f = jit(s)
    yield f(x)
    d["k2"] = 5.0
    yield f(x)


@case
def match_(jit):
    c = types.SimpleNamespace(mode="a", k=2.0)

    def s(x):
        match c.mode:
            case "a":
                return x * c.k
            case _:
                return x

    f = jit(s)
    yield f(x)
    c.k = 3.0
    yield f(x)
    c.mode = "b"
    yield f(x)


@case
def match_map(jit):
    c = {"mode": "a", "k": 2.0}

    def s(x):
        match c:
            case {"mode": "a", "k": k}:
                return x * k
            case _:
                return x

    f = jit(s)
    yield f(x)
    c["k"] = 3.0
    yield f(x)
    c["mode"] = "b"
    yield f(x)


@case
def match_cls(jit):
    @dataclasses.dataclass
    class P:
        a: float
        b: float

    c = [P(1.0, 2.0)]

    def s(x):
        match c[0]:
            case P(a=1.0, b=b):
                return x * b
            case P(a=a, b=b):
                return x * a * b

    f = jit(s)
    yield f(x)
    c[0].b = 3.0
    yield f(x)
    c[0].a = 5.0
    yield f(x)


class E(enum.Enum):
    A = 1
    B = 2


@case
def enum_(jit):
    c = types.SimpleNamespace(m=E.A)
    f = jit(lambda x: x * 2 if c.m is E.A else x * c.m.value)
    yield f(x)
    c.m = E.B
    yield f(x)


@case
def any_all(jit):
    fl = [False, False]
    f = jit(lambda x: x * 2 if any(fl) else x + sum(fl) + max(fl))
    yield f(x)
    fl[1] = True
    yield f(x)


@case
def sorted_keys(jit):
    d = {"b": 1.0, "a": 2.0}

    def s(x):
        for k in sorted(d):
            x = x * d[k] + len(k)
        return x

    f = jit(s)
    yield f(x)
    d["aaa"] = 3.0
    yield f(x)
    d["b"] = 0.5
    yield f(x)


@case
def super_fw(jit):
    class A(nn.Module):
        def __init__(s):
            super().__init__()
            s.k = 2.0

        def forward(s, x):
            return x * s.k

    class B(A):
        def __init__(s):
            super().__init__()
            s.j = 3.0

        def forward(s, x):
            return super().forward(x) * s.j

    b = B()
    f = jit(b)
    yield f(x)
    b.k = 5.0
    yield f(x)
    b.j = 1.0
    yield f(x)
    A.forward = lambda s, x: x * 1000
    yield f(x)


@case
def seq_item(jit):
    ts.manual_seed(0)
    s = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    f = jit(lambda x: s(x))
    yield f(x)
    s[0].weight.assign(ts.ones((2, 2)))
    yield f(x)
    s._modules["0"] = nn.Identity()
    yield f(x)
    s.append(nn.Dropout(1.0))
    yield f(x)
    s.eval()
    yield f(x)
    s._modules.clear()
    yield f(x)


@case
def params_direct(jit):
    part = nn.Linear(2, 2)
    nn.init.ones_(part.weight)
    nn.init.ones_(part.bias)
    f = jit(lambda x: part(x))
    yield f(x)
    part._parameters["bias"] = nn.Parameter(ts.ones(2) * 5)
    yield f(x)
    part.register_parameter("bias", None)
    yield f(x)


@case
def freeze(jit):
    ts.manual_seed(0)
    m = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    o = optim.SGD(m.parameters(), lr=0.1)

    def s(x):
        o.zero_grad()
        part = m(x).sum()
        part.backward()
        o.step()
        return part

    f = jit(s)
    a = ts.ones((3, 2))
    yield f(a)
    m[0].requires_grad_(False)
    yield f(a)
    yield m.state_dict()
    m[0].requires_grad_(True)
    yield f(a)
    yield m.state_dict()


@case
def sched(jit):
    p = nn.Parameter(ts.ones(2))
    o = optim.Adam([p], lr=0.1)

    def s():
        o.zero_grad()
        (p * p).sum().backward()
        o.step()

    f = jit(s)
    for i in range(6):
        for g in o.param_groups:
            g["lr"] = 0.1 / (i + 1)
        f()
        yield p
    yield traced(f, "<=", 2)
    o.param_groups[0]["betas"] = (0.5, 0.9)
    f()
    yield p
    o.param_groups[0]["weight_decay"] = 0.1
    f()
    yield p
    o.param_groups = [{**o.param_groups[0], "lr": 0.5}]
    f()
    yield p


@case
def rng(jit):
    ts.manual_seed(0)
    f = jit(lambda x: x + ts.rand(2))
    yield f(x)
    yield f(x)
    ts.manual_seed(0)
    yield f(x)


@case
def user_getattr(jit):
    class C:
        def __init__(s):
            s.d = {"k": 2.0}

        def __getattr__(s, n):
            try:
                return s.__dict__["d"][n]
            except KeyError:
                raise AttributeError(n) from None

    c = C()
    f = jit(lambda x: x * c.k)
    yield f(x)
    c.d["k"] = 5.0
    yield f(x)


@case
def dict_attr(jit):
    class C:
        pass

    c = C()
    c.k = 1.0
    f = jit(lambda x: x * c.__dict__["k"] + sum(vars(c).values()))
    yield f(x)
    c.k = 4.0
    yield f(x)
    c.j = 2.0
    yield f(x)


@case
def dict_update_self(jit):
    class C:
        pass

    c = C()
    c.n = 0

    def s(x):
        c.__dict__["n"] += 1
        c.__dict__["t"] = x * c.n
        return c.t

    f = jit(s)
    for _ in range(5):
        yield f(x)
        yield c.n
        yield c.t


@case
def deque_(jit):
    d = collections.deque([1.0, 2.0], maxlen=2)
    f = jit(lambda x: x * d[0] + d[-1])
    yield f(x)
    d.append(5.0)
    yield f(x)


@case
def deque_write(jit):
    d = collections.deque(maxlen=3)

    def s(x):
        d.append(x.sum())
        return x

    f = jit(s)
    for i in range(5):
        f(x * i)
        yield list(d)


@case
def defaultdict_(jit):
    d = collections.defaultdict(float)
    f = jit(lambda x: x + d.get("a", 1.0))
    yield f(x)
    d["a"] = 5.0
    yield f(x)


@case
def counter_like(jit):
    d = collections.defaultdict(int)

    def s(x):
        d["calls"] += 1
        return x

    f = jit(s)
    for _ in range(5):
        f(x)
        yield dict(d)


@case
def set_(jit):
    st = {"a"}
    f = jit(lambda x: x * 2 if "b" in st else x * len(st))
    yield f(x)
    st.add("b")
    yield f(x)
    st.discard("b")
    yield f(x)


@case
def nested_nonlocal(jit):
    n = 0

    def outer(x):
        def inc():
            nonlocal n
            n += 1

        inc()
        inc()
        return x * n

    f = jit(outer)
    for _ in range(5):
        yield f(x)
        yield n


@case
def inner_local_nonlocal(jit):
    def outer(x):
        c = 0

        def inc():
            nonlocal c
            c += 1
            return c

        inc()
        return x * inc()

    f = jit(outer)
    yield f(x)
    yield f(x)


@case
def fresh_objects(jit):
    class Acc:
        def __init__(s):
            s.items = []
            s.n = 0
            s.d = {}

        def add(s, v):
            s.items.append(v)
            s.n += 1
            s.d[s.n] = v
            s.o = object()

    def f_(x):
        a = Acc()
        a.add(x)
        a.add(x * 2)
        return sum(a.items) * a.n + a.d[1]

    f = jit(f_)
    yield f(x)
    yield f(x)
    yield traced(f, "==", 1)


@case
def fresh_module(jit):
    def f_(x):
        d = nn.Dropout(0.0)
        d.p = 0.0
        d.zz = [1]
        return d(x)

    f = jit(f_)
    yield f(x)
    yield f(x)
    yield traced(f, "==", 1)


@case
def decorated(jit):
    c = {"k": 2.0}

    def deco(g):
        @functools.wraps(g)
        def w(*a, **k):
            return g(*a, **k) * c["k"]

        return w

    @deco
    def g(x):
        return x + c["k"]

    f = jit(g)
    yield f(x)
    c["k"] = 3.0
    yield f(x)


@case
def lists_of_tensors(jit):
    ws = [ts.ones(2), ts.ones(2) * 2]
    f = jit(lambda x: ts.stack(ws).sum(axis=0) * x)
    yield f(x)
    ws.append(ts.ones(2) * 9)
    yield f(x)
    ws[0] = ts.zeros(2)
    yield f(x)


@case
def dict_of_tensors(jit):
    ws = {"a": ts.ones(2)}

    def s(x):
        ws["a"] = ws["a"] * 0.9 + x
        return ws["a"]

    f = jit(s)
    for _i in range(4):
        yield f(x)
        yield ws["a"]
    yield traced(f, "==", 1)
    ws["a"] = ts.ones((3, 2))
    yield f(x)


@case
def ema(jit):
    ts.manual_seed(0)
    m = nn.Linear(2, 1)
    sh = {k: v.copy() for k, v in m.state_dict().items()}
    o = optim.SGD(m.parameters(), lr=0.1)

    def s(x):
        o.zero_grad()
        m(x).sum().backward()
        o.step()
        with ts.no_grad():
            for k, v in m.named_parameters():
                sh[k] = sh[k] * 0.9 + v.detach() * 0.1

    f = jit(s)
    for _ in range(3):
        f(ts.ones((1, 2)))
        yield sh
    yield traced(f, "<=", 2)


@case
def shift(jit):
    c = types.SimpleNamespace(prev=ts.zeros(2), cur=ts.zeros(2))

    def s(x):
        c.prev = c.cur
        c.cur = c.cur + x
        return c.cur - c.prev

    f = jit(s)
    for i in range(4):
        yield f(x * i)
        yield c.prev
        yield c.cur
    yield traced(f, "<=", 2)


@case
def alias_two_places(jit):
    t = ts.zeros(2)
    c = types.SimpleNamespace(a=t, b=t)

    def s(x):
        c.a = c.a + x
        return c.a + c.b

    f = jit(s)
    for _i in range(4):
        yield f(x)
        yield c.a
        yield c.b


@case
def rebind_type(jit):
    c = types.SimpleNamespace(k=2.0)
    f = jit(lambda x: x * c.k)
    yield f(A([1, 2]))
    c.k = 2
    yield f(A([1, 2]))
    c.k = True
    yield f(A([1, 2]))
    c.k = np.float32(2)
    yield f(A([1, 2]))
    c.k = np.float64(2)
    yield f(A([1, 2]))
    c.k = A(2.0)
    yield f(A([1, 2]))
    c.k = A(5.0)
    yield f(A([1, 2]))


@case
def negzero(jit):
    c = types.SimpleNamespace(k=0.0)
    f = jit(lambda x: 1 / (x * c.k))
    yield str(f(x))
    c.k = -0.0
    yield str(f(x))


@case
def none_to_tensor(jit):
    c = types.SimpleNamespace(h=None)

    def s(x):
        c.h = x if c.h is None else c.h + x
        return c.h * 1

    f = jit(s)
    for _i in range(4):
        yield f(x)
        yield c.h


@case
def hist_state(jit):
    w = ts.ones(2).requires_grad_()
    c = types.SimpleNamespace(h=ts.zeros(2))

    def s(x):
        c.h = c.h + w * x
        return c.h.sum()

    f = jit(s)
    r = f(x)
    r.backward()
    yield w.grad
    yield c.h
    yield c.h.requires_grad


@case
def arg_obj_attr(jit):
    class B:
        pass

    b = B()
    b.k = 2.0
    b.t = ts.ones(2)
    f = jit(lambda b, x: b.t * x * b.k)
    yield f(b, x)
    b.k = 3.0
    yield f(b, x)
    b.t = ts.zeros(2)
    yield f(b, x)


@case
def arg_obj_write(jit):
    class B:
        pass

    b = B()
    b.n = 0

    def s(b, x):
        b.n += 1
        b.t = x * b.n
        return b.t

    f = jit(s)
    for _ in range(5):
        yield f(b, x)
        yield b.n
        yield b.t


@case
def arg_list_append(jit):
    part = []

    def s(part, x):
        part.append(x * 2)
        return x

    f = jit(s)
    f(part, x)
    yield part
    f(part, x)
    yield part


@case
def arg_dict_set(jit):
    d = {"a": ts.ones(2)}

    def s(d, x):
        d["b"] = d["a"] + x
        d["a"] = x

    f = jit(s)
    f(d, x)
    yield d
    f(d, x)
    yield d


@case
def method_of_a_trainer(jit):
    class Trainer:
        def __init__(self):
            self.n, self.losses, self.clip = 0, [], 1.0
            self.model = nn.Linear(2, 1)
            self.optimiser = optim.Adam(self.model.parameters())

        @jit
        def step(self, x):
            self.optimiser.zero_grad()
            loss = (self.model(x) ** 2).mean() * self.clip
            loss.backward()
            self.optimiser.step()
            self.n += 1
            self.losses.append(loss.detach())
            return loss

    ts.manual_seed(0)
    trainer = Trainer()
    for i in range(6):
        yield trainer.step(ts.ones((2, 2)) * i)
        yield trainer.n
        yield trainer.losses
    trainer.clip = 0.5
    yield trainer.step(ts.ones((2, 2)))
    other = copy.deepcopy(trainer)
    yield other.step(ts.ones((2, 2)))
    yield trainer.n
    yield other.n


@case
def leak(jit):
    class T:
        def __init__(s):
            s.k = ts.ones(2)

        @jit
        def step(s, x):
            return s.k * x

    t = T()
    t.step(x)
    t.step(x)
    r = weakref.ref(t)
    del t
    gc.collect()
    yield r() is None


@case
def property_set(jit):
    class C:
        def __init__(s):
            s._k = 1.0

        @property
        def k(s):
            return s._k

        @k.setter
        def k(s, v):
            s._k = v * 2

    c = C()

    def s(x):
        c.k = 3.0
        return x * c.k

    f = jit(s)
    yield f(x)
    yield c._k
    c._k = 0.0
    yield f(x)
    yield c._k


@case
def setattr_custom(jit):
    class C:
        def __setattr__(s, n, v):
            object.__setattr__(s, n, v)

    c = C()
    c.n = 0

    def s(x):
        c.n += 1
        return x * c.n

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield c.n


@case
def module_in_dict_global(jit):
    reg = {"enc": nn.Linear(2, 2)}
    nn.init.ones_(reg["enc"].weight)
    nn.init.zeros_(reg["enc"].bias)
    f = jit(lambda x: reg["enc"](x))
    yield f(x)
    reg["enc"] = nn.Identity()
    yield f(x)


@case
def isinstance_(jit):
    c = [nn.ReLU()]
    f = jit(lambda x: x * 2 if isinstance(c[0], nn.ReLU) else x)
    yield f(x)
    c[0] = nn.Identity()
    yield f(x)


@case
def loops_reading(jit):
    cfg = {"k": 1.0}
    f = jit(
        lambda x: (
            ts.scan(lambda c, y: (c * cfg["k"] + y, c), ts.zeros(()), x)[0]
            + ts.cond(x.sum() > 0, lambda v: v.sum() * cfg["k"], lambda v: v.sum(), x)
            + ts.fori_loop(0, 3, lambda i, c: c * cfg["k"], ts.asarray(1.0))
        )
    )
    yield f(x)
    cfg["k"] = 3.0
    yield f(x)


@case
def vmap_grad_mod(jit):
    ts.manual_seed(0)
    m = nn.Linear(2, 1)
    m.k = 2.0
    g = ts.vmap(ts.grad(lambda v: (m(v) * m.k).sum()))
    f = jit(lambda x: g(x))
    yield f(ts.ones((3, 2)))
    m.k = 5.0
    yield f(ts.ones((3, 2)))
    m.weight = nn.Parameter(ts.ones((1, 2)))
    yield f(ts.ones((3, 2)))


@case
def ckpt(jit):
    cfg = {"k": 2.0}
    w = ts.ones(2).requires_grad_()

    def s(x):
        w.grad = None
        part = ts.checkpoint(lambda v: (v * w * cfg["k"]).sum())(x)
        part.backward()
        return part

    f = jit(s)
    yield f(x)
    yield w.grad
    cfg["k"] = 5.0
    yield f(x)
    yield w.grad


@case
def tuple_cfg(jit):
    c = types.SimpleNamespace(t=(1.0, 2.0))
    f = jit(lambda x: x * c.t[0] + c.t[1])
    yield f(x)
    c.t = (1.0, 2.0)
    yield f(x)
    c.t = (3.0, 2.0)
    yield f(x)
    yield traced(f, "==", 2)


@case
def namedtuple_cfg(jit):
    P = collections.namedtuple("P", "a b")
    c = [P(1.0, 2.0)]
    f = jit(lambda x: x * c[0].a + c[0].b)
    yield f(x)
    c[0] = P(5.0, 2.0)
    yield f(x)
    c[0] = c[0]._replace(b=9.0)
    yield f(x)


@case
def unpack(jit):
    c = {"p": (1.0, [2.0])}

    def s(x):
        a, [b] = c["p"]
        _a2, *r = c["p"]
        return x * a + b + r[0][0]

    f = jit(s)
    yield f(x)
    c["p"][1][0] = 7.0
    yield f(x)
    c["p"] = (3.0, [1.0])
    yield f(x)


@case
def slice_list(jit):
    part = [1.0, 2.0, 3.0]
    f = jit(lambda x: x * sum(part[1:]) + part[-1])
    yield f(x)
    part[2] = 9.0
    yield f(x)


@case
def list_concat(jit):
    part = [1.0]
    f = jit(lambda x: x * sum(part + [2.0]) + (part == [1.0]))
    yield f(x)
    part[0] = 4.0
    yield f(x)


@case
def list_iadd(jit):
    part = []

    def s(x):
        nonlocal part
        part += [x.sum()]
        return x

    f = jit(s)
    for i in range(4):
        f(x * i)
        yield part


@case
def cond_expr_method(jit):
    a = types.SimpleNamespace(f=lambda x: x * 2)
    b = types.SimpleNamespace(f=lambda x: x * 3)
    c = [True]
    f = jit(lambda x: (a if c[0] else b).f(x))
    yield f(x)
    a.f = lambda x: x * 10
    yield f(x)
    c[0] = False
    yield f(x)
    b.f = lambda x: x * 7
    yield f(x)


@case
def map_filter(jit):
    ls = [types.SimpleNamespace(k=1.0), types.SimpleNamespace(k=2.0)]
    f = jit(
        lambda x: (
            x * sum(map(lambda part: part.k, ls)) + len(list(filter(lambda part: part.k > 1, ls)))
        )
    )
    yield f(x)
    ls[0].k = 5.0
    yield f(x)


@case
def attrgetter_(jit):
    c = types.SimpleNamespace(k=1.0)
    f = jit(lambda x: x * operator.attrgetter("k")(c))
    yield f(x)
    c.k = 5.0
    yield f(x)


@case
def reduce_(jit):
    ls = [types.SimpleNamespace(k=1.0), types.SimpleNamespace(k=2.0)]
    f = jit(lambda x: x * functools.reduce(lambda a, part: a + part.k, ls, 0.0))
    yield f(x)
    ls[0].k = 5.0
    yield f(x)


@case
def replace_dc(jit):
    @dataclasses.dataclass
    class C:
        a: float = 1.0

    c = C()
    f = jit(lambda x: x * dataclasses.replace(c).a + dataclasses.asdict(c)["a"] + copy.copy(c).a)
    yield f(x)
    c.a = 5.0
    yield f(x)


@case
def cls_counter(jit):
    class C:
        n = 0

    def s(x):
        C.n += 1
        return x * C.n

    f = jit(s)
    for _ in range(5):
        yield f(x)
        yield C.n


@case
def func_attr(jit):
    def h(x):
        return x * h.k

    h.k = 2.0
    f = jit(lambda x: h(x))
    yield f(x)
    h.k = 5.0
    yield f(x)


@case
def func_code(jit):
    def h(x):
        return x * 2

    f = jit(lambda x: h(x))
    yield f(x)
    h.__code__ = (lambda x: x * 9).__code__
    yield f(x)


# --- users' containers, descriptors, metaclasses, and what was made in the function --------------------


def layer_of_ones():
    layer = nn.Linear(2, 2)
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


@case
def list_subclass_super(jit):
    class L(list):
        def __getitem__(s, i):
            return super().__getitem__(i) * 2

    row = L([1.0, 2.0])
    f = jit(lambda x: x * row[0])
    yield f(x)
    row[0] = 5.0
    yield f(x)


@case
def dict_missing(jit):
    class D(dict):
        def __missing__(s, k):
            return s.d

    d = D(a=1.0)
    d.d = 3.0
    f = jit(lambda x: x * d["b"])
    yield f(x)
    d.d = 4.0
    yield f(x)
    d["b"] = 9.0
    yield f(x)


@case
def userdict(jit):
    d = collections.UserDict(a=1.0)
    f = jit(lambda x: x * d["a"])
    yield f(x)
    d["a"] = 3.0
    yield f(x)
    del d["a"]
    d["a"] = 8.0
    yield f(x)


@case
def userlist(jit):
    d = collections.UserList([1.0])
    f = jit(lambda x: x * d[0])
    yield f(x)
    d[0] = 3.0
    yield f(x)
    d.append(3.0)
    yield f(x)


@case
def chainmap(jit):
    a = {"k": 1.0}
    b = {}
    d = collections.ChainMap(b, a)
    f = jit(lambda x: x * d["k"])
    yield f(x)
    a["k"] = 3.0
    yield f(x)
    b["k"] = 7.0
    yield f(x)


@case
def mappingproxy(jit):
    a = {"k": 1.0}
    d = types.MappingProxyType(a)
    f = jit(lambda x: x * d["k"])
    yield f(x)
    a["k"] = 3.0
    yield f(x)


@case
def mappingproxy_get(jit):
    a = {"k": 1.0}
    d = types.MappingProxyType(a)
    f = jit(lambda x: x * d.get("k"))
    yield f(x)
    a["k"] = 3.0
    yield f(x)


@case
def counter_most(jit):
    c = collections.Counter(a=2, b=1)
    f = jit(lambda x: x * c.most_common(1)[0][1])
    yield f(x)
    c["b"] += 9
    yield f(x)
    c.update(["b"])
    yield f(x)


@case
def counter_inc(jit):
    c = collections.Counter()

    def s(x):
        c["n"] += 1
        return x * c["n"]

    f = jit(s)
    for _ in range(5):
        yield f(x)
        yield dict(c)


@case
def counter_total(jit):
    c = collections.Counter(a=2)
    f = jit(lambda x: x * c.total())
    yield f(x)
    c["z"] = 4
    yield f(x)


@case
def descriptor(jit):
    class D:
        def __init__(s, v):
            s.v = v

        def __get__(s, o, t=None):
            return s.v if o is None else s.v * o.m

    class C:
        d = D(2.0)

    c = C()
    c.m = 1.0
    f = jit(lambda x: x * c.d)
    yield f(x)
    c.m = 3.0
    yield f(x)
    C.__dict__["d"].v = 9.0
    yield f(x)
    c.__dict__["d"] = 100.0
    yield f(x)


@case
def data_descriptor(jit):
    class D:
        def __set_name__(s, o, n):
            s.n = "_" + n

        def __get__(s, o, t=None):
            return getattr(o, s.n)

        def __set__(s, o, v):
            setattr(o, s.n, v * 2)

    class C:
        d = D()

    c = C()
    c.d = 1.0

    def st(x):
        c.d = c.d + 1
        return x * c.d

    f = jit(st)
    yield f(x)
    yield c._d
    yield f(x)
    yield c._d
    c.d = 7.0
    yield f(x)
    yield c._d


@case
def metaclass_attr(jit):
    class M(type):
        k = 2.0

        @property
        def p(cls):
            return cls.z

    class C(metaclass=M):
        z = 3.0

    f = jit(lambda x: x * C.k * C.p)
    yield f(x)
    M.k = 5.0
    yield f(x)
    C.z = 4.0
    yield f(x)
    C.k = 1.0
    yield f(x)


@case
def meta_getattr(jit):
    class M(type):
        def __getattr__(cls, n):
            return cls.t[n]

    class C(metaclass=M):
        t = {"q": 2.0}

    f = jit(lambda x: x * C.q)
    yield f(x)
    C.t["q"] = 5.0
    yield f(x)
    C.q = 8.0
    yield f(x)


@case
def getattr_dict(jit):
    class C:
        def __init__(s):
            s.__dict__["d"] = {}

        def __getattr__(s, n):
            try:
                return s.d[n]
            except KeyError:
                raise AttributeError(n) from None

        def __setattr__(s, n, v):
            s.d[n] = v

    c = C()
    c.k = 2.0

    def st(x):
        c.n = c.k + 1
        return x * c.n

    f = jit(st)
    yield f(x)
    c.k = 3.0
    yield f(x)
    yield c.d
    g = jit(lambda x: x * getattr(c, "zz", 7.0))
    yield g(x)
    c.zz = 1.0
    yield g(x)


@case
def attrdict(jit):
    class AD(dict):
        __getattr__ = dict.__getitem__
        __setattr__ = dict.__setitem__

    c = AD(k=2.0)
    f = jit(lambda x: x * c.k)
    yield f(x)
    c.k = 3.0
    yield f(x)
    c["k"] = 4.0
    yield f(x)


@case
def attrdict_self(jit):
    class AD(dict):
        def __init__(s, *a, **k):
            super().__init__(*a, **k)
            s.__dict__ = s

    c = AD(k=2.0)
    f = jit(lambda x: x * c.k)
    yield f(x)
    c.k = 3.0
    yield f(x)
    c["k"] = 4.0
    yield f(x)


@case
def super_attr(jit):
    class A0:
        k = 1.0

    class B0(A0):
        k = 2.0

        def h(s, x):
            return x * super().k * s.k

    b = B0()
    f = jit(lambda x: b.h(x))
    yield f(x)
    A0.k = 5.0
    yield f(x)
    B0.k = 3.0
    yield f(x)


@case
def super_getitem(jit):
    class D(dict):
        def __getitem__(s, k):
            return super().__getitem__(k) * s.m

        m = 2.0

    d = D(a=1.0)
    f = jit(lambda x: x * d["a"])
    yield f(x)
    d["a"] = 4.0
    yield f(x)
    D.m = 3.0
    yield f(x)
    d.m = 9.0
    yield f(x)


@case
def change_class_method(jit):
    class P:
        def h(s, x):
            return x

    class Q:
        def h(s, x):
            return x * 9

    c = P()
    f = jit(lambda x: c.h(x))
    yield f(x)
    c.__class__ = Q
    yield f(x)


@case
def change_class_getitem(jit):
    class P:
        def __call__(s, x):
            return x

        def __getitem__(s, i):
            return 2.0

        def __add__(s, o):
            return o + 1

        def __len__(s):
            return 3

        def __bool__(s):
            return True

        def __contains__(s, i):
            return False

    class Q(P):
        def __call__(s, x):
            return x * 9

        def __getitem__(s, i):
            return 3.0

        def __add__(s, o):
            return o + 2

        def __len__(s):
            return 4

        def __bool__(s):
            return False

        def __contains__(s, i):
            return True

    c = P()
    for fn in (
        lambda x: c(x),
        lambda x: x * c[0],
        lambda x: c + x,
        lambda x: x * len(c),
        lambda x: x * 2 if c else x,
        lambda x: x * 3 if 1 in c else x,
    ):
        c.__class__ = P
        f = jit(fn)
        yield f(x)
        c.__class__ = Q
        yield f(x)


@case
def dunder_patched(jit):
    class P:
        def __call__(s, x):
            return x

        def __getitem__(s, i):
            return 2.0

        def __len__(s):
            return 3

        def __bool__(s):
            return True

    c = P()
    f = jit(lambda x: c(x))
    g = jit(lambda x: x * c[0])
    h = jit(lambda x: x * len(c))
    b = jit(lambda x: x * 2 if c else x)
    yield f(x)
    yield g(x)
    yield h(x)
    yield b(x)
    P.__call__ = lambda s, x: x * 5
    P.__getitem__ = lambda s, i: 7.0
    P.__len__ = lambda s: 9
    P.__bool__ = lambda s: False
    yield f(x)
    yield g(x)
    yield h(x)
    yield b(x)


@case
def property_patched(jit):
    class P:
        @property
        def k(s):
            return 2.0

    c = P()
    f = jit(lambda x: x * c.k)
    yield f(x)
    P.k = property(lambda s: 3.0)
    yield f(x)
    P.k = 4.0
    yield f(x)


@case
def iter_patched(jit):
    class P:
        def __iter__(s):
            return iter([1.0, s.k])

    c = P()
    c.k = 2.0
    f = jit(lambda x: sum(x * v for v in c))
    yield f(x)
    c.k = 3.0
    yield f(x)
    P.__iter__ = lambda s: iter([9.0])
    yield f(x)


@case
def attrdict_both(jit):
    class AD(dict):
        __getattr__ = dict.__getitem__
        __setattr__ = dict.__setitem__

    c = AD(k=2.0)
    f = jit(lambda x: x * c.k)
    yield f(x)
    c.k = 3.0
    yield f(x)
    c["k"] = 4.0
    yield f(x)
    d = AD(k=2.0, h=AD(z=1.0))

    def st(x):
        d.k = d.k + 1
        d.h.z = x * d.k
        return x * d.k

    f = jit(st)
    for _ in range(5):
        yield f(x)
        yield dict(d)
    yield traced(f, "<=", 3)


@case
def nt_child(jit):
    NT = collections.namedtuple("NT", "d row")
    c = NT({"k": 1.0}, [2.0])
    f = jit(lambda x: x * c.d["k"] * c.row[0])
    yield f(x)
    c.d["k"] = 3.0
    yield f(x)
    c.row[0] = 9.0
    yield f(x)


@case
def typed_nt_method(jit):
    class NT(typing.NamedTuple):
        d: dict

        def h(s):
            return s.d["k"]

    c = NT({"k": 1.0})
    f = jit(lambda x: x * c.h())
    yield f(x)
    c.d["k"] = 3.0
    yield f(x)


@case
def dc_postinit(jit):
    M = {"m": 1.0}

    @dataclasses.dataclass
    class C:
        k: float = 1.0

        def __post_init__(s):
            s.k *= M["m"]

    f = jit(lambda x: x * C(2.0).k)
    yield f(x)
    M["m"] = 4.0
    yield f(x)


@case
def partial_kw(jit):
    def h(x, k):
        return x * k

    p = functools.partial(h, k=2.0)
    f = jit(lambda x: p(x))
    yield f(x)
    p.keywords["k"] = 5.0
    yield f(x)
    p = functools.partial(h, k=7.0)
    yield f(x)


@case
def dict_setdefault_list(jit):
    d = {}

    def st(x):
        d.setdefault("row", []).append(x.sum())
        return x

    f = jit(st)
    for _ in range(3):
        f(x)
        yield d


@case
def cmp_lists(jit):
    d = [1, [2]]
    f = jit(lambda x: x * 2 if d == [1, [2]] else x)
    yield f(x)
    d[1][0] = 3
    yield f(x)


@case
def attrgetter_nested(jit):
    class C:
        pass

    c = C()
    c.d = C()
    c.d.k = 1.0
    g = operator.attrgetter("d.k")
    f = jit(lambda x: x * g(c))
    yield f(x)
    c.d.k = 4.0
    yield f(x)


@case
def vars_loop(jit):
    class C:
        pass

    c = C()
    c.a = 1.0
    c.b = 2.0
    f = jit(lambda x: x * sum(vars(c).values()))
    yield f(x)
    c.a = 4.0
    yield f(x)
    c.z = 1.0
    yield f(x)
    g = jit(lambda x: x * sum(getattr(c, n) for n in sorted(c.__dict__)))
    yield g(x)
    c.a = 2.0
    yield g(x)
    c.q = 1.0
    yield g(x)


@case
def dir_(jit):
    class C:
        pass

    c = C()
    c.a = 1.0
    f = jit(lambda x: x * len([n for n in dir(c) if n[0] != "_"]))
    yield f(x)
    c.z = 1.0
    yield f(x)


@case
def globals_dict(jit):
    global G
    G = 2.0
    f = jit(lambda x: x * globals()["G"])
    yield f(x)
    G = 5.0
    yield f(x)


@case
def prop_chain_write(jit):
    class S:
        n = 0

    class T:
        def __init__(s):
            s._st = S()
            s._st.n = 0

        @property
        def st(s):
            return s._st

        def get(s):
            return s._st

        def __getitem__(s, i):
            return s._st

    t = T()

    def a(x):
        t.st.n += 1
        return x * t.st.n

    def b(x):
        t.get().n += 1
        return x * t.get().n

    def c(x):
        t[0].n += 1
        return x * t[0].n

    for fn in (a, b, c):
        f = jit(fn)
        for _ in range(4):
            yield f(x)
            yield t._st.n


@case
def with_as(jit):
    class C:
        n = 0

        def __enter__(s):
            return s

        def __exit__(s, *a):
            s.n += 10

    cc = C()

    def st(x):
        with cc as c:
            c.n += 1
        return x * cc.n

    f = jit(st)
    for _ in range(4):
        yield f(x)
        yield cc.n


@case
def nested_unknown_set(jit):
    class C:
        pass

    a, b = C(), C()
    a.v = 1.0
    b.v = 2.0
    a.t = b.t = None
    sel = {"i": 0}

    def pick():
        return a if sel["i"] == 0 else b

    def st(x):
        pick().t = x * pick().v
        return x

    f = jit(st)
    f(x)
    yield a.t, b.t
    sel["i"] = 1
    f(x * 2)
    yield a.t, b.t
    b.v = 7.0
    f(x)
    yield a.t, b.t

    def st2(x):
        (a if sel["i"] == 0 else b).t = x * 3
        return x

    f = jit(st2)
    f(x)
    yield a.t, b.t
    sel["i"] = 0
    f(x * 2)
    yield a.t, b.t
    f(x * 5)
    yield a.t, b.t


@case
def hooks(jit):
    m = layer_of_ones()
    k = {"s": 2.0}
    h = m.register_forward_hook(lambda mod, i, o: o * k["s"])
    f = jit(lambda x: m(x))
    yield f(x)
    k["s"] = 3.0
    yield f(x)
    h.remove()
    yield f(x)
    h2 = m.register_forward_pre_hook(lambda mod, i: (i[0] * 5,))
    yield f(x)
    h2.remove()
    yield f(x)


@case
def hook_stash(jit):
    m = layer_of_ones()
    st = {}
    m.register_forward_hook(lambda mod, i, o: st.__setitem__("o", o))
    f = jit(lambda x: m(x))
    yield f(x)
    yield st
    yield f(x * 2)
    yield st


@case
def hook_append(jit):
    m = layer_of_ones()
    st = []

    def hk(mod, i, o):
        st.append(o.sum())

    m.register_forward_hook(hk)
    f = jit(lambda x: m(x))
    yield f(x)
    yield st
    yield f(x * 2)
    yield st


@case
def freeze_mid(jit):
    a = layer_of_ones()

    def st(x):
        row = a(x).sum()
        row.backward()
        return row

    f = jit(st)
    yield f(x)
    yield a.weight.grad
    a.weight.requires_grad_(False)
    a.weight.grad = None
    yield f(x)
    yield a.weight.grad, a.bias.grad
    a.weight.requires_grad_(True)
    yield f(x)
    yield a.weight.grad


@case
def custom_opt_state(jit):
    class Mine(optim.Optimizer):
        def __init__(s, p, lr):
            super().__init__(p, {"lr": lr})
            s.t = 0

        def step(s):
            s.t += 1
            with ts.no_grad():
                for g in s.param_groups:
                    for p in g["params"]:
                        if p.grad is None:
                            continue
                        st = (
                            s.state.setdefault(p, {})
                            if not hasattr(s.state, "__missing__")
                            else s.state[p]
                        )
                        st["m"] = st.get("m", ts.zeros_like(p)) * 0.9 + p.grad
                        p.assign(p - st["m"] * g["lr"] / s.t)

    a = layer_of_ones()
    o = Mine(a.parameters(), 0.1)

    def st(x):
        o.zero_grad()
        row = a(x).sum()
        row.backward()
        o.step()
        return row

    f = jit(st)
    for _ in range(5):
        yield f(x)
        yield a.weight
        yield o.t


@case
def module_forward_patch(jit):
    m = layer_of_ones()
    f = jit(lambda x: m(x))
    yield f(x)
    m.forward = lambda x: x * 7
    yield f(x)
    del m.forward
    yield f(x)

    class L2(nn.Linear):
        def forward(s, x):
            return x * 100

    m.__class__ = L2
    yield f(x)


@case
def module_setattr(jit):
    class M(nn.Module):
        def __init__(s):
            super().__init__()
            s.v = 1.0
            s.log = []

        def __setattr__(s, n, v):
            if n == "v":
                v = v * 2
            super().__setattr__(n, v)

        def forward(s, x):
            s.v = s.v + 1
            return x * s.v

    m = M()
    f = jit(m)
    for _ in range(4):
        yield f(x)
        yield m.v


@case
def module_getattr(jit):
    class M(nn.Module):
        def __init__(s):
            super().__init__()
            s.inner = layer_of_ones()
            s.inner.k = 2.0

        def __getattr__(s, n):
            try:
                return super().__getattr__(n)
            except AttributeError:
                return getattr(s.inner, n)

        def forward(s, x):
            return s.inner(x) * s.k

    m = M()
    f = jit(m)
    yield f(x)
    m.inner.k = 3.0
    yield f(x)
    m.k = 9.0
    yield f(x)


@case
def new_dict_in_state(jit):
    st = {}

    def s(x):
        d = st.setdefault("p", {})
        d["m"] = d.get("m", ts.zeros(2)) * 0.9 + x
        return d["m"] * 1

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield st


@case
def new_dict_in_state2(jit):
    st = {}

    def s(x):
        if "p" not in st:
            st["p"] = {}
        st["p"]["m"] = st["p"].get("m", 0) + x
        return x

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield st


@case
def new_dict_tensor_key(jit):
    p = nn.Parameter(ts.ones(2))
    st = collections.defaultdict(dict)

    def s(x):
        d = st[p]
        d["m"] = d.get("m", 0) + x
        d["n"] = d.get("n", 0) + 1
        return d["m"] * d["n"]

    f = jit(s)
    for _ in range(5):
        yield f(x)
        yield list(st.values())
    yield traced(f, "<=", 5)


@case
def isinstance_change(jit):
    class P:
        pass

    class Q(P):
        pass

    p = P()
    f = jit(lambda x: x * 2 if isinstance(p, Q) else x)
    yield f(x)
    p.__class__ = Q
    yield f(x)


@case
def class_in_fn(jit):
    k = {"s": 1.0}

    def s(x):
        class T:
            z = k["s"]

            def h(self, x):
                return x * self.z

        return T().h(x)

    f = jit(s)
    yield f(x)
    k["s"] = 3.0
    yield f(x)


@case
def ret_self_container(jit):
    row = [ts.ones(2)]
    f = jit(lambda x: row)
    a = f(x)
    yield a is row
    yield a


@case
def simplens(jit):
    n = types.SimpleNamespace(a=types.SimpleNamespace(b=[1.0]))
    f = jit(lambda x: x * n.a.b[0])
    yield f(x)
    n.a.b[0] = 2.0
    yield f(x)
    n.a = types.SimpleNamespace(b=[7.0])
    yield f(x)


@case
def write_returned(jit):
    class C:
        pass

    c = C()

    def s(x):
        c.h = x * 2
        return c.h

    f = jit(s)
    a = f(x)
    yield a is c.h
    a += 1
    yield c.h
    yield f(x)


@case
def ret_dup_grad(jit):
    p = nn.Parameter(ts.ones(2))

    def s(x):
        y = p * x
        return y, y

    f = jit(s)
    a, b = f(x)
    yield a is b
    (a.sum() + b.sum()).backward()
    yield p.grad


@case
def dup_tensor_state(jit):
    c = {"a": None, "b": None}

    def s(x):
        y = x * 2
        c["a"] = y
        c["b"] = y
        return x

    f = jit(s)
    f(x)
    yield c["a"] is c["b"]
    c["a"] += 1
    yield c["b"]


@case
def nested_new(jit):
    st = {}

    def s(x):
        st["a"] = {"row": []}
        st["a"]["row"].append(x.sum())
        st["a"]["n"] = len(st["a"]["row"])
        return x

    f = jit(s)
    for _ in range(3):
        f(x)
        yield st


@case
def move_list(jit):
    st = {"a": [1.0], "b": [2.0]}

    def s(x):
        st["a"], st["b"] = st["b"], st["a"]
        st["a"][0] += 1
        return x * st["a"][0]

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield st


@case
def alias_list(jit):
    row = [1.0]
    st = {"a": row, "b": row}

    def s(x):
        st["a"].append(2.0)
        return x * len(st["b"])

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield st


@case
def list_subclass_append(jit):
    class L(list):
        def append(s, v):
            super().append(v * 2)

    row = L()

    def s(x):
        row.append(x.sum())
        return x * len(row)

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield list(row)


@case
def dict_subclass_set(jit):
    class D(dict):
        def __setitem__(s, k, v):
            super().__setitem__(k, v * 2)

    d = D(a=1.0)

    def s(x):
        d["a"] = d["a"] + 1
        return x * d["a"]

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield dict(d)


@case
def userdict_write(jit):
    d = collections.UserDict(a=1.0)

    def s(x):
        d["a"] = d["a"] + 1
        d["t"] = x
        return x * d["a"]

    f = jit(s)
    for _ in range(5):
        yield f(x)
        yield dict(d)


@case
def userlist_write(jit):
    d = collections.UserList()

    def s(x):
        d.append(x.sum())
        return x * len(d)

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield list(d)


@case
def counter_update(jit):
    c = collections.Counter(a=1)

    def s(x):
        c.update("ab")
        c["a"] -= 0
        return x * c["a"]

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield dict(c)


@case
def getset_prop(jit):
    class C:
        def __init__(s):
            s._d = {}

        def __getattr__(s, n):
            if n.startswith("_"):
                raise AttributeError(n)
            return s._d[n]

        def __setattr__(s, n, v):
            if n.startswith("_"):
                object.__setattr__(s, n, v)
            else:
                s._d[n] = v

    c = C()
    c.n = 0
    c.t = ts.zeros(2)

    def s(x):
        c.n += 1
        c.t = c.t + x
        return c.t * c.n

    f = jit(s)
    for _ in range(5):
        yield f(x)
        yield c.n
        yield c.t
    yield traced(f, "<=", 3)


@case
def prop_setter_chain(jit):
    class C:
        def __init__(s):
            s._k = 1.0
            s.hist = []

        @property
        def k(s):
            return s._k

        @k.setter
        def k(s, v):
            s.hist.append(v)
            s._k = v * 2

    c = C()

    def s(x):
        c.k += 1
        c.k = c.k
        return x * c.k

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield c._k
        yield c.hist


@case
def classmethods(jit):
    class C:
        n = 0
        tbl = {"k": 1.0}

        @classmethod
        def inc(cls):
            cls.n += 1
            return cls.n

        @staticmethod
        def st():
            return C.tbl["k"]

    class D(C):
        pass

    f = jit(lambda x: x * D.inc() * D.st() * C.inc())
    for _ in range(4):
        yield f(x)
        yield D.n, C.n
    C.tbl["k"] = 3.0
    yield f(x)
    C.st = staticmethod(lambda: 7.0)
    yield f(x)


@case
def module_super_forward(jit):
    class A1(nn.Module):
        s = 2.0

        def forward(self, x):
            return x * self.s

    class B1(A1):
        def forward(self, x):
            return super().forward(x) + 1

    m = B1()
    f = jit(m)
    yield f(x)
    m.s = 3.0
    yield f(x)
    A1.forward = lambda self, x: x * 50
    yield f(x)
    n = nn.Sequential(m)
    g = jit(n)
    yield g(x)
    B1.forward = lambda self, x: x
    yield g(x)


@case
def warm_type(jit):
    class P:
        k = 1.0

        def h(s, x):
            return x * s.k

    ps = [P(), P()]
    f = jit(lambda x: sum(p.h(x) for p in ps))
    for _ in range(3):
        yield f(x)
    yield traced(f, "==", 1)
    P.k = 2.0
    yield f(x)
    ps[0].k = 5.0
    yield f(x)
    ps[1].__class__ = type("Q", (P,), {"k": 9.0})
    yield f(x)


@case
def tuple_subclass(jit):
    class T(tuple):
        k = 2.0

        def __getitem__(s, i):
            return tuple.__getitem__(s, i) * s.k

    t = T((1.0, {"a": 1.0}))
    f = jit(lambda x: x * t[0])
    yield f(x)
    t.k = 3.0
    yield f(x)
    T.k = 5.0
    del t.k
    yield f(x)


@case
def accum_1d(jit):
    m = nn.Linear(2, 2)
    nn.init.ones_(m.weight)

    def s(x):
        row = m(x).sum()
        row.backward()
        return row * 0

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield m.bias.grad
        yield m.weight.grad
    yield traced(f, "<=", 3)


@case
def accum_stride(jit):
    p = nn.Parameter(ts.ones((2, 3)))

    def s(x):
        (p.T @ x).sum().backward()
        return x

    f = jit(s)
    p.grad = ts.ones((3, 2)).T
    for _ in range(4):
        yield f(x)
        yield p.grad


@case
def nt_replace(jit):
    NT = collections.namedtuple("NT", "a b")
    st = {"c": NT(1.0, ts.ones(2))}

    def s(x):
        st["c"] = st["c"]._replace(b=st["c"].b + x)
        return st["c"].b * st["c"].a

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield st["c"].b
    st["c"] = NT(5.0, ts.zeros(2))
    yield f(x)
    yield type(st["c"]).__name__


@case
def call_chain(jit):
    class B:
        def __init__(s):
            s.v = 1.0

        def add(s, k):
            s.v += k
            return s

        def mul(s, k):
            s.v *= k
            return s

    b = B()

    def s(x):
        return x * b.add(1).mul(2).v

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield b.v


@case
def iop_self(jit):
    class B:
        def __init__(s):
            s.v = 1.0

        def __iadd__(s, k):
            s.v += k
            return s

        def __enter__(s):
            return s

    b = B()

    def s(x):
        nonlocal b
        b += 2
        return x * b.v

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield b.v


@case
def setitem_obj(jit):
    class B:
        def __init__(s):
            s.d = {}

        def __setitem__(s, k, v):
            s.d[k] = v

        def __getitem__(s, k):
            return s.d[k]

        def __delitem__(s, k):
            del s.d[k]

        def __contains__(s, k):
            return k in s.d

    b = B()
    b["n"] = 0

    def s(x):
        b["n"] += 1
        b["t"] = x if "t" not in b else b["t"] + x
        return b["t"] * b["n"]

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield b.d


@case
def singleton(jit):
    class S:
        inst = None

        def __new__(cls):
            if cls.inst is None:
                cls.inst = super().__new__(cls)
                cls.inst.n = 0
            return cls.inst

    S()

    def s(x):
        S().n += 1
        return x * S().n

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield S().n


@case
def borg(jit):
    class B:
        sh = {}

        def __init__(s):
            s.__dict__ = B.sh

    a, b = B(), B()
    a.k = 1.0

    def s(x):
        a.k += 1
        return x * b.k

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield b.k
    B().k = 50.0
    yield f(x)


@case
def dictattr_update(jit):
    class C:
        pass

    c = C()
    c.a = 1.0

    def s(x):
        c.__dict__.update(a=c.a + 1, t=x)
        return x * c.a

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield c.a
        yield c.t


@case
def obj_setattr(jit):
    @dataclasses.dataclass(frozen=True)
    class C:
        a: float = 1.0

    c = C()

    def s(x):
        object.__setattr__(c, "a", c.a + 1)
        return x * c.a

    f = jit(s)
    for _ in range(4):
        yield f(x)
        yield c.a


@case
def slots_desc_write(jit):
    class V:
        def __set_name__(s, o, n):
            s.n = n

        def __get__(s, o, t=None):
            return o.__dict__.get(s.n, 1.0)

        def __set__(s, o, v):
            if v < 0:
                raise ValueError
            o.__dict__[s.n] = v

    class C:
        k = V()

    c = C()

    def s(x):
        c.k = c.k + 1
        return x * c.k

    f = jit(s)
    for _ in range(5):
        yield f(x)
        yield c.k


@case
def jit_on_class(jit):
    class C(nn.Module):
        def __init__(s):
            super().__init__()
            s.k = 1.0
            s.n = 0

        def forward(s, x):
            s.n += 1
            return x * s.k

    C.forward = jit(C.forward)
    a, b = C(), C()
    yield a(x), b(x)
    a.k = 2.0
    yield a(x), b(x)
    yield a.n, b.n
    b2 = copy.deepcopy(a)
    b2.k = 7.0
    yield b2(x), a(x)
    yield b2.n, a.n


@case
def ring(jit):
    class Ring:
        def __init__(s, n):
            s.buf = [None] * n
            s.i = 0

        def push(s, v):
            s.buf[s.i % len(s.buf)] = v
            s.i += 1

        def mean(s):
            v = [b for b in s.buf if b is not None]
            return sum(v) / len(v)

    r = Ring(2)

    def s(x):
        r.push(x.sum())
        return x * r.mean()

    f = jit(s)
    for i in range(6):
        yield f(x * i)
        yield r.buf
        yield r.i


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_compiled_is_what_the_function_does_now(make):
    assert observed(make, ts.jit) == observed(make, lambda function: function)


# --- memory, context and views --------------------------------------------------------------------------------


@case
def memory_that_changes(jit):
    raw, numbers = bytearray(b"\x01\x02"), array.array("d", [1.0, 2.0])
    view, number = memoryview(raw)[1:], ctypes.c_double(3.0)
    config = types.SimpleNamespace(data=(ctypes.c_int * 2)(4, 5))
    f = jit(lambda x: x * raw[0] + numbers[1] + view[0] + number.value + config.data[1])
    yield f(x)
    yield f(x)
    raw[0] = 7
    yield f(x)
    view[0] = 9
    yield f(x)
    numbers[1] = 0.5
    yield f(x)
    number.value = -1.0
    yield f(x)
    config.data[1] = 6
    yield f(x)
    yield traced(f, "==", 6)


@case
def a_variable_of_a_context(jit):
    factor = contextvars.ContextVar("factor", default=2.0)
    names = contextvars.ContextVar("names")
    names.set([1.0])
    f = jit(lambda x: x * factor.get() + len(names.get()))
    yield f(x)
    factor.set(3.0)
    yield f(x)
    names.get().append(2.0)
    yield f(x)
    yield f(x)
    yield traced(f, "==", 3)


@case
def a_view_of_a_dict(jit):
    table = {"a": 1.0, "b": 2.0}
    values, keys = table.values(), table.keys()
    f = jit(lambda x: x * sum(values) + len(keys))
    yield f(x)
    table["b"] = 5.0
    yield f(x)
    table["c"] = 1.0
    yield f(x)


def test_memory_that_is_too_large_to_be_compared_is_refused():
    raw = bytearray(1 << 17)
    with pytest.raises(
        errors.SideEffectError,
        match=r"a bytearray from outside, of 131072 bytes, .* as an argument",
    ):
        ts.jit(lambda x: x + raw[0])(x)


@pytest.mark.parametrize("array", [np.array(2.5), np.array([[1, 2], [3, 4]]).T, np.zeros((0, 3))])
def test_arrays_from_outside_keep_their_shapes(array):
    found = ts.jit(lambda: ts.asarray(array) * 2)()
    assert found.shape == array.shape and found.tolist() == (array * 2).tolist()

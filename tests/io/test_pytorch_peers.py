"""What PyTorch writes is read as PyTorch reads it; what is written here PyTorch reads, with `weights_only=True`."""

import collections
import functools
import warnings

import numpy as np
import pytest

import tessella as ts
from tessella.errors import FileFormatError, UnsafeFileError
from tessella.io.pytorch.names import DTYPES

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

WAYS = {
    "zip": {}, "old": {"_use_new_zipfile_serialization": False},
    "4": {"pickle_protocol": 4}, "5": {"pickle_protocol": 5},
}  # fmt: skip


def _bits(value):
    """A tensor's elements as bytes in row-major order, with its shape."""
    if isinstance(value, ts.Tensor):
        return tuple(value.shape), value.dtype.name, value.numpy().tobytes()
    plain = value.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
    raw = plain.reshape(-1).view(torch.uint8) if plain.numel() else plain
    return tuple(value.shape), str(value.dtype).removeprefix("torch."), raw.numpy().tobytes()


def _same(ours, theirs):
    if isinstance(theirs, torch.Tensor):
        assert _bits(ours) == _bits(theirs)
        assert ours.requires_grad == theirs.requires_grad
        assert isinstance(ours, ts.nn.Parameter) == isinstance(theirs, torch.nn.Parameter)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        assert type(ours) is type(theirs)
        for name in theirs:
            _same(ours[name], theirs[name])
    elif isinstance(theirs, (list, tuple)):
        assert type(ours) is (tuple if isinstance(theirs, torch.Size) else type(theirs))
        for one, other in zip(ours, theirs, strict=True):
            _same(one, other)
    else:
        assert repr(ours) == repr(theirs)


def _tensors():
    base = torch.arange(24.0).reshape(4, 6)
    whole = torch.tensor([[0, 1, 2], [1, 0, 3]])
    by_dtype = {name: whole.to(getattr(torch, name)) for name in DTYPES if "e8m0" not in name}
    return {
        **by_dtype, "float8_e8m0fnu": torch.ones(3).to(torch.float8_e8m0fnu), "base": base, "turned": base.T, "part": base[1:3, ::2],
        "row": base[2], "none": torch.zeros(0, 3), "one": torch.tensor(5), "expanded": torch.ones(1).expand(3, 4),
        "conjugate": torch.tensor([1 + 2j]).conj(), "negative": torch.tensor([1 + 2j]).conj().imag, "far": torch.arange(100)[90:],
        "needs": torch.ones(2, requires_grad=True), "parameter": torch.nn.Parameter(torch.ones(2)),
        "fixed": torch.nn.Parameter(torch.ones(2), requires_grad=False), "channels": torch.ones(1, 2, 3, 4).to(memory_format=torch.channels_last),
    }  # fmt: skip


@functools.cache
def _states():
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
    found = {"model": net.state_dict()}
    for kind in (torch.optim.SGD, torch.optim.AdamW, torch.optim.LBFGS):
        optimizer = kind(net.parameters(), lr=0.01)
        for _ in range(2):

            def loss(optimizer=optimizer):
                optimizer.zero_grad()
                found = net(torch.arange(15.0).reshape(5, 3)).square().mean()
                found.backward()
                return found

            optimizer.step(loss)
        found[kind.__name__] = optimizer.state_dict()
    schedule = torch.optim.lr_scheduler.StepLR(torch.optim.SGD(net.parameters(), lr=0.1), 2)
    found["schedule"] = schedule.state_dict()
    found["scaler"] = {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 0}
    found["random"] = torch.get_rng_state()
    found["numpy"] = np.random.get_state()
    return found


def _plain():
    return {
        "numbers": [1, -1, 2**40, 2**100, 1.5, float("inf"), True, None, 1 + 2j], "texts": ["ü", b"\xff", ""],
        "sets": {1}, "tuple": (1, (2, [3])), "version": torch.__version__, "epoch": 3, 4: {5.5: 6}, "size": torch.Size([2, 3]),
        "ordered": collections.OrderedDict(b=1, a=2), "arrays": [np.arange(6).reshape(2, 3), np.float64(1.5)],
    }  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", [_tensors, _states, _plain])
def test_what_pytorch_writes(tmp_path, way, make):
    tree = make()
    torch.save(tree, tmp_path / "file.pt", **WAYS[way])
    for mmap in (False, True):
        _same(ts.io.load_pytorch(tmp_path / "file.pt", mmap=mmap), tree)


def test_files_of_no_checksums_and_one_tensor(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(torch.arange(4), tmp_path / "file.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert ts.io.load_pytorch(tmp_path / "file.pt").tolist() == [0, 1, 2, 3]


@pytest.mark.filterwarnings("ignore")  # PyTorch would rather not have half of this
def test_values_that_are_refused(tmp_path):
    cases = [
        (torch.eye(2).to_sparse(), FileFormatError, r"has a sparse tensor; save x.to_dense\(\)"),
        (torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), FileFormatError, "has a quantised tensor"),
        (torch.ones(2, device="meta"), FileFormatError, "a tensor without elements, of the device `meta`"),
        (torch.nn.Linear(2, 2), UnsafeFileError, "has a whole network and not its numbers alone"),
        (torch.distributions.Normal(0, 1), UnsafeFileError, "wants torch.distributions.normal.Normal, which"),
    ]  # fmt: skip
    for value, kind, text in cases:
        for way in ("zip", "old"):
            torch.save(value, tmp_path / "file.pt", **WAYS[way])
            with pytest.raises(kind, match=text):
                ts.io.load_pytorch(tmp_path / "file.pt")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "file.pt")
    with pytest.raises(FileFormatError, match="is a program of TorchScript"):
        ts.io.load_pytorch(tmp_path / "file.pt")


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("make", [_tensors, _states, _plain])
def test_what_pytorch_reads(tmp_path, make, mmap):
    tree = dict(make())
    tree.pop("arrays", None)
    tree.pop("numpy", None)
    tree.pop("version", None)
    torch.save(tree, tmp_path / "theirs.pt")
    ours = ts.io.load_pytorch(tmp_path / "theirs.pt")
    ts.io.save_pytorch(ours, tmp_path / "ours.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = torch.load(tmp_path / "ours.pt", weights_only=True, mmap=mmap)
    _same(ours, found)


def test_ties_are_ties_for_pytorch(tmp_path):
    net = ts.nn.Sequential(ts.nn.Linear(4, 4), ts.nn.Linear(4, 4))
    net[1].weight = net[0].weight
    ts.io.save_pytorch(net.state_dict(), tmp_path / "file.pt")
    found = torch.load(tmp_path / "file.pt", weights_only=True)
    assert found["0.weight"].data_ptr() == found["1.weight"].data_ptr()
    assert found["0.weight"].data_ptr() != found["0.bias"].data_ptr()
    torch.save(found, tmp_path / "theirs.pt")
    again = ts.io.load_pytorch(tmp_path / "theirs.pt")
    assert again["0.weight"] is again["1.weight"]


X = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
Y = np.sin(X.sum(axis=1, keepdims=True)).astype(np.float32)


def _network(nn):
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))


def _losses(library, net, optimizer, count):
    make = torch.from_numpy if library is torch else ts.asarray
    found = []
    for _ in range(count):
        optimizer.zero_grad()
        loss = ((net(make(X)) - make(Y)) ** 2).mean()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_a_run_goes_on_elsewhere(tmp_path, name):
    """Begun there and continued here, then continued there again: the losses are those of one run there."""
    options = {"lr": 0.01, "momentum": 0.9} if name == "SGD" else {"lr": 0.01}
    theirs = _network(torch.nn)
    optimizer = getattr(torch.optim, name)(theirs.parameters(), **options)
    _losses(torch, theirs, optimizer, 5)
    state = {"model": theirs.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 5}
    torch.save(state, tmp_path / "theirs.pt")
    expected = _losses(torch, theirs, optimizer, 10)

    state = ts.io.load_pytorch(tmp_path / "theirs.pt")
    ours = _network(ts.nn)
    ours.load_state_dict(state["model"])
    continued = getattr(ts.optim, name)(ours.parameters(), lr=0.5)
    continued.load_state_dict(state["optimizer"])
    found = _losses(ts, ours, continued, 5)
    state = {"model": ours.state_dict(), "optimizer": continued.state_dict(), "epoch": 10}
    ts.io.save_pytorch(state, tmp_path / "ours.pt")

    state = torch.load(tmp_path / "ours.pt", weights_only=True)
    again = _network(torch.nn)
    again.load_state_dict(state["model"])
    optimizer = getattr(torch.optim, name)(again.parameters(), lr=0.5)
    optimizer.load_state_dict(state["optimizer"])
    found += _losses(torch, again, optimizer, 5)
    np.testing.assert_allclose(found, expected, rtol=1e-4)

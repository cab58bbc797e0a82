"""Every public name and keyword of PyTorch, JAX and NumPy works here, or raises with words of ours."""

import importlib.util
import pathlib

import pytest

import tessella as ts
from tessella import errors
from tessella.names import known

_BUILD = pathlib.Path(__file__).parents[2] / "docs" / "build_known_names.py"
_spec = importlib.util.spec_from_file_location("build_known_names", _BUILD)
build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build)

MODEL = ts.nn.Linear(2, 2)
OWNERS = build.owners() | {
    "Tensor": ts.ones((2, 3)), "Module": MODEL, "Optimizer": ts.optim.SGD(MODEL.parameters(), lr=0.1),
}  # fmt: skip
PLACES = list(build.places())


def said(owner, name):
    """What is said about a name; None if it works."""
    try:
        getattr(owner, name)
    except errors.UnknownNameError as error:
        return str(error)
    return None


def is_bare(text, name):
    """Whether nothing is said but that the name is not there, or one is suggested that is merely like it."""
    return text.endswith(f"has no attribute {name!r}") or "did you mean" in text


# Of these all that `dir` shows, what they imported from elsewhere too.
EVERYTHING = (
    "torch", "torch.Tensor", "torch.nn", "torch.nn.functional", "torch.optim", "jax", "jax.numpy", "jax.lax", "numpy",
)  # fmt: skip


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[2])
def test_no_public_name_fails_bare(place):
    library, namespace, path = place
    pytest.importorskip(path.split(".")[0])
    names = [name for name in dir(build.found(path)) if not name.startswith("_")]
    texts = {
        name: said(OWNERS[namespace], name)
        for name in (names if path in EVERYTHING else build.public_names(path))
    }
    bare = [name for name, text in texts.items() if text and is_bare(text, name)]
    assert not bare, (
        f"has {library} other names by now? Then run `python docs/build_known_names.py`"
    )


@pytest.mark.parametrize("namespace", OWNERS)
def test_known_names_are_told_from_misspelled_ones(namespace):
    for _, where, _, names in known.lines("names.txt"):
        for name in names.split() if where == namespace else ():
            text = said(OWNERS[namespace], name)
            assert text is None or not is_bare(text, name)


# --- keywords -----------------------------------------------------------------------------------------

FREE = {  # whose keywords are the users', or that take none
    ("debug", "breakpoint"): "waits", ("debug", "print"): "fills its text with them",
    ("ts", "can_cast"): "of dtypes, by place, as in the standard", ("ts", "enable_grad"): "decorates, by place",
    ("Tensor", "to_device"): "by place, as in the standard", ("Tensor", "astype"): "asks for its dtype first",
    ("Tensor", "new_tensor"): "asks for its data first", ("Tensor", "new_full"): "asks for its value first",
    ("Tensor", "is_complex"): "takes nothing", ("Tensor", "is_floating_point"): "takes nothing",
    ("Tensor", "atanh_"): "PyTorch's documentation errs", ("Tensor", "arctanh_"): "likewise",
    ("Tensor", "numel"): "takes nothing", ("Tensor", "type_as"): "takes a tensor, by place", ("Tensor", "copy_"): "asks for its source first",
}  # fmt: skip


def functions():
    """The functions here that others have by the same name, with the keywords that these have."""
    for name, _, words in known.lines("keywords.txt"):
        for namespace, owner in OWNERS.items():
            if (namespace, name) not in FREE and name in getattr(owner, "__all__", dir(owner)):
                function = getattr(owner, name)
                if callable(function):
                    yield f"{namespace}.{name}", function, words.split()


def test_known_keywords_are_understood_or_cured():
    count = 0
    for name, function, words in functions():
        for word in words:
            said = ""
            try:
                function(**{word: object()})
            except errors.TessellaError as error:
                said = str(error)
            count += 1
            assert f"no argument `{word}`;" not in said, f"{name}: {said}"
            assert "did you mean" not in said or f"no argument `{word}`" not in said, (
                f"{name}: {said}"
            )
    assert count > 5000


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("library", ["torch", "jax", "numpy"])
def test_no_keyword_is_unknown(library):
    pytest.importorskip(library)
    for (function, whose), words in build.keywords(library).items():
        unknown = [word for word in words if whose not in known.libraries_with(function, word)]
        assert not unknown, f"{function}: run `python docs/build_known_names.py`"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: x.sum(0, where=x > 0), "sum: no argument `where`: choose first: ts.where(mask, x, neutral)"),
        (lambda x: x.std(unbiased=True), "std: no argument `unbiased`: write correction=1 for unbiased=True"),
        (lambda x: ts.sum(x, initial=1.0), "combine the result with it"),
        (lambda x: ts.randn(2, generator=None), "use the methods of a ts.random.Generator"),
        (lambda x: x.sort(kind="stable"), "leave it out: sorting is stable"),
        (lambda x: x.clone(memory_format=1), "clone: no argument `memory_format`: leave it out"),
        (lambda x: x.contiguous(nonsense=1), "contiguous: no argument `nonsense`; it takes none"),
        (lambda x: x.new_zeros(2, layout=1), "new_zeros: no argument `layout`: leave it out: tensors are dense"),
        (lambda x: x.numpy(force=True), "numpy: no argument `force`: leave it out"),
        (lambda x: x.astype("float32", casting="safe"), "astype: no argument `casting`: convert first"),
        (lambda x: x.backward(inputs=[x]), "backward: no argument `inputs`: write ts.gradients"),
        (lambda x: ts.nn.ReLU(device="cpu"), "ReLU: no argument `device`: leave it out"),
        (lambda x: ts.nn.ReLU(dtype=ts.float64), "ReLU: no argument `dtype`: convert first"),
        (lambda x: ts.optim.Lion([x], fused=True), "Lion: no argument `fused`: leave it out: a compiled step"),
        (lambda x: ts.nn.functional.one_hot(x, 3, axis=0),
         "one_hot: no argument `axis` yet, which JAX has; it takes `x`"),
        (lambda x: ts.jit(len, donate_argnums=0), "leave it out: memory is reused by itself"),
        (lambda x: x.sum(axs=0), "sum: no argument `axs`; did you mean `axis`? It takes `x`, `axis`"),
        (lambda x: ts.pow(x, 2, other=3), "pow: `x2` was given twice"),
        (lambda x: ts.rand(2, size=(2, 3)), "rand: `shape` was given twice, as `shape` and as `size`"),
    ],
)  # fmt: skip
def test_what_is_said_about_keywords(call, said):
    with pytest.raises(errors.ArgumentTypeError) as caught:
        call(ts.ones((2, 3)))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("call", "shape"),
    [
        (lambda x: ts.rand(size=(4, 5)), (4, 5)),
        (lambda x: ts.randn(size=3), (3,)),
        (lambda x: x.view(size=(6,)), (6,)),
        (lambda x: x.permute(dims=(1, 0)), (3, 2)),
        (lambda x: x.expand(size=(4, 2, 3)), (4, 2, 3)),
        (lambda x: x.tile(reps=(2, 1)), (4, 3)),
        (lambda x: x.reshape(shape=(3, 2)), (3, 2)),
        (lambda x: x.repeat(repeats=2, axis=0), (4, 3)),
        (lambda x: x.new_zeros(size=(2,)), (2,)),
        (lambda x: ts.hstack(tup=[x, x]), (2, 6)),
        (lambda x: ts.mm(x, mat2=x.T), (2, 2)),
        (lambda x: ts.pad(x, pad_width=((1, 1), (1, 1))), (4, 5)),
        (lambda x: ts.eye(N=2, M=3), (2, 3)),
        (lambda x: ts.vmap(func=ts.sum, in_dims=1)(x), (3,)),
        (lambda x: ts.scan(f=lambda c, y: (c + y, c), init=x[0], xs=x)[0], (3,)),
        (lambda x: ts.fori_loop(0, 2, body_fun=lambda i, c: c * 2, init_val=x), (2, 3)),
        (lambda x: ts.cond(pred=ts.asarray(True), true_fun=ts.sin, false_fun=ts.cos, operands=x), (2, 3)),
        (lambda x: x.to("cpu", non_blocking=True), (2, 3)),
    ],
)  # fmt: skip
def test_keywords_that_mean_the_same_work(call, shape):
    assert call(ts.ones((2, 3))).shape == shape


MAKERS = {
    "zeros": (2,), "ones": (2,), "empty": (2,), "full": (2, 1.0), "rand": (2,), "randn": (2,),
    "eye": (2,), "linspace": (0.0, 1.0, 3), "logspace": (0.0, 1.0, 3), "arange": (3.0,), "tensor": ([1.0],),
    "zeros_like": (ts.ones(2),), "ones_like": (ts.ones(2),), "empty_like": (ts.ones(2),),
    "full_like": (ts.ones(2), 1.0), "rand_like": (ts.ones(2),), "randn_like": (ts.ones(2),),
}  # fmt: skip


@pytest.mark.parametrize("name", MAKERS)
def test_what_is_made_may_require_a_gradient_and_be_told_a_device(name):
    made = getattr(ts, name)(*MAKERS[name], requires_grad=True, device="cpu")
    assert made.requires_grad and made.is_leaf
    assert not getattr(ts, name)(*MAKERS[name]).requires_grad
    (made * 3.0).sum().backward()
    assert made.grad.flatten().tolist() == [3.0] * made.size
    with pytest.raises(errors.DeviceError):
        getattr(ts, name)(*MAKERS[name], device="cuda")


def test_made_alike_takes_what_the_functions_take():
    x = ts.ones((2, 3), dtype=ts.float64)
    made = [
        x.new_zeros(2, device="cpu", requires_grad=True), x.new_ones((2,), requires_grad=True),
        x.new_empty(2, requires_grad=True), x.new_full((2,), 7, requires_grad=True),
        x.new_full((2,), ts.asarray(7), requires_grad=True), x.new_tensor([1, 2], requires_grad=True),
    ]  # fmt: skip
    assert all(
        y.requires_grad and y.is_leaf and y.dtype is ts.float64 and y.shape == (2,) for y in made
    )
    assert ts.randint(0, 3, (2,), device="cpu").shape == ts.randperm(2, device="cpu").shape == (2,)

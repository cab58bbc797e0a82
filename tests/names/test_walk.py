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

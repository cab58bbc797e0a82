"""What all tests share: a cache folder of their own, and the skip of tests without their peer."""

import importlib.util
import os
import pathlib
import tempfile

import pytest
from hypothesis import settings

# kernels are kept between test runs, but apart from the user's
os.environ.setdefault(
    "TESSELLA_CACHE_DIR", os.path.join(tempfile.gettempdir(), f"tessella-tests-{os.getuid()}")
)


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="write what the golden tests find as expected"
    )
    parser.addoption("--device", default="cpu", help="where tests make their tensors")


def pytest_configure(config):
    import tessella as ts

    ts.set_default_device(config.getoption("--device"))


@pytest.fixture
def golden(request):
    """Compare a text with the file tests/golden/<name>.txt, or write it with --update-golden."""
    folder = pathlib.Path(__file__).parent / "golden"

    def compare(name, text):
        path = folder / f"{name}.txt"
        if request.config.getoption("--update-golden"):
            path.write_text(text + "\n", encoding="utf8")
        expected = path.read_text(encoding="utf8").rstrip("\n")
        assert text == expected, f"{path.name} differs; if it should, run pytest --update-golden"

    return compare


def pytest_collection_modifyitems(config, items):
    """Tests marked `peers` run where PyTorch is installed, and are left out elsewhere."""
    if importlib.util.find_spec("torch") is None:
        chosen = [item for item in items if "peers" not in item.keywords]
        config.hook.pytest_deselected(items=[i for i in items if "peers" in i.keywords])
        items[:] = chosen


# the same cases every time: a verdict is about a commit, not about luck. "exploring" looks for new ones
settings.register_profile("default", deadline=None, max_examples=60, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=2000, derandomize=True)
settings.register_profile("exploring", deadline=None, max_examples=2000)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def _seeded():
    import tessella as ts

    ts.manual_seed(0)

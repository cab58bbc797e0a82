"""MiniTorch's API on Tessella: what the *Machine Learning Engineering* course is written against.

`import tessella.minitorch as minitorch` runs the course's code, its tests and its training scripts. A
script that says `import minitorch` runs as it is with `python -m tessella.minitorch script.py`. What
stands where is in `docs/course.md`. The modules below are attributes of this one, too, as in MiniTorch.

>>> import tessella.minitorch as minitorch
>>> backend = minitorch.TensorBackend(minitorch.FastOps)
>>> x = minitorch.tensor([[1.0, 2.0], [3.0, 4.0]], backend=backend, requires_grad=True)
>>> (x @ x).relu().sum().backward()
>>> print(x.grad)
[
    [7.00 11.00]
    [9.00 13.00]]
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import NoReturn as _NoReturn

from tessella.later import when_imported as _when_imported
from tessella.minitorch.alias import *
from tessella.minitorch.autodiff import *
from tessella.minitorch.cuda_ops import *
from tessella.minitorch.datasets import *
from tessella.minitorch.fast_conv import *
from tessella.minitorch.fast_ops import *
from tessella.minitorch.module import *
from tessella.minitorch.nn import *
from tessella.minitorch.operators import *
from tessella.minitorch.optim import *
from tessella.minitorch.scalar import *
from tessella.minitorch.scalar_functions import ScalarFunction as ScalarFunction
from tessella.minitorch.tensor import *
from tessella.minitorch.tensor_data import *
from tessella.minitorch.tensor_functions import *
from tessella.minitorch.tensor_ops import *
from tessella.minitorch.testing import *
from tessella.names import missing as _missing

_when_imported("optree", "tessella.minitorch.tree")

if not _TYPE_CHECKING:  # for which it would mean that all names are there

    def __getattr__(name: str) -> _NoReturn:
        """The error says what other libraries mean by this name, or which name is near it."""
        raise _missing("minitorch", name)

"""Tensors with names in NumPy's `.npz` files, without what Python can execute.

Source: NumPy, *numpy.lib.format*: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tessella import files
from tessella.arguments import public
from tessella.arguments.kinds import Device, shown
from tessella.dtypes import as_dtype
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError
from tessella.io import archives
from tessella.io.archives import Archive
from tessella.io.contents import Contents, naming, place_of
from tessella.io.elements import Array, dtype_of
from tessella.io.headers import are_sizes
from tessella.io.safetensors import Named
from tessella.io.sources import Bytes, PathLike
from tessella.tensors.tensor import Tensor, from_ndarray

"""Keywords that other libraries have for the same parameters. (`tessella.names` has those that mean something else.)"""

from __future__ import annotations

SPELLINGS: dict[str, tuple[str, ...]] = {  # of a parameter, in PyTorch and NumPy
    "axis": ("dim", "axes", "dims"),
    "axes": ("dim", "dims", "axis"),
    "dim": ("axis",),
    "keepdims": ("keepdim",),
    "x": ("input", "a", "self", "m", "v", "array", "arr", "operand"),
    "x1": ("input", "input1", "x", "a"),
    "x2": ("other", "input2", "y", "b"),
    "arrays": ("tensors", "tup"),
    "shape": ("size", "newshape"),
    "correction": ("ddof",),
    "min": ("a_min",),
    "max": ("a_max",),
    "k": ("diagonal",),
    "num": ("steps",),
    "indices": ("index",),
    "axis1": ("dim1",),
    "axis2": ("dim2",),
    "interpolation": ("method",),
    "offset": ("k", "diagonal"),
    "p": ("ord",),
    "repetitions": ("reps", "dims"),
    "sections": ("indices_or_sections",),
    "shift": ("shifts",),
    "sizes": ("split_size_or_sections", "split_size", "size"),
    "src": ("value",),
    "stop": ("end",),
    "start": ("start_dim", "start_axis"),
    "end": ("end_dim", "end_axis"),
    "function": ("fun", "func", "fn"),
    "in_axes": ("in_dims",),
    "out_axes": ("out_dims",),
    "rate": ("lam",),
    "widths": ("pad_width",),
    "min_val": ("min_value",),
    "max_val": ("max_value",),
}

_OF_ONE = """
cond | pred condition | true_fun when_true | true_fn when_true | false_fun when_false | false_fn when_false | operand operands
switch | operand operands
stop_gradient | x tree
concatenate | dimension axis
cat | dimension axis
scan | f body | init start | xs sequences
fori_loop | body_fun body | init_val start
while_loop | cond_fun condition | cond_fn condition | body_fun body | body_fn body | init_val start | carried_inputs start
associative_scan | elems sequences
eye | N n_rows | n n_rows | M n_cols | m n_cols
tril_indices | n row | m col
triu_indices | n row | m col
pow | exponent x2
float_power | exponent x2
outer | vec2 x2
ger | vec2 x2
mm | mat2 x2
bmm | mat2 x2 | batch2 x2
mv | vec x2
dot | tensor x2
isin | elements x1 | element x1 | ar1 x1 | test_elements x2 | test_element x2 | ar2 x2
searchsorted | sorted_sequence x1 | values x2 | v x2
heaviside | values x2
fmod | divisor x2
remainder | divisor x2
div | value x2 | divisor x2 | dividend x1
index_copy | tensor source
mul | value x2
meshgrid | tensors arrays | xi arrays
broadcast_tensors | tensors arrays
einsum | subscripts equation
asarray | data obj | a obj | object obj
from_numpy | ndarray data
from_dlpack | ext_tensor x
iinfo | int_type dtype | type dtype
finfo | type dtype
device | type name
constant_ | val value
register_parameter | param parameter
add_param_group | param_group group
real | val x
imag | val x
empty_like | prototype x
fold_in | data number
diagflat | offset k
tensor_split | indices sections
uniform | low minval | high maxval
save | obj tree | arr tree | f path | file path
load | f path | file path | map_location device
save_pytorch | obj tree | f path
load_pytorch | f path | map_location device
save_file | filename path | tensor_dict tensors
load_file | filename path
safe_open | filename path
randint | minval low | maxval high
"""


def _of_one(row: str) -> tuple[str, dict[str, str]]:
    function, *pairs = (part.split() for part in row.split("|"))
    return function[0], dict(pairs)


# Likewise, where a word means this for one function alone: by function, keyword and parameter.
SPELLINGS_OF: dict[str, dict[str, str]] = dict(map(_of_one, _OF_ONE.strip().splitlines()))

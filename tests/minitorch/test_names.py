"""Every name that the course's code may ask for is where it looks for it."""

import importlib

import pytest

import tessella.minitorch as minitorch

PLACES = {
    "": """
        Module Parameter
        Scalar ScalarHistory ScalarFunction Context Variable topological_sort backpropagate
        central_difference derivative_check
        TensorData shape_broadcast broadcast_index index_to_position to_index strides_from_shape
        IndexingError MAX_DIMS prod Tensor tensor zeros rand ones Function grad_check TensorBackend
        SimpleOps SimpleBackend MapProto TensorOps tensor_map tensor_zip tensor_reduce
        UserShape UserIndex Shape Strides Storage Index
        FastOps CudaOps make_tensor_backend sum_practice mm_practice
        Conv1dFun Conv2dFun conv1d conv2d tile avgpool2d maxpool2d max Max argmax softmax logsoftmax
        dropout SGD datasets MathTest MathTestVariable
    """,
    "operators": """
        mul id add neg lt eq max is_close sigmoid relu log log_back exp inv inv_back relu_back map
        zipWith reduce negList addLists sum prod
    """,
    "scalar_functions": "Add Log Mul Inv Neg Sigmoid ReLU Exp LT EQ ScalarFunction",
    "tensor_functions": "Function zeros rand ones tensor grad_check",
    "tensor_ops": "tensor_map tensor_zip tensor_reduce",
    "fast_ops": "tensor_map tensor_zip tensor_reduce tensor_matrix_multiply FastOps",
    "cuda_ops": "CudaOps",
    "autodiff": "Context",
    "module": "Module Parameter",
    "nn": "max",
    "testing": "MathTest",
}
MEMBERS = {
    "Module": """
        modules named_parameters parameters train eval training add_parameter forward __call__
    """,
    "Parameter": "update",
    "Scalar": """
        data history derivative name unique_id
        backward accumulate_derivative is_leaf is_constant parents chain_rule log exp sigmoid relu
    """,
    "Context": "save_for_backward saved_values saved_tensors",
    "Variable": "accumulate_derivative unique_id is_leaf is_constant parents chain_rule",
    "TensorData": "is_contiguous index indices sample get set tuple permute to_string",
    "Tensor": """
        make shape size dims grad history backend f _tensor unique_id name parents requires_grad_
        requires_grad backward zero_grad_ to_numpy tuple item contiguous view permute sum mean all
        is_close sigmoid relu log exp detach expand zeros accumulate_derivative
    """,
    "FastOps": "map zip reduce matrix_multiply",
    "CudaOps": "map zip reduce matrix_multiply",
    "SGD": "zero_grad step",
    "MathTestVariable": "_tests _comp_testing",
}


def missing(holder, names):
    return [name for name in names.split() if not hasattr(holder, name)]


@pytest.mark.parametrize("place", PLACES)
def test_modules_have_their_names(place):
    holder = importlib.import_module(f"tessella.minitorch.{place}") if place else minitorch
    assert missing(holder, PLACES[place]) == []


@pytest.mark.parametrize("name", MEMBERS)
def test_classes_have_their_members(name):
    assert missing(getattr(minitorch, name), MEMBERS[name]) == []


def test_datasets_have_their_names():
    assert list(minitorch.datasets) == ["Simple", "Diag", "Split", "Xor", "Circle", "Spiral"]


def test_submodules_are_attributes():
    for place in filter(None, PLACES):
        assert getattr(minitorch, place).__name__ == f"tessella.minitorch.{place}"

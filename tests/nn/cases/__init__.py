"""What is compared with PyTorch by `tests/nn/test_cases.py`: one file a family, one row a case."""

"""The works that are compared: the same sizes and data in each framework's own way."""

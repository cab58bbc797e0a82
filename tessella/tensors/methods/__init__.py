"""The methods of `Tensor`, by room: most are functions of `tessella.tensors`, with the tensor in front."""

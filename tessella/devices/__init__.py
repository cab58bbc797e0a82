"""The contract that a device keeps: arrays, their layouts, and who may write into them."""

"""Targets: each folder is all that one device is. Nobody imports one; the registry of devices loads it by name."""

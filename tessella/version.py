"""The version of Tessella."""

VERSION = "0.1.0"

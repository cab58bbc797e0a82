"""What machine code is generated for: this processor, or a level that `TESSELLA_CPU` names.

A level is what many processors have in common: kernels compiled for it run on all of them. One that this
machine cannot execute can be compiled for all the same, and its code be read; only to run it is refused.

Source: *System V Application Binary Interface, AMD64 Architecture Processor Supplement*, section 3.1.1,
for the levels of x86-64.
"""

from __future__ import annotations

import functools
import os
import platform
from typing import NamedTuple

from tessella.errors import ConfigurationError
from tessella.uninterrupted import uninterrupted

VARIABLE = "TESSELLA_CPU"
_PREFIX = "x86-64-"  # may be left out


class Processor(NamedTuple):
    """A processor, in the words of LLVM.

    Args:
        architecture: as Linux says it: x86_64, aarch64.
        name: whose instructions cost what.
        features: the extensions it has (`+avx2`) and has not (`-avx512f`), with commas between them.
    """

    architecture: str
    name: str
    features: str

    def has(self, *features: str) -> bool:
        """Whether it has all of these extensions."""
        return not self.lacks(*features)

    def lacks(self, *features: str) -> list[str]:
        """Those of these extensions that it has not."""
        own = set(self.features.split(","))
        return [feature for feature in features if f"+{feature}" not in own]

    def extensions(self) -> list[str]:
        """The names of the extensions it has."""
        return [feature[1:] for feature in self.features.split(",") if feature.startswith("+")]


_V1 = "+sse,+sse2"
_V2 = f"{_V1},+cx16,+sahf,+popcnt,+sse3,+ssse3,+sse4.1,+sse4.2"
_V3 = f"{_V2},+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+xsave"
_V4 = f"{_V3},+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl"

LEVELS = {
    "x86-64": Processor("x86_64", "x86-64", _V1),
    "x86-64-v2": Processor("x86_64", "x86-64-v2", _V2),
    "x86-64-v3": Processor("x86_64", "x86-64-v3", _V3),
    "x86-64-v4": Processor("x86_64", "x86-64-v4", _V4),
    "x86-64-v4+bf16": Processor("x86_64", "x86-64-v4", f"{_V4},+avx512bf16"),
    "aarch64": Processor("aarch64", "generic", "+neon"),
}
NATIVE = "native"


@functools.cache
@uninterrupted
def host() -> Processor:
    """The processor of this machine."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features().flatten()
    said = platform.machine()
    architecture = {"AMD64": "x86_64", "arm64": "aarch64"}.get(
        said, said
    )  # elsewhere than on Linux
    return Processor(architecture, llvm.get_host_cpu_name(), features)


@functools.cache
def target() -> Processor:
    """The processor that code is generated for; the variable is read once.

    Raises:
        ConfigurationError: `TESSELLA_CPU` names no level.
    """
    name = os.environ.get(VARIABLE, NATIVE)
    return host() if name.strip() == NATIVE else _named(name)


def _named(name: str) -> Processor:
    given = name.strip()
    for known in (given, _PREFIX + given):
        if known in LEVELS:
            return LEVELS[known]
    raise ConfigurationError(
        f"{VARIABLE} is {name!r}; expected one of {', '.join([*LEVELS, NATIVE])} ({_PREFIX!r} may be left "
        "out); leave the variable out to compile for the processor of this machine"
    )


@functools.cache
def is_executable(processor: Processor) -> bool:
    """Whether this machine can execute what is compiled for a processor."""
    here = host()
    same = processor.architecture == here.architecture
    return same and here.has(*processor.extensions())


def executable_levels() -> list[str]:
    """The levels that this machine can execute."""
    return [name for name, level in LEVELS.items() if is_executable(level)]


def require_executable() -> None:
    """Raise an error if what is compiled cannot be run here.

    Raises:
        ConfigurationError: `TESSELLA_CPU` names a level that this machine cannot execute.
    """
    wanted, here = target(), host()
    if is_executable(wanted):
        return
    why = f"it is {here.architecture}"
    if wanted.architecture == here.architecture:
        why = f"it has no {', '.join(here.lacks(*wanted.extensions()))}"
    raise ConfigurationError(
        f"{VARIABLE} is {os.environ.get(VARIABLE)!r}, and this processor cannot execute such code: {why}. It can "
        f"be compiled and read (`source('asm')`); to run it, set {VARIABLE} to one of "
        f"{', '.join([*executable_levels(), NATIVE])}, or leave it out"
    )

"""What this machine is: its caches and memory, and the vectors of the processor that is compiled for."""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path

from tessella.dtypes import DType
from tessella.targets.cpu.processors import target


@functools.cache
def vector_bytes() -> int:
    """The width of a vector register: 64 with AVX-512, 32 with AVX2, else 16."""
    if target().has("avx512f", "avx512vl"):
        return 64
    return 32 if target().has("avx2") else 16


_PAIRS = {"bfloat16": "avx512bf16"}  # dtypes, and the feature that multiplies pairs of them


def multiplies_pairs(dtype: DType) -> bool:
    """Whether there is an instruction for products of pairs of a dtype, added in float32."""
    feature = _PAIRS.get(dtype.name)
    return feature is not None and vector_bytes() == 64 and target().has(feature)


def function_attributes() -> str:
    """LLVM attributes of every kernel: use the whole width of the vector registers."""
    return f'"prefer-vector-width"="{8 * vector_bytes()}"'


@functools.cache
def physical_memory() -> int:
    """All the memory of the machine, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def available_memory() -> int:
    """What can be allocated now without swapping, in bytes."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return physical_memory()


def cache_bytes(level: int, default: int) -> int:
    """The size of the data cache of a level, in bytes; `default` if the system does not tell."""
    return _data_caches().get(level, default)


@functools.cache
def _data_caches() -> dict[int, int]:
    """The bytes of the first processor's data caches, by level (Linux)."""
    found: dict[int, int] = {}
    for index in range(5):
        folder = f"/sys/devices/system/cpu/cpu0/cache/index{index}/"
        try:
            level, kind, size = (_line(folder + name) for name in ("level", "type", "size"))
            if kind != "Instruction":
                found.setdefault(int(level), int(size[:-1]) * {"K": 1024, "M": 1024**2}[size[-1]])
        except (OSError, ValueError, KeyError):
            continue
    return found


def _line(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.readline().strip()


def usable_processors() -> int:
    """The processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def processor_name() -> str:
    """The processor's name for people."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()

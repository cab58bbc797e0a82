"""Kernels as machine code: each is compiled once, or found on disk by what it is."""

from __future__ import annotations

import functools

from tessella.compiler.recipe import MOST_KERNELS, Native
from tessella.loops.nest import Kernel
from tessella.loops.signature import generator, signature
from tessella.targets.cpu import engine, machine, threads


@functools.lru_cache(maxsize=MOST_KERNELS)
def llvm_of(kernel: Kernel | Native) -> str:
    """The LLVM IR of a kernel for this machine."""
    if isinstance(kernel, Native):
        return kernel.text
    from tessella.loops.llvm import to_llvm  # what the disk has needs no writer

    return to_llvm(kernel, machine.function_attributes())


@functools.lru_cache(maxsize=MOST_KERNELS)
def module_of(kernel: Kernel | Native) -> engine.LLVMModule:
    """A kernel as the engine takes it: its LLVM IR is written only if no machine code is found."""
    signed = None if isinstance(kernel, Native) else signature(kernel)
    if signed is None:
        return engine.LLVMModule(llvm_of(kernel), (kernel.name,))
    identity = f"{generator()}\n{machine.function_attributes()}\n{signed}"
    return engine.LLVMModule(functools.partial(llvm_of, kernel), (kernel.name,), identity)


@functools.lru_cache(maxsize=MOST_KERNELS)
def address_of(kernel: Kernel | Native) -> int:
    """The address of a kernel's machine code, made once."""
    return engine.compile(module_of(kernel))[kernel.name]


def source(kernel: Kernel | Native, kind: str) -> str:
    """A kernel as text: "llvm", after LLVM's passes, or "asm"."""
    show = engine.optimised if kind == "llvm" else engine.assembly
    return show(llvm_of(kernel))


class Compilation(engine.SideBySide):
    """Kernels, and the loops that will run them, compiled side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.has_loops = False

    def begin_kernel(self, kernel: Kernel | Native) -> None:
        """Let threads compile a kernel, if it is not there yet."""
        if not self.has_loops:
            self.has_loops = True
            self.begin(threads.module())
        self.begin(module_of(kernel))

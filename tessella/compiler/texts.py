"""A program as text: its kernels, and how large it is."""

from __future__ import annotations

from typing import Any

from tessella.compiler.program import Program
from tessella.compiler.recipe import Role
from tessella.compiler.steps import HostStep, Step
from tessella.loops.nest import Kernel
from tessella.loops.printer import source
from tessella.terminal import bytes_of


def sources(program: Program, kind: str) -> str:
    """The distinct kernels of a program as text: "loops", "llvm" or "asm"."""
    parts = []
    for kernel in kernels_of(program):
        if kind == "loops":
            shown = (
                source(kernel) if isinstance(kernel, Kernel) else f"kernel {kernel.name}: LLVM IR"
            )
        else:
            shown = program.device.source(kernel, kind)
        parts.append(shown)
    return "\n\n".join(parts)


def kernels_of(program: Program) -> list[Any]:
    """The distinct kernels, epilogues too, in the order of their first call."""
    return list(roles_of(program))


def roles_of(program: Program) -> dict[Any, Role]:
    """The distinct kernels, epilogues too, in the order of their first call; and what each does."""
    found: dict[Any, Role] = {}
    for step in program.steps:
        if isinstance(step, HostStep) and step.runner is not None:
            for part in step.runner.parts:
                found = roles_of(part.program) | found
        if isinstance(step, Step):
            found.setdefault(step.call.kernel, step.call.role)
            if step.epilogue is not None:
                found.setdefault(step.epilogue.kernel, Role.WHOLE)
    return found


def summary(program: Program) -> str:
    """How large a program is, in one line."""
    native = sum(isinstance(step, Step) for step in program.steps)
    host = len(host_steps(program))
    kernels = kernels_of(program)
    calls = f"{native} native call{'s' if native != 1 else ''}"
    parts = [f"{calls} of {len(kernels)} kernel{'s' if len(kernels) != 1 else ''}"]
    if program.prepared:
        parts.append(f"{program.prepared} of them once only")
    if host:
        parts.append(f"{host} steps in Python")
    parts.append(f"{bytes_of(program.arena_plan.nbytes)} of intermediate values")
    return ", ".join(parts)


def host_steps(program: Program) -> list[HostStep]:
    """What the host does between the native calls of a program."""
    return [step for step in program.steps if isinstance(step, HostStep)]

"""From LLVM IR to native functions, through the cache on disk.

A kernel's native function is ``void name(ptr args, i64 begin, i64 end)``; see
`tessella.loops.nest`.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import itertools
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

from tessella import forking
from tessella.targets.cpu import cache, machine, processors
from tessella.uninterrupted import Work, uninterrupted

VERSION = "5"  # of the code generator; a change makes cached objects stale

_lock = forking.lock()
_compiled: dict[str, dict[str, int]] = {}
_libraries: list[Any] = []  # keeps machine code alive for the life of the process
_links = itertools.count()


@functools.cache
@uninterrupted
def _llvm() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@functools.cache
def _side_by_side() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The two functions of llvmlite's library that take long: passes, and machine code.

    llvmlite lets one thread at a time into LLVM. These two may run side by side: what they work on
    belongs to a context and to a target machine that no other thread has.
    """
    from llvmlite.binding import ffi

    library = ctypes.CDLL(ffi.lib._name)
    run_passes = library.LLVMPY_RunNewModulePassManager
    run_passes.argtypes = [ffi.LLVMModulePassManagerRef, ffi.LLVMModuleRef, ffi.LLVMPassBuilderRef]
    run_passes.restype = None
    emit = library.LLVMPY_TargetMachineEmitToMemory
    emit.argtypes = [
        ffi.LLVMTargetMachineRef, ffi.LLVMModuleRef, ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)
    ]  # fmt: skip
    emit.restype = ffi.LLVMMemoryBufferRef
    return run_passes, emit


class _Tools:
    """What only one thread at a time may use of LLVM.

    Args:
        machine: LLVM's model of the processor.
        context: where LLVM keeps the types and constants of modules.
    """

    def __init__(self) -> None:
        self.machine = _new_target_machine()
        self.context = _llvm().create_context()


_idle: list[_Tools] = []


@contextlib.contextmanager
def _tools() -> Generator[_Tools, None, None]:
    """Tools that nobody uses, for as long as the block lasts; making them takes a third of a millisecond."""
    try:
        found = _idle.pop()
    except IndexError:
        found = _Tools()
    yield found
    _idle.append(found)  # after an error nobody knows what is left in them


def _new_target_machine() -> Any:
    chosen = processors.target()
    return _architecture(chosen.architecture).create_target_machine(
        cpu=chosen.name, features=chosen.features, opt=1, reloc="pic", codemodel="small", jit=True
    )  # level 2 takes a sixth longer, and no kernel is faster for it


def _architecture(name: str) -> Any:
    """LLVM's code generator for processors of this kind, or another."""
    llvm = _llvm()
    if name == processors.host().architecture:
        return llvm.Target.from_default_triple()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(f"{name}-unknown-linux-gnu")


@functools.cache
def _linker() -> Any:
    return _llvm().create_lljit_compiler(_new_target_machine())


@functools.cache
def fingerprint() -> str:
    """What machine code depends on besides the kernel: compiler and processor."""
    import llvmlite

    return "|".join((VERSION, llvmlite.__version__, *processors.target()))


class LLVMModule(NamedTuple):
    """LLVM IR to compile, or how it is written, and the functions in it.

    Args:
        text: the LLVM IR; or a function that writes it, if there is an `identity`.
        symbols: the names of its functions.
        identity: what stands for the text: whenever it is the same, so is the text.
    """

    text: str | Callable[[], str]
    symbols: Sequence[str]
    identity: str = ""

    @property
    def key(self) -> str:
        known = self.identity or self.text
        return hashlib.sha256(f"{fingerprint()}\n{known}".encode()).hexdigest()

    def llvm_ir(self) -> str:
        return self.text if isinstance(self.text, str) else self.text()


def load() -> None:
    """Load LLVM now: it takes longer than to compile a kernel."""
    _llvm()
    processors.target()


def compile(module: LLVMModule) -> dict[str, int]:
    """Compile LLVM IR and give the native addresses of its functions.

    The same text is compiled once in a process, and once on a machine if the cache can be used. Code
    that this machine cannot execute has no addresses: they are 0, and `callable_at` knows.
    """
    key = module.key
    return _compiled.get(key) or _compile(key, module)


@uninterrupted
def _compile(key: str, module: LLVMModule) -> dict[str, int]:
    with forking.making.section(), _lock:
        known = _compiled.get(key)
        if known is None:
            known = _compiled[key] = _link(key, _object_code(key, module), module.symbols)
    return known


class SideBySide:
    """Compiles modules in other threads than the one that brings them.

    To be used in a `with` block: the threads are gone after it. They are not those of an executor, which
    takes no more work once the main thread has come to its end, though other threads go on.
    """

    def __init__(self) -> None:
        self.begun: dict[str, LLVMModule] = {}
        self.waiting: deque[str] = deque()
        self.codes: dict[str, bytes] = {}
        self.workers: list[Work[None]] = []

    def __enter__(self) -> SideBySide:
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        self.waiting.clear()
        for worker in self.workers:
            worker.wait()

    def begin(self, module: LLVMModule) -> None:
        """Let a thread compile a module, if that has not been done."""
        key = module.key
        if key in _compiled or key in self.begun:
            return
        self.begun[key] = module
        self.waiting.append(key)
        busy = [worker for worker in self.workers if not worker.is_done()]
        if len(busy) < machine.usable_processors():
            with contextlib.suppress(RuntimeError):  # too many: then those that are there do it
                self.workers.append(Work(self._work))

    def _work(self) -> None:
        """Compile those that wait until none is left."""
        with forking.making.section():
            while self.waiting:
                try:
                    key = self.waiting.popleft()
                except IndexError:  # another thread has taken the last one
                    return
                self.codes[key] = _object_code(key, self.begun[key])

    @uninterrupted
    def finish(self) -> None:
        """Compile with the threads until all machine code is there, and give it addresses."""
        self._work()
        for worker in self.workers:
            worker.result()
        with forking.making.section(), _lock:
            for key, code in self.codes.items():
                if key not in _compiled:
                    _compiled[key] = _link(key, code, self.begun[key].symbols)


def _object_code(key: str, module: LLVMModule) -> bytes:
    """Machine code from the cache, or made and put there."""
    code = cache.load(key)
    if code is None:
        with _tools() as tools:
            code = _emit(_optimise(module.llvm_ir(), tools), tools)
        cache.store(key, code)
    return code


# LLVM's own levels run a hundred passes. Kernels come in vectors, their expressions simplified and shared, their
# loops as they are to be; code generation hoists what does not change. What is left is to put the tests of
# loops to their ends and to tidy up. Level 1 takes five times as long, and no kernel is faster for it; sharing
# once more what is equal (`new_gvn`) keeps registers busy, and more goes to the stack.
_PASSES = ("always_inliner", "loop_rotate", "instruction_combine", "simplify_cfg", "aggressive_dce")


def _optimise(llvm_ir: str, tools: _Tools) -> Any:
    """Run the passes of LLVM that kernels need."""
    llvm = _llvm()
    module = llvm.parse_assembly(llvm_ir, tools.context)
    module.verify()  # a mistake is then an error here, and not a crash in some pass
    builder = llvm.create_pass_builder(tools.machine, llvm.create_pipeline_tuning_options())
    passes = llvm.create_new_module_pass_manager()
    for name in _PASSES:
        getattr(passes, f"add_{name}_pass")()
    run_passes, _ = _side_by_side()
    run_passes(passes, module, builder)
    return module


def _emit(module: Any, tools: _Tools) -> bytes:
    """The object code of an optimised module."""
    from llvmlite.binding import ffi

    _, emit = _side_by_side()
    with ffi.OutputString() as complaint:
        buffer = emit(tools.machine, module, 1, complaint)
        if not buffer:
            raise RuntimeError(str(complaint))
    try:
        start, size = ffi.lib.LLVMPY_GetBufferStart(buffer), ffi.lib.LLVMPY_GetBufferSize(buffer)
        return ctypes.string_at(start, size)
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)


def _link(key: str, code: bytes, symbols: Sequence[str]) -> dict[str, int]:
    if not processors.is_executable(processors.target()):
        return dict.fromkeys(symbols, 0)
    library = _llvm().JITLibraryBuilder().add_object_img(code).add_current_process()
    for symbol in symbols:
        library.export_symbol(symbol)
    # a name of its own each time: one that failed to link stays taken
    tracker = library.link(_linker(), f"{key}-{next(_links)}")
    _libraries.append(tracker)
    return {symbol: tracker[symbol] for symbol in symbols}


@uninterrupted
def optimised(llvm_ir: str) -> str:
    """The LLVM IR after optimisation, for reading."""
    with _tools() as tools:
        return str(_optimise(llvm_ir, tools))


@uninterrupted
def assembly(llvm_ir: str) -> str:
    """The machine code as assembly, for reading."""
    with _tools() as tools:
        text: str = tools.machine.emit_assembly(_optimise(llvm_ir, tools))
    return text


def callable_at(address: int, prototype: Any) -> Any:
    """A native function as a Python callable; it refuses if this machine cannot execute its code.

    Args:
        prototype: its type, as `ctypes` makes it.
    """
    if processors.is_executable(processors.target()):
        return prototype(address)
    return lambda *_: processors.require_executable()

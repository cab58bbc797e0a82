"""The language of loop nests, and its translation to LLVM IR for any target."""

"""The loop-nest IR and what turns it into machine code."""

"""Pages that need nothing else: HTML with its curves, tables and pictures inside."""

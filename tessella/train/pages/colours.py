"""The colours of pages and pictures, as variables of CSS."""

DAY = """--ink: #1c2230; --soft: #667085; --line: #d8dde6; --paper: #ffffff; --card: #f6f8fb;
  --first: #2563eb; --second: #d97706; --third: #059669; --wrong: #dc2626"""
NIGHT = """--ink: #e6e9ef; --soft: #98a2b3; --line: #344054; --paper: #12161f; --card: #1b212d;
  --first: #60a5fa; --second: #fbbf24; --third: #34d399; --wrong: #f87171"""


def coloured(selector: str) -> str:
    """Rules that give an element its colours, by day and at night."""
    night = f"@media (prefers-color-scheme: dark) {{ {selector} {{ {NIGHT} }} }}"
    return f"{selector} {{ {DAY} }}\n{night}\n"

"""The command line: one command a file; each reads, makes one call, renders, and gives an exit code.

0 clean · 1 findings, or a spec that is not valid · 2 wrong usage, an unreadable file, a missing extra
"""

from cnnplan.cli.app import main

__all__ = ["main"]

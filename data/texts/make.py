"""Make the shipped text again, with Python 3.11: python3.11 data/texts/make.py

The text is that of Python's own language reference, as its help system has it (`pydoc_data.topics`). It differs between
versions of Python, so one copy is shipped, and every number in this project that is read from a text depends on that
copy alone. Python's licence, beside it, is that of the text.
"""

from __future__ import annotations

import lzma
import sys
from pathlib import Path
from pydoc_data.topics import topics

if __name__ == "__main__":
    if sys.version_info[:2] != (3, 11):
        sys.exit(f"This is Python {sys.version.split()[0]}, but the shipped text is that of Python 3.11: use that one.")
    text = "\n\n".join(topics[name].strip("\n") for name in sorted(topics)) + "\n"
    file = Path(__file__).with_name("python_reference.txt.xz")
    file.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{len(text):,} characters in {file.stat().st_size:,} bytes")

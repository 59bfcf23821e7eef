"""Draws the pictures of method.md into this folder, by the code on that page.

python docs/draw.py
"""

import os
import re
from pathlib import Path

if __name__ == "__main__":
    os.chdir(Path(__file__).parent)
    [code] = re.findall(r"```python\n(.*?)```", Path("method.md").read_text(), re.S)
    exec(compile(code, "method.md", "exec"))

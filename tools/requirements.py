"""Print what the package and some of its extras need, a line each, for ``pip install -r``.

pip takes the requirements of a file in their order. Those of ``.[dev]`` it takes in an order of its
own, in which it may look at hundreds of versions before some go together: for minutes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pip._vendor import tomli  # Python 3.10 has none

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
_OURS = re.compile(r"digitvae\[(.+)\]")


def requirements_of(extras: list[str]) -> list[str]:
    """Requirements of the package and of extras, each once; extras within extras are followed."""
    project = tomli.loads(PYPROJECT.read_text("utf-8"))["project"]
    found: list[str] = list(project["dependencies"])
    waiting = list(extras)
    while waiting:
        for requirement in project["optional-dependencies"][waiting.pop(0)]:
            ours = _OURS.fullmatch(requirement)
            if ours:
                waiting += ours[1].split(",")
            else:
                found.append(requirement)
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    print("\n".join(requirements_of(sys.argv[1:])))

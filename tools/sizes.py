"""Print lines of code by package, product, benchmarks and tests: ``python -m tools.sizes``."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path, PurePath

ROOT = Path(__file__).parents[1]
CODE = {".c", ".cpp", ".h", ".hpp", ".jinja", ".py", ".pyi", ".sh", ".ts"}
ALL = {
    "product": ("python/digitvae/", "cpp/src/", "cpp/include/", "cpp/bindings/", "web/src/"),
    "benchmarks": ("benchmarks/",),
    "tests": ("tests/", "cpp/tests/", "cpp/fuzz/", "web/tests/"),
}


def sizes(places: tuple[str, ...], files: list[str]) -> Counter[str]:
    """Lines of the files in some places, by the folders directly below them."""
    found: Counter[str] = Counter()
    for name in files:
        place = next((place for place in places if name.startswith(place)), None)
        if place is not None and PurePath(name).suffix in CODE:
            parts = PurePath(name.removeprefix(place)).parts
            folder = place + (parts[0] if len(parts) > 1 else "")
            found[folder] += len((ROOT / name).read_text("utf-8").splitlines())
    return found


def main() -> None:
    """Print a table of each."""
    command = ["git", "ls-files"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    for title, places in ALL.items():
        found = sizes(places, listed.stdout.splitlines())
        print(f"{title:<32}{found.total():>8,}")
        for folder, lines in found.items():
            print(f"  {folder:<30}{lines:>8,}")


if __name__ == "__main__":
    main()

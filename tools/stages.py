"""Time the stages of `make test` and `.ci/run`, and print them as a table.

    python3 tools/stages.py run NAME COMMAND...   run a command; keep its seconds, tests and gaps
    python3 tools/stages.py table [SINCE]         print the stages begun since SINCE (Unix time)

A line of a command that begins with "not tested: " names a gap: what this machine lacks for some
tests, and how to get it. The table ends with all gaps in one line.

This runs before anything is installed, so it uses the standard library alone.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "build" / "stages.jsonl"
GAP = "not tested: "
# How each runner says how many tests have passed.
COUNTS = (
    re.compile(r"(\d+) passed.* in [\d.:]+"),  # pytest
    re.compile(r"assertions? in (\d+) test cases?"),  # Catch2
    re.compile(r"^ +Tests +(\d+) passed", re.MULTILINE),  # Vitest
    re.compile(r"(\d+) checks passed"),  # digitvae verify
)
COLOURS = re.compile(r"\x1b\[[\d;]*m")


def count(said: str) -> int | None:
    """Add up the tests that a command said have passed; None if it said nothing of tests."""
    found = [int(number) for pattern in COUNTS for number in pattern.findall(said)]
    return sum(found) if found else None


def run(name: str, command: list[str]) -> int:
    """Run a command, show what it prints as it comes, and keep what it took; its exit status."""
    began = time.time()
    print(f"== {name}", flush=True)  # for some of them say nothing for a minute
    # Ctrl-C reaches the command itself. It decides what to do, and its last words are shown.
    signal.signal(signal.SIGINT, lambda *_: None)
    said = b""
    # Ninja would look for the jobs of the make that started this, which are not handed on.
    environment = {key: value for key, value in os.environ.items() if key != "MAKEFLAGS"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    ) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        assert process.stdout is not None
        while chunk := process.stdout.read1(1 << 16):  # type: ignore[attr-defined]
            said += chunk
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
    status = process.returncode if process.returncode >= 0 else 128 - process.returncode
    text = COLOURS.sub("", said.decode(errors="replace"))
    stage = {
        "name": name,
        "began": began,
        "ended": time.time(),
        "tests": count(text),
        "status": status,
        "gaps": [line[len(GAP) :] for line in text.splitlines() if line.startswith(GAP)],
    }
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with KEPT.open("a", encoding="utf-8") as kept:  # one write: stages may run beside each other
        kept.write(json.dumps(stage) + "\n")
    return status


def table(since: float = 0.0) -> str:
    """What every stage took since a Unix time, how its last run ended, and the gaps."""
    lines = KEPT.read_text(encoding="utf-8").splitlines() if KEPT.exists() else []
    stages: dict[str, dict[str, Any]] = {}
    for stage in map(json.loads, lines):
        if stage["began"] >= since:
            before = stages.get(stage["name"], {"began": stage["began"], "seconds": 0.0})
            seconds = before["seconds"] + stage["ended"] - stage["began"]
            stages[stage["name"]] = stage | {"began": before["began"], "seconds": seconds}
    if not stages:
        return "no stage was run"
    rows = sorted(stages.values(), key=lambda stage: float(stage["began"]))
    width = max(len("from start to end"), *(len(row["name"]) for row in rows))
    told = [f"{'stage':{width}}  seconds   tests"]
    for row in rows:
        tests = "" if row["tests"] is None else f"{row['tests']:,}"
        failed = f"  failed ({row['status']})" if row["status"] else ""
        told.append(f"{row['name']:{width}} {row['seconds']:8.1f} {tests:>7}{failed}")
    ended = max(stage["ended"] for stage in stages.values())
    total = sum(row["tests"] or 0 for row in rows)
    told.append(f"{'from start to end':{width}} {ended - rows[0]['began']:8.1f} {total:>7,}")
    gaps = sorted({gap for row in rows for gap in row["gaps"]})
    if gaps:
        told.append("Not tested on this machine: " + "; ".join(gaps))
    return "\n".join(told)


def main(words: list[str]) -> int:
    """Do what the command line asks for; the exit status."""
    match words:
        case ["run", name, *command] if command:
            return run(name, command)
        case ["table"]:
            print(table())
        case ["table", since]:
            print(table(float(since)))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

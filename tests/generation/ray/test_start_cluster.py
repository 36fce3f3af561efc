"""``make cluster``: to whom a cluster listens, and who has to know a token."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "tools" / "start-cluster.sh"

RAY = """#!/bin/sh
# Stands for the program `ray`, with what a folder says that it can do.
cd "$(dirname "$0")"
case "$1 ${2-}" in
"get-auth-token --help") [ -e tokens ] || exit 2 ;;
"get-auth-token --generate") [ -e token ] || echo secret > token ;;
"status ") [ -e running ] || exit 1 ;;
"start --head")
  umask > umask
  echo "${RAY_AUTH_MODE-} ${RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER-}" > environment
  shift
  echo "$*" > arguments ;;
*) exit 3 ;;
esac
"""


@pytest.fixture
def ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "ray"
    program.write_text(RAY)
    program.chmod(0o755)
    for name in ("RAY_AUTH_MODE", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"):
        monkeypatch.delenv(name, raising=False)
    return program


def start(ray: Path, host: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["sh", SCRIPT, ray, host], capture_output=True, text=True, check=False, umask=0o022
    )
    assert done.returncode == 0, done.stderr
    return done


def told(ray: Path, name: str) -> str:
    return (ray.parent / name).read_text().strip()


USUAL = "--head --disable-usage-stats --include-dashboard=false"


@pytest.mark.parametrize(
    ("host", "arguments", "environment"),
    [
        ("127.0.0.1", f"{USUAL} --node-ip-address=127.0.0.1", "token 0"),
        ("192.0.2.7", f"{USUAL} --node-ip-address=192.0.2.7", "token"),
        ("0.0.0.0", USUAL, "token"),
    ],
)
def test_it_listens_to_whom_it_is_told_to_and_asks_for_a_token(
    ray: Path, host: str, arguments: str, environment: str
) -> None:
    (ray.parent / "tokens").touch()
    assert start(ray, host).stderr == ""
    assert told(ray, "arguments") == arguments
    assert told(ray, "environment") == environment
    token = ray.parent / "token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert told(ray, "umask") == "0022"  # what workers write is not for their user alone


def test_a_token_that_there_is_stays(ray: Path) -> None:
    (ray.parent / "tokens").touch()
    (ray.parent / "token").write_text("mine")
    start(ray, "127.0.0.1")
    assert told(ray, "token") == "mine"


@pytest.mark.parametrize("why", ["an old Ray", "not wanted"])
def test_without_tokens_others_are_warned_of(
    ray: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why == "not wanted":
        (ray.parent / "tokens").touch()
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert start(ray, "127.0.0.1").stderr == ""
    assert "This cluster has no token" in start(ray, "192.0.2.7").stderr
    assert not (ray.parent / "token").exists()


def test_a_cluster_that_runs_is_left_alone(ray: Path) -> None:
    (ray.parent / "running").touch()
    assert "There is a cluster" in start(ray, "127.0.0.1").stdout
    assert not (ray.parent / "arguments").exists()


def test_make_cluster_is_for_this_machine_alone_unless_told() -> None:
    makefile = SCRIPT.parents[1]
    env = {**os.environ, "HOST": "machine.example"}  # as some shells have it
    for words, host in (([], "127.0.0.1"), (["HOST=0.0.0.0"], "0.0.0.0")):
        done = subprocess.run(
            ["make", "--dry-run", "cluster", *words],
            cwd=makefile, env=env, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert f"tools/start-cluster.sh .venv/bin/ray {host}\n" in done.stdout

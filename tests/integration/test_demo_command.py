"""`lishang demo`: three answers to try, again and again, and an end to it."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from contextlib import closing

import pytest


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_stopping_a_demo_that_ended_by_itself_tidies_up(install) -> None:
    lishang = install("demo")
    (lishang.home / "demo.pid").write_text("4194305")  # beyond any process id
    lishang.run("demo", "--stop")
    assert not (lishang.home / "demo.pid").exists()


@pytest.mark.slow
def test_printed_commands_answer_all_three_jobs_and_the_demo_runs_again(
    install, monkeypatch
) -> None:
    lishang = install("demo")
    monkeypatch.setenv("PORT", str(_free_port()))
    try:
        for _ in range(2):
            printed = lishang.run("demo")
            commands = [line for line in printed.splitlines() if line.startswith("curl ")]
            answers = [
                json.loads(subprocess.run(shlex.split(c), capture_output=True, check=True).stdout)
                for c in commands
            ]
            check, gifts, offers = answers
            assert check["verdict"] == "allow"
            assert gifts["personalised"]
            assert 1 <= len(gifts["gifts"]) <= 3
            assert {score["eligible"] for score in offers["scores"]} <= {True, False}
            assert all(answer["model"] for answer in answers)
        with closing(socket.socket()) as other:
            taken = _free_port()
            other.bind(("127.0.0.1", taken))
            other.listen()
            refused = subprocess.run(
                [sys.executable, "-m", "api", "demo"],
                env={**os.environ, "LISHANG_HOME": str(lishang.home), "PORT": str(taken)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert refused.returncode == 2
            assert re.search("cannot listen", refused.stderr)
    finally:
        lishang.run("demo", "--stop")

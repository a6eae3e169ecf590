# SPDX-License-Identifier: Apache-2.0
"""What the kernel has counted of BPF programs' runs. Under scripts/vm --count a nanosecond is an
instruction.
"""

import json
import subprocess
import time


def turn_on() -> None:
    with open("/proc/sys/kernel/bpf_stats_enabled", "w", encoding="ascii") as file:
        file.write("1")


def programs() -> dict:
    """Of every loaded program by id: name, runs, instructions."""
    text = subprocess.check_output(["bpftool", "--json", "prog", "show"])
    return {
        p["id"]: (p.get("name", ""), p.get("run_cnt", 0), p.get("run_time_ns", 0))
        for p in json.loads(text)
    }


def wait_for(condition) -> None:
    while not condition():
        time.sleep(0.2)


def start(*command: str) -> "tuple[subprocess.Popen, set]":
    """Starts what loads programs; returns it and the ids of what it loaded."""
    before = set(programs())
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_for(lambda: set(programs()) - before)
    time.sleep(2)
    return process, set(programs()) - before


def spent(before: dict, after: dict, ids: set) -> "tuple[int, int]":
    """Runs and instructions of some programs in between."""
    runs = sum(after[i][1] - before[i][1] for i in ids if i in before and i in after)
    instructions = sum(after[i][2] - before[i][2] for i in ids if i in before and i in after)
    return runs, instructions

# SPDX-License-Identifier: Apache-2.0
"""A stand-in kubelet beside a test: fake_kubelet.py as its child, with the files that it and the
agent need: certificates, token, and what it is to answer.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Optional

import guestlib as g

HERE = Path(__file__).resolve().parent


class Kubelet:
    """Knows `pods`, and `more` of what fake_kubelet.py's state may have, from publish() on."""

    def __init__(
        self, directory: str, address: str = "127.0.0.1", port: int = 0, socket: str = ""
    ) -> None:
        self.pods: "list[dict]" = []
        self.more: "dict" = {}
        self.process: Optional[subprocess.Popen] = None
        self.directory = directory
        self.address = address
        self.port = port  # 0: the one that it gets at first, and then keeps
        self.socket = socket or f"{directory}/pod-resources.sock"
        self.ca_file = f"{directory}/ca.pem"
        self.token_file = f"{directory}/token"
        os.makedirs(directory, exist_ok=True)
        os.makedirs(os.path.dirname(self.socket), exist_ok=True)
        if not os.path.exists(self.ca_file):
            subprocess.run([HERE / "../fixtures/make_certs", directory, address], check=True)
        g.write(self.token_file, "secret\n")
        self.publish()

    def publish(self) -> None:
        state = f"{self.directory}/state"
        g.write(f"{state}.new", json.dumps({"pods": self.pods, **self.more}))
        os.rename(f"{state}.new", state)

    def start(self) -> None:
        command = [
            sys.executable,
            f"{HERE}/fake_kubelet.py",
            *("--state", f"{self.directory}/state"),
            *("--cert", f"{self.directory}/good.pem"),
            *("--token-file", self.token_file),
            *("--address", self.address),
            *("--port", str(self.port)),
            *("--socket", self.socket),
        ]
        # It ends when its standard input does, so that it never outlives the test.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        said = self.process.stdout.readline().split()
        if said[:1] != ["ready"]:
            raise RuntimeError(f"no kubelet at {self.address}:{self.port}: {said}")
        self.port = int(said[1])

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def options(self) -> "list[str]":
        return [
            *("--kubelet", f"https://{self.address}:{self.port}"),
            *("--ca-file", self.ca_file),
            *("--token-file", self.token_file),
            *("--pod-resources", self.socket),
            *("--pod-logs", ""),
        ]


def kubelet_is_up(metrics: g.Metrics) -> bool:
    return metrics.table("mlprof_names_source_up", "source")[("kubelet",)] == 1

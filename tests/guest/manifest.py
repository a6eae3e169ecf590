# SPDX-License-Identifier: Apache-2.0
"""What the tests read from the DaemonSet as kustomize renders it, so that what is tried in a guest
is what a cluster gets, and nothing that was copied.
"""

import re
from pathlib import Path

import yaml

# What the DaemonSet does without, of what root can: it takes CAP_SYSLOG or CAP_SYS_ADMIN, depending
# on the kernel, and reading files does as well.
NOT_WORTH_IT = ("memory_iterator",)


class DaemonSet:
    """The only DaemonSet of a rendered manifest, and its only container."""

    def __init__(self, rendered: "str | Path") -> None:
        with open(rendered, encoding="utf-8") as file:
            found = [one for one in yaml.safe_load_all(file) if one["kind"] == "DaemonSet"]
        (self.object,) = found
        self.name: str = self.object["metadata"]["name"]
        self.namespace: str = self.object["metadata"]["namespace"]
        self.labels: "dict[str, str]" = self.object["spec"]["template"]["metadata"]["labels"]
        self.pod: dict = self.object["spec"]["template"]["spec"]
        (self.container,) = self.pod["containers"]
        self.security: dict = self.container["securityContext"]

    @property
    def capabilities(self) -> "list[str]":
        """Those it adds after dropping all, as Kubernetes writes them: without CAP_."""
        if self.security["capabilities"]["drop"] != ["ALL"]:
            raise ValueError(f"{self.name} does not drop all capabilities first")
        return list(self.security["capabilities"].get("add", ()))

    def env(self, fields: "dict[str, str]") -> "dict[str, str]":
        """Its variables; `fields` answers what the downward API would."""
        values = {}
        for one in self.container.get("env", ()):
            if "value" in one:
                values[one["name"]] = one["value"]
            else:
                values[one["name"]] = fields[one["valueFrom"]["fieldRef"]["fieldPath"]]
        return values

    def args(self, fields: "dict[str, str]") -> "list[str]":
        """Its arguments with $(NAME) put in, as the kubelet does it."""
        env = self.env(fields)
        return [
            re.sub(r"\$\((\w+)\)", lambda match: env[match[1]], arg)
            for arg in self.container["args"]
        ]

    def mounts(self) -> "list[tuple[dict, dict]]":
        """Each mount of the container with the volume it is of."""
        volumes = {volume["name"]: volume for volume in self.pod["volumes"]}
        return [(mount, volumes[mount["name"]]) for mount in self.container["volumeMounts"]]

# SPDX-License-Identifier: Apache-2.0
"""From a DaemonSet to what the kubelet would ask of the container runtime for its pod, so that a
test runs with exactly the manifest's permissions. What is not understood is an error: a field of
the manifest that this file would drop could be the one that breaks the pod.
"""

import base64
import os
import re
import subprocess
from pathlib import Path

from manifest import DaemonSet

# What the kubelet hides of /proc and /sys, and what it makes read-only, with procMount Default.
MASKED = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

UNITS = {
    "": 1,
    "m": 0.001,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "Ki": 1 << 10,
    "Mi": 1 << 20,
    "Gi": 1 << 30,
}

# Fields that are the cluster's business and change nothing for the runtime.
CLUSTER_FIELDS = {
    "serviceAccountName",
    "automountServiceAccountToken",
    "priorityClassName",
    "nodeSelector",
    "tolerations",
    "enableServiceLinks",
    "terminationGracePeriodSeconds",
    "containers",
    "volumes",
    "hostPID",
    "hostIPC",
    "hostNetwork",
    "securityContext",
}
CONTAINER_FIELDS = {
    "name",
    "image",
    "imagePullPolicy",
    "args",
    "env",
    "ports",
    "startupProbe",
    "livenessProbe",
    "readinessProbe",
    "resources",
    "securityContext",
    "volumeMounts",
}
SECURITY_FIELDS = {
    "privileged",
    "allowPrivilegeEscalation",
    "readOnlyRootFilesystem",
    "capabilities",
    "runAsUser",
    "runAsGroup",
    "seccompProfile",
}

SECRETS = "/var/run/secrets/kubernetes.io/serviceaccount"


def only_known(what: str, have: dict, known: "set[str]") -> None:
    if have.keys() - known:
        raise ValueError(f"{what}: what is {', '.join(sorted(have.keys() - known))} to a runtime?")


def quantity(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\w*)", str(text)).groups()
    return float(number) * UNITS[unit]


def namespaces(daemon: DaemonSet) -> dict:
    pod = daemon.pod
    return {
        "network": "NODE" if pod.get("hostNetwork") else "POD",
        "pid": "NODE" if pod.get("hostPID") else "CONTAINER",
        "ipc": "NODE" if pod.get("hostIPC") else "POD",
    }


def security_context(daemon: DaemonSet) -> dict:
    """The container's settings over the pod's, as Kubernetes merges them."""
    only_known("the pod", daemon.pod, CLUSTER_FIELDS)
    only_known("the container", daemon.container, CONTAINER_FIELDS)
    merged = {**daemon.pod.get("securityContext", {}), **daemon.security}
    only_known("securityContext", merged, SECURITY_FIELDS)
    return {
        "privileged": merged["privileged"],
        "namespace_options": namespaces(daemon),
        "no_new_privs": not merged["allowPrivilegeEscalation"],
        "readonly_rootfs": merged["readOnlyRootFilesystem"],
        "run_as_user": {"value": merged["runAsUser"]},
        "run_as_group": {"value": merged["runAsGroup"]},
        "capabilities": {
            "add_capabilities": daemon.capabilities,
            "drop_capabilities": merged["capabilities"]["drop"],
        },
        "seccomp": {"profile_type": merged["seccompProfile"]["type"]},
        # What the kubelet says where the manifest is silent.
        "apparmor": {"profile_type": "RuntimeDefault"},
        "masked_paths": MASKED,
        "readonly_paths": READ_ONLY,
    }


def resources(daemon: DaemonSet) -> dict:
    wanted = daemon.container["resources"]
    asked: dict = {
        "cpu_shares": max(2, int(quantity(wanted["requests"]["cpu"]) * 1024)),
        "memory_limit_in_bytes": int(quantity(wanted["limits"]["memory"])),
        # As for every pod of the system-node-critical class.
        "oom_score_adj": -997,
    }
    if "cpu" in wanted["limits"]:
        asked["cpu_period"] = 100000
        asked["cpu_quota"] = int(quantity(wanted["limits"]["cpu"]) * 100000)
    return asked


def host_directory(volume: dict, pod_dir: Path) -> str:
    """Where a volume is on the node, made as the kubelet makes it."""
    if "hostPath" in volume:
        source = volume["hostPath"]
        if source["type"] == "DirectoryOrCreate":
            os.makedirs(source["path"], exist_ok=True)
        elif source["type"] != "Directory" or not os.path.isdir(source["path"]):
            raise ValueError(f"{volume['name']}: no {source['type']} at {source['path']}")
        return source["path"]
    (kind,) = volume.keys() - {"name"}
    if kind != "emptyDir" or volume[kind]["medium"] != "Memory":
        raise ValueError(f"{volume['name']}: a volume of kind {kind} is not understood")
    path = pod_dir / "volumes" / volume["name"]
    path.mkdir(parents=True)
    size = int(quantity(volume[kind]["sizeLimit"]))
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", path], check=True
    )
    return str(path)


def mounts(daemon: DaemonSet, pod_dir: Path, account: "dict[str, str]") -> "list[dict]":
    """Those of the manifest, and those that the kubelet gives to every container. `account` is what
    the files of the service account say.
    """
    asked = [
        {
            "container_path": mount["mountPath"],
            "host_path": host_directory(volume, pod_dir),
            "readonly": bool(mount.get("readOnly")),
        }
        for mount, volume in daemon.mounts()
    ]
    own = {"hosts": "/etc/hosts", "termination-log": "/dev/termination-log"}
    for name, where in own.items():
        (pod_dir / name).write_text("127.0.0.1 localhost\n" if name == "hosts" else "")
        asked.append({"container_path": where, "host_path": str(pod_dir / name)})
    if daemon.pod["automountServiceAccountToken"]:
        (pod_dir / "token").mkdir()
        for name, text in account.items():
            (pod_dir / "token" / name).write_text(text)
        asked.append(
            {"container_path": SECRETS, "host_path": str(pod_dir / "token"), "readonly": True}
        )
    return asked


def container_config(
    daemon: DaemonSet, fields: "dict[str, str]", pod_dir: Path, account: "dict[str, str]"
) -> dict:
    """The runtime's ContainerConfig, but for its name and its arguments."""
    # Values are bytes in the interface, and base64 in its JSON.
    envs = [
        {"key": key, "value": base64.b64encode(value.encode()).decode()}
        for key, value in daemon.env(fields).items()
    ]
    return {
        "envs": envs,
        "mounts": mounts(daemon, pod_dir, account),
        "linux": {"resources": resources(daemon), "security_context": security_context(daemon)},
    }

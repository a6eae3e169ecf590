# SPDX-License-Identifier: Apache-2.0
"""A containerd of the guest's own, from Debian's packages as they lie in the cache, and pods in it
as the kubelet makes them: the cgroups above the sandbox, the log directory, the order of calls.
"""

import contextlib
import io
import json
import os
import subprocess
import tarfile
import uuid
from pathlib import Path
from typing import NamedTuple, Optional

import guestlib as g
from cri import Cri

HOME = Path("/run/node")
SOCKET = f"{HOME}/containerd.sock"

# The node's end of every pod's network, which pods reach the node at.
NODE_IP = "10.88.0.1"

# Bytes that what containerd starts may lock, where nobody raised it: as on Debian 11.
MEMLOCK = 64 << 10

# An image with the workload and busybox, as pods ask for it.
WORK = "docker.io/library/work:lab"

# From the machine's own suite.
PACKAGES = ["containerd", "crun", "runc", "libyajl2", "containernetworking-plugins", "apparmor"]
RUNTIMES = ["crun", "runc"]

CONFIG = """
version = 2
root = "{home}/root"
state = "{home}/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/pause:lab"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{home}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "crun"
"""

RUNTIME = """
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}.options]
        BinaryName = "{path}"
        SystemdCgroup = {systemd}
"""

# Each pod is one end of a wire whose other end is the node's: no bridge, no filter needed.
NETWORK = {
    "cniVersion": "0.4.0",
    "name": "node",
    "plugins": [
        {
            "type": "ptp",
            "ipam": {
                "type": "host-local",
                "dataDir": f"{HOME}/addresses",
                "ranges": [[{"subnet": "10.88.0.0/16"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
    ],
}


def package(name: str) -> Path:
    """Where it is unpacked: at once in a guest, whose host has fetched it before."""
    done = subprocess.run(
        [g.ROOT / "scripts/lib/deb", name], capture_output=True, text=True, check=True
    )
    return Path(done.stdout.strip())


def add_file(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = mode
    tar.addfile(info, io.BytesIO(data))


def docker_archive(path: Path, tag: str, files: "dict[str, str]", command: "list[str]") -> None:
    """An image of one layer, with those files and a shell."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for name, source in {**files, "bin/sh": "/bin/busybox"}.items():
            add_file(tar, name, Path(source).read_bytes(), 0o755)
    settings = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": command},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    settings["rootfs"]["diff_ids"] = ["sha256:" + g.hashlib.sha256(layer.getvalue()).hexdigest()]
    with tarfile.open(path, "w") as tar:
        add_file(tar, "layer.tar", layer.getvalue())
        add_file(tar, "config.json", json.dumps(settings).encode())
        manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
        add_file(tar, "manifest.json", json.dumps(manifest).encode())


class Pod(NamedTuple):
    """A sandbox that runs."""

    name: str
    namespace: str
    uid: str
    sandbox: str  # its id
    address: str
    config: dict  # which every call for a container of it repeats


class Container(NamedTuple):
    """A container that was started."""

    pod: Pod
    name: str
    id: str
    pid: int
    cgroup: str  # its directory; processes may be below it

    @property
    def names(self) -> "tuple[str, str, str]":
        """As in the labels namespace, pod and container."""
        return (self.pod.namespace, self.pod.name, self.name)

    @property
    def usage(self) -> int:
        return g.Hierarchy().usage(self.cgroup)


class Node:
    """containerd, its client, and the pods that were made."""

    def __init__(self, descriptors: Path, driver: str) -> None:
        self.driver = driver  # of cgroups: cgroupfs or systemd
        self.hierarchy = g.Hierarchy()
        self.descriptors = descriptors
        self.pods: "list[Pod]" = []
        self.process: Optional[subprocess.Popen] = None
        self.dirs = {name: package(name) for name in PACKAGES}
        self.env = {
            **os.environ,
            "PATH": f"{self.dirs['containerd']}/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            # crun's one library that this machine need not have.
            "LD_LIBRARY_PATH": f"{self.dirs['libyajl2']}/usr/lib/x86_64-linux-gnu",
        }

    @property
    def log(self) -> str:
        return g.read(HOME / "containerd.log")

    def start(self) -> None:
        """The guest's own root is an overlay already, on which no second one can be stacked."""
        HOME.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "node", HOME], check=True)
        for module in ("overlay", "veth"):
            subprocess.run(["modprobe", module], check=True)
        self._bring_apparmor()
        self._configure()
        cgroup = self.hierarchy.make("system.slice/containerd.service")
        with open(HOME / "containerd.log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["prlimit", f"--memlock={MEMLOCK}:{MEMLOCK}"]
                + ["containerd", "--config", f"{HOME}/config.toml"],
                env=self.env,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: self.hierarchy.enter(cgroup),
            )
        if not g.wait_for(lambda: os.path.exists(SOCKET), 60, 0.1):
            raise RuntimeError(f"containerd did not start: {self.log}")
        self.cri = Cri(SOCKET, self.descriptors)
        self.call("Version", version="v1")

    def _bring_apparmor(self) -> None:
        """containerd looks for the parser in this one place, and loads its own profile with it."""
        parts = ["sbin/apparmor_parser", "etc/apparmor", "etc/apparmor.d"]
        for path in [*parts, "usr/share/apparmor-features"]:
            if not os.path.exists(f"/{path}"):
                os.symlink(self.dirs["apparmor"] / path, f"/{path}")

    def _configure(self) -> None:
        paths = {
            "crun": self.dirs["crun"] / "usr/bin/crun",
            "runc": self.dirs["runc"] / "usr/sbin/runc",
        }
        cni = self.dirs["containernetworking-plugins"] / "usr/lib/cni"
        text = CONFIG.format(home=HOME, socket=SOCKET, cni=cni)
        systemd = "true" if self.driver == "systemd" else "false"
        text += "".join(
            RUNTIME.format(name=name, path=path, systemd=systemd) for name, path in paths.items()
        )
        g.write(HOME / "config.toml", text)
        (HOME / "cni").mkdir()
        g.write(HOME / "cni/node.conflist", json.dumps(NETWORK))

    def call(self, method: str, **fields: object) -> dict:
        try:
            return self.cri.call(method, **fields)
        except Exception as error:
            tail = "\n".join(self.log.splitlines()[-15:])
            details = getattr(error, "details", lambda: error)()
            raise RuntimeError(f"{method}: {details}\n{tail}") from error

    def import_image(self, path: Path) -> None:
        command = ["ctr", "--address", SOCKET, "-n", "k8s.io", "images", "import", str(path)]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{path}: {done.stderr}{self.log}")

    def import_work(self, scratch: str) -> None:
        """The image WORK, and that of sandboxes."""
        pause, work = Path(scratch, "pause.tar"), Path(scratch, "work.tar")
        sleep = ["/bin/sh", "-c", "while :; do sleep 100000; done"]
        docker_archive(pause, "pause:lab", {}, sleep)
        files = {"workload": g.WORKLOAD, "bin/busybox": "/bin/busybox"}
        docker_archive(work, "work:lab", files, ["/bin/sh"])
        for path in (pause, work):
            self.import_image(path)

    def pod_cgroup(self, uid: str) -> str:
        """The pod's cgroup. The kubelet makes it; systemd makes the slices of a scope itself."""
        if self.driver == "systemd":
            name = f"kubepods-burstable-pod{uid.replace('-', '_')}.slice"
            return f"/kubepods.slice/kubepods-burstable.slice/{name}"
        path = f"/kubepods/burstable/pod{uid}"
        self.hierarchy.make(path, cpu=True)
        return path

    def container_cgroup(self, pod: "Pod", container: str) -> str:
        """The directory that a container's cgroup must have."""
        name = f"cri-containerd-{container}.scope" if self.driver == "systemd" else container
        return f"{self.hierarchy.root}{pod.config['linux']['cgroup_parent']}/{name}"

    def run_pod(
        self,
        name: str,
        namespace: str = "default",
        handler: str = "crun",
        network: str = "NODE",
        security: Optional[dict] = None,
    ) -> Pod:
        """Makes the pod's cgroup and log directory as the kubelet does, then the sandbox."""
        uid = str(uuid.uuid4())
        logs = f"/var/log/pods/{namespace}_{name}_{uid}"
        os.makedirs(logs)
        options = {"network": network, "pid": "CONTAINER", "ipc": "POD"}
        config = {
            "metadata": {"name": name, "namespace": namespace, "uid": uid, "attempt": 0},
            "log_directory": logs,
            "labels": {
                "io.kubernetes.pod.name": name,
                "io.kubernetes.pod.namespace": namespace,
                "io.kubernetes.pod.uid": uid,
            },
            "linux": {
                "cgroup_parent": self.pod_cgroup(uid),
                "security_context": {"namespace_options": options, **(security or {})},
            },
        }
        if network == "POD":
            config["hostname"] = name
        said = self.call("RunPodSandbox", config=config, runtime_handler=handler)
        status = self.call("PodSandboxStatus", pod_sandbox_id=said["pod_sandbox_id"])["status"]
        address = status.get("network", {}).get("ip", "")
        pod = Pod(name, namespace, uid, said["pod_sandbox_id"], address, config)
        self.pods.append(pod)
        return pod

    def run_container(self, pod: Pod, name: str, image: str, **config: object) -> Container:
        """`config` is the rest of the runtime interface's ContainerConfig."""
        os.makedirs(f"{pod.config['log_directory']}/{name}")
        everything = {
            "metadata": {"name": name},
            "image": {"image": image},
            "log_path": f"{name}/0.log",
            **config,
        }
        linux = everything.setdefault("linux", {})
        context = linux["security_context"] = dict(linux.get("security_context", {}))
        options = pod.config["linux"]["security_context"]["namespace_options"]
        context.setdefault("namespace_options", options)
        made = self.call(
            "CreateContainer",
            pod_sandbox_id=pod.sandbox,
            config=everything,
            sandbox_config=pod.config,
        )["container_id"]
        self.call("StartContainer", container_id=made)
        status = self.call("ContainerStatus", container_id=made, verbose=True)
        pid = json.loads(status["info"]["info"])["pid"]
        return Container(pod, name, made, pid, self.container_cgroup(pod, made))

    def listed(self) -> "list[dict]":
        """The pods as containerd has them, for a stand-in kubelet: no sandbox is in any of them."""
        pods = {
            box["id"]: {**box["metadata"], "containers": []}
            for box in self.call("ListPodSandbox").get("items", [])
        }
        for one in self.call("ListContainers").get("containers", []):
            container = {"name": one["metadata"]["name"], "id": one["id"]}
            pods[one["pod_sandbox_id"]]["containers"].append(container)
        return list(pods.values())

    def state(self, container: Container) -> str:
        return self.call("ContainerStatus", container_id=container.id)["status"]["state"]

    def logs(self, container: Container) -> str:
        with contextlib.suppress(OSError):
            return g.read(f"{container.pod.config['log_directory']}/{container.name}/0.log")
        return ""

    def stop(self, container: Container, seconds: int) -> int:
        """As the kubelet does: SIGTERM, and SIGKILL after that time. Its exit status."""
        self.call("StopContainer", container_id=container.id, timeout=seconds)
        status = self.call("ContainerStatus", container_id=container.id)["status"]
        return int(status.get("exit_code", 0))

    def clear(self) -> None:
        """With the pods' cgroups, which outlive the sandboxes until the kubelet takes them away."""
        for pod in self.pods:
            self.call("StopPodSandbox", pod_sandbox_id=pod.sandbox)
            self.call("RemovePodSandbox", pod_sandbox_id=pod.sandbox)
            self.hierarchy.remove(self.hierarchy.root + pod.config["linux"]["cgroup_parent"])
        self.pods.clear()

    def end(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(30)


def cgroup_of(pid: int) -> str:
    """The directory of the cgroup that a process is in."""
    return "/sys/fs/cgroup" + g.read(f"/proc/{pid}/cgroup").strip().rpartition(":")[2]

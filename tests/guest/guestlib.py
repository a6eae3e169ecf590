# SPDX-License-Identifier: Apache-2.0
"""What the guest tests share: pods laid out as kubelet does it, workloads in them, an agent beside
them, and the numbers of both the agent and the kernel.

Python is slow in an emulated guest: nothing here runs in the cgroup of a measured pod, and nothing
polls without a sleep.
"""

import contextlib
import hashlib
import http.client
import os
import re
import signal
import subprocess
import sys
import time
import traceback
import uuid
from pathlib import Path
from typing import Callable, Iterator, NamedTuple, Optional

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
MLPROF = str(BUILD / "mlprof")
WORKLOAD = str(BUILD / "tests/guest/workload")
PROGRAMS = str(BUILD / "tests/guest/programs")

MS = 1_000_000
SEC = 1_000_000_000

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4"


def mono() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def read(path: "str | Path") -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path: "str | Path", text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def cpus_online() -> int:
    return os.sysconf("SC_NPROCESSORS_ONLN")


def wait_for(what: Callable[[], bool], seconds: float, step: float = 0.05) -> bool:
    """Whether `what` came true. Generous bounds: only truth is asserted, never speed."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True


class Results:
    """One line per check; `done()` prints the last line and tells the exit status.

    While `forgiving`, a check that fails is counted in `forgiven`, and told as a comment.
    """

    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = self.forgiven = 0
        self.forgiving = False
        self.scenario = ""

    def check(self, name: str, good: bool, details: str) -> bool:
        said = "ok"
        if good:
            self.passed += 1
        elif self.forgiving:
            self.forgiven += 1
            said = "# not ok"
        else:
            self.failed += 1
            said = "not ok"
        print(f"{said} {self.scenario}.{name}: {details}", flush=True)
        return good

    def skip(self, name: str, why: str) -> None:
        self.skipped += 1
        print(f"skipped {self.scenario}.{name}: {why}", flush=True)

    @staticmethod
    def note(text: str) -> None:
        print(f"# {text}", flush=True)

    def done(self) -> int:
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return 1 if self.failed or not self.passed else 0


class Hierarchy:
    """The cgroup hierarchy that accounts for CPU: the unified one, or v1's cpu controller's."""

    def __init__(self, root: str = "/sys/fs/cgroup", version: int = 2) -> None:
        self.root = root
        self.version = version

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def make(self, name: str, cpu: bool = False) -> str:
        """Makes the cgroup and those above it; with `cpu`, under the cpu controller all the way."""
        path = self.root
        for part in name.strip("/").split("/"):
            if cpu and self.version == 2:
                write(f"{path}/cgroup.subtree_control", "+cpu")
            path += "/" + part
            if not os.path.isdir(path):
                os.mkdir(path)
        return path

    def usage(self, path: str) -> int:
        """CPU time in ns that the kernel has on its books for that cgroup and those below it."""
        if self.version == 1:
            return int(read(f"{path}/cpuacct.usage"))
        if path == self.root or not os.path.exists(f"{path}/cpu.stat"):
            return 0
        return 1000 * int(re.search(r"usage_usec (\d+)", read(f"{path}/cpu.stat"))[1])

    def remove(self, path: str) -> None:
        """Removes the cgroup with all below it. It stays busy a little after its last task."""
        for below, _, _ in os.walk(path, topdown=False):
            wait_for(lambda name=below: _rmdir(name), 5, 0.02)

    def enter(self, path: str) -> None:
        write(f"{path}/cgroup.procs", str(os.getpid()))


def _rmdir(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


class Pod(NamedTuple):
    """One container of one pod."""

    name: str  # what the test calls it
    uid: str
    container: str
    pod_dir: str
    path: str  # the container's cgroup
    hierarchy: Hierarchy

    @property
    def key(self) -> "tuple[str, str]":
        return (self.uid, self.container)

    @property
    def usage(self) -> int:
        return self.hierarchy.usage(self.path)


def pod_names(name: str, driver: str, qos: str) -> "tuple[str, str, str, str]":
    """UID, container id, and the cgroups of pod and container relative to the hierarchy's root."""
    uid = str(uuid.uuid4())
    cid = hashlib.sha256(f"{name}{uid}".encode()).hexdigest()
    if driver == "systemd":
        top, prefix = "kubepods.slice", "kubepods"
        if qos != "guaranteed":
            top, prefix = f"{top}/kubepods-{qos}.slice", f"{prefix}-{qos}"
        pod = f"{top}/{prefix}-pod{uid.replace('-', '_')}.slice"
        return uid, cid, pod, f"{pod}/cri-containerd-{cid}.scope"
    top = "kubepods" if qos == "guaranteed" else f"kubepods/{qos}"
    return uid, cid, f"{top}/pod{uid}", f"{top}/pod{uid}/{cid}"


class Lab:
    """The machine: makes pods, starts workloads and takes both away again."""

    def __init__(self, hierarchy: Hierarchy, scratch: str) -> None:
        self.hierarchy = hierarchy
        self.scratch = scratch
        self.pods: "list[Pod]" = []
        self.running: "list[subprocess.Popen]" = []
        self.report = f"{scratch}/report"
        self.lists = 0

    def pod(
        self, name: str, driver: str = "systemd", qos: str = "burstable", cpu: bool = False
    ) -> Pod:
        uid, cid, pod_dir, path = pod_names(name, driver, qos)
        self.hierarchy.make(path, cpu)
        root = self.hierarchy.root
        pod = Pod(name, uid, cid, f"{root}/{pod_dir}", f"{root}/{path}", self.hierarchy)
        self.pods.append(pod)
        return pod

    def start(self, *args: object, **more: object) -> subprocess.Popen:
        """Starts a workload; the arguments are those of tests/guest/workload.c."""
        command = [WORKLOAD, "-r", self.report]
        if self.hierarchy.version == 1:
            command.append("-w")
        child = subprocess.Popen(command + [str(arg) for arg in args], **more)
        self.running.append(child)
        return child

    def run_in(self, pod: Pod, *args: object) -> subprocess.Popen:
        return self.start("-c", pod.path, *args)

    def list_file(self, lines: "list[str]") -> str:
        self.lists += 1
        path = f"{self.scratch}/list{self.lists}"
        write(path, "".join(f"{line}\n" for line in lines))
        return path

    def finish(self, meanwhile: Optional[Callable[[], object]] = None, step: float = 0.3) -> None:
        """Waits until all workloads have ended, doing `meanwhile` now and then."""
        end = time.monotonic() + 120
        for child in self.running:
            while child.poll() is None:
                if time.monotonic() > end:
                    raise RuntimeError(f"workload {child.args} does not end: {stuck()}")
                if meanwhile:
                    meanwhile()
                time.sleep(step if meanwhile else 0.05)
            if child.returncode:
                raise RuntimeError(f"workload {child.args} ended with {child.returncode}")
        self.running.clear()

    def clear(self) -> None:
        for child in self.running:
            child.kill()
            child.wait()
        self.running.clear()
        for pod in self.pods:
            self.hierarchy.remove(pod.pod_dir)
        self.pods.clear()
        if os.path.exists(self.report):
            os.unlink(self.report)


def stuck() -> "list[str]":
    """State and place in the kernel of every workload there is."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            stat = read(f"/proc/{pid}/stat")
            if "(workload)" in stat:
                where = read(f"/proc/{pid}/syscall").split(" ")[0].strip()
                found.append(f"{pid} {stat.split()[2]} {where} {read(f'/proc/{pid}/wchan')}")
    return found


class Used(NamedTuple):
    """What the tasks of one cgroup used, by the kernel's books for tasks."""

    run: int
    wait: int
    slices: int
    voluntary: int
    preempted: int


NOTHING = Used(0, 0, 0, 0, 0)


def read_report(path: str) -> "dict[str, Used]":
    """Sums the workloads' report by cgroup."""
    sums: "dict[str, Used]" = {}
    for line in read(path).splitlines() if os.path.exists(path) else ():
        where, *numbers = line.split()
        old = sums.get(where, NOTHING)
        sums[where] = Used(*(a + int(b) for a, b in zip(old, numbers)))
    return sums


LINE = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
COUNTER = re.compile(r"\w+_(?:total|count|bucket|sum)$")


class Metrics:
    """One scrape: `samples` by the series' text, `value()` and `table()` by name and labels."""

    def __init__(self, body: str) -> None:
        self.body = body
        self.samples: "dict[str, float]" = {}
        self.by_name: "dict[str, list[tuple[str, float]]]" = {}
        for line in body.splitlines():
            if not line or line[0] == "#":
                continue
            name, labels, value = LINE.match(line).groups()
            self.samples[f"{name}{{{labels or ''}}}"] = float(value)
            self.by_name.setdefault(name, []).append((labels or "", float(value)))

    def table(self, name: str, *labels: str) -> "dict[tuple[str, ...], float]":
        """Value by the values of those labels; a label that is absent is ''."""
        found: "dict[tuple[str, ...], float]" = {}
        for text, value in self.by_name.get(name, ()):
            have = dict(LABEL.findall(text))
            key = tuple(have.get(label, "") for label in labels)
            found[key] = found.get(key, 0.0) + value
        return found

    def value(self, name: str) -> float:
        """The sum over all series of that name. Absent is not zero: KeyError."""
        return sum(value for _, value in self.by_name[name])

    @property
    def snapshot(self) -> int:
        return ns(self.value("mlprof_snapshot_monotonic_seconds"))

    @property
    def elapsed(self) -> int:
        return ns(self.value("mlprof_node_elapsed_seconds_total"))

    @property
    def modes(self) -> "dict[str, int]":
        table = self.table("mlprof_node_cpu_seconds_total", "mode")
        return {mode: ns(value) for (mode,), value in table.items()}

    @property
    def online(self) -> int:
        return int(self.value("mlprof_node_cpus_online"))


def ns(seconds: float) -> int:
    return round(seconds * SEC)


class Scrape(NamedTuple):
    status: int
    headers: "dict[str, str]"
    body: bytes


class Agent:
    """`mlprof agent` in a cgroup of its own, started by `wrap` if given; watches what must hold at
    every scrape.
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        *args: str,
        listen: str = "127.0.0.1:9477",
        log: str = "",
        wrap: "tuple[str, ...]" = (),
    ) -> None:
        self._watch_from_now(listen)
        self.log_path = log or f"/run/mlprof-agent-{self.port}.log"
        command = [*wrap, MLPROF, "agent", "--listen", listen, *args]
        cgroup = hierarchy.make("system.slice/mlprof.service")

        with open(self.log_path, "w", encoding="utf-8") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=out, preexec_fn=lambda: hierarchy.enter(cgroup)
            )

    def _watch_from_now(self, listen: str) -> None:
        self.host, _, port = listen.rpartition(":")
        self.port = int(port)
        self.last: Optional[Metrics] = None
        self.scrapes = 0
        self.worst_sum = (0, 0)  # modes less elapsed, and elapsed, both in ns
        self.worst_elapsed = (0, 0)  # elapsed less clock times CPUs, and the latter
        self.first: "Optional[tuple[int, int, int]]" = None
        self.back: "list[str]" = []

    @property
    def log(self) -> str:
        return read(self.log_path)

    def get(self, path: str, accept: str = "*/*", timeout: float = 30) -> Scrape:
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host
        connection = http.client.HTTPConnection(host, self.port, timeout=timeout)
        try:
            connection.request("GET", path, headers={"Accept": accept})
            answer = connection.getresponse()
            headers = {key.lower(): value for key, value in answer.getheaders()}
            return Scrape(answer.status, headers, answer.read())
        finally:
            connection.close()

    def ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"the agent ended with {self.process.returncode}: {self.log}")
        try:
            return self.get("/-/ready", timeout=5).status == 200
        except OSError:
            return False

    def wait_ready(self) -> "Agent":
        if not wait_for(self.ready, 60, 0.1):
            raise RuntimeError(f"the agent is not ready after 60 s: {self.log}")
        self.drained()
        return self

    def metrics(self) -> Metrics:
        answer = self.get("/metrics", OPENMETRICS)
        if answer.status != 200:
            raise RuntimeError(f"/metrics answered {answer.status}")
        metrics = Metrics(answer.body.decode())
        self._watch(metrics)
        return metrics

    def _watch(self, metrics: Metrics) -> None:
        """What must be true at any moment: parts sum to the whole, nothing goes back."""
        self.scrapes += 1
        elapsed = metrics.elapsed
        off = sum(metrics.modes.values()) - elapsed
        if abs(off) > abs(self.worst_sum[0]):
            self.worst_sum = (off, elapsed)
        if self.last:
            for series, value in self.last.samples.items():
                if not COUNTER.match(series[: series.index("{")]):
                    continue
                new = metrics.samples.get(series)
                if new is not None and new < value:
                    self.back.append(f"{series} {value:.9f} -> {new:.9f}")
        now = (metrics.snapshot, elapsed, metrics.online)
        if not self.first or self.first[2] != now[2]:
            self.first = now
        due = (now[0] - self.first[0]) * now[2]
        off = now[1] - self.first[1] - due
        if abs(off) > abs(self.worst_elapsed[0]):
            self.worst_elapsed = (off, due)
        self.last = metrics

    def forget_elapsed(self) -> None:
        """Elapsed is compared with the clock from here on: CPUs came or went."""
        self.first = None

    def fresh(self) -> Metrics:
        """The first snapshot made after this moment."""
        start = mono()
        found: "list[Metrics]" = []

        def newer() -> bool:
            found[:] = [self.metrics()]
            return found[0].snapshot > start

        if not wait_for(newer, 60, 0.1):
            raise RuntimeError(f"no new snapshot for 60 s: {self.log}")
        return found[0]

    def drained(self) -> Metrics:
        """A snapshot of a drain that began after this moment: not the one under way now."""
        self.fresh()
        return self.fresh()

    def end(self, how: int = signal.SIGTERM) -> float:
        """Ends the agent; how long that took, in seconds."""
        start = time.monotonic()
        self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return time.monotonic() - start


def programs() -> "set[str]":
    """The BPF programs in the kernel."""
    done = subprocess.run([PROGRAMS], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def proc_stat_idle() -> int:
    """Idle and waiting for I/O, of all CPUs, in ns."""
    fields = read("/proc/stat").split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) * SEC // os.sysconf("SC_CLK_TCK")


def chosen_scenarios(
    table: "dict[str, Callable]", chosen: "list[str]"
) -> "Iterator[tuple[str, Callable]]":
    for name in chosen or list(table):
        if name not in table:
            known = " ".join(table)
            print(f"{sys.argv[0]}: no scenario '{name}'; there are: {known}", file=sys.stderr)
            sys.exit(2)
        yield name, table[name]


def run_once(results: Results, run: Callable, clear: Callable) -> None:
    try:
        run()
    except Exception as error:  # whatever it is, the other scenarios still run
        results.check("completed", False, f"{type(error).__name__}: {error}")
        traceback.print_exc()
    finally:
        clear()


def run_scenarios(
    results: Results,
    table: "dict[str, Callable]",
    chosen: "list[str]",
    clear: Callable = lambda: None,
    prefix: str = "",
) -> int:
    """Runs them and tells the exit status. `clear` comes after each.

    An emulated CPU stops where its host takes the processor away, also in the middle of what no
    real one can be interrupted in. So a scenario that fails runs a second time, and that one
    counts: what is wrong is wrong again. A line says so.
    """
    for name, run in chosen_scenarios(table, chosen):
        results.scenario = prefix + name
        start = time.monotonic()
        before = (results.passed, results.skipped)
        results.forgiving, results.forgiven = True, 0
        run_once(results, run, clear)
        results.forgiving = False
        if results.forgiven:
            results.note(f"once more: {results.scenario}, {results.forgiven} checks failed")
            results.passed, results.skipped = before
            run_once(results, run, clear)
        results.note(f"{results.scenario} took {time.monotonic() - start:.1f} s")
    return results.done()

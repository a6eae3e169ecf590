#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the servers that know the names of pods: the kubelet's /pods over TLS, the API
server's /api/v1/pods with field selector and pages, and the kubelet's pod-resources socket.

    fake_kubelet.py --state FILE [--cert FILE] [--token-file FILE] [--address IP] [--port N]
                    [--socket PATH] [--log FILE] [--no-https]

  --state FILE       what to answer, read again for each request (below). Rewrite it with a rename,
                     or half a file may be read.
  --cert FILE        certificate and key in one PEM file; tests/fixtures/make_certs makes some
  --token-file FILE  who sends another bearer token than what is in there now gets 401; without
                     this option every token is good, and none too
  --address IP       where to listen (127.0.0.1); the certificate must be for it
  --port N           0, the default, for any that is free
  --socket PATH      serve pod-resources there too (gRPC; needs python3-grpcio)
  --log FILE         a line for each request as it is answered: "PATH STATUS" or "METHOD STATUS"
  --no-https         only the socket

Prints "ready PORT" when it serves (PORT is 0 with --no-https), and ends on SIGTERM or when its
standard input ends, if that is a pipe.

The state is a JSON object, everything in it optional:

  "pods"         a list. An entry with "metadata" is a pod of the Kubernetes API and served as it is.
                 Any other is made into one: {"namespace": "default", "name": ..., "uid": ...,
                 "containers": [{"name": ..., "id": ..., "runtime": "containerd",
                 "requests": {...}, "limits": {...}}], "labels": {}, "annotations": {},
                 "owner": [KIND, NAME], "node": "node", "qos": ...}; only name and uid are needed.
  "devices"      [{"namespace": ..., "pod": ..., "container": ..., "resource": ..., "ids": [...],
                 "cpus": [...], "claims": [[DRIVER, DEVICE], ...]}, ...]
  "allocatable"  {"devices": {RESOURCE: [ID, ...]}, "cpus": [...]}; without it that call is
                 not implemented, as in an old kubelet
  "http"         how to answer over HTTPS: "ok", a status such as 403, "garbage" (200 and no JSON),
                 "half" (the connection ends in the middle), "cut" (complete, but of half a
                 document), "huge" (100 MB with their length), "endless" (without), "hang"
                 (nothing), "drip" (a byte a second), "redirect"
  "grpc"         how to answer on the socket: "ok", a gRPC status such as 14, "garbage", "hang"
"""

import argparse
import json
import os
import signal
import socketserver
import ssl
import stat
import struct
import sys
import threading
import time
import urllib.parse
from concurrent import futures
from http.server import BaseHTTPRequestHandler

HUGE = 100 * 1000 * 1000
CHUNK = b"x" * 65536
HANG = 3600


class Log:
    """One line a request; tests count them."""

    def __init__(self, path):
        self.file = open(path, "a", buffering=1, encoding="utf-8") if path else None

    def line(self, *words):
        if self.file:
            self.file.write(" ".join(str(word) for word in words) + "\n")


def read_state(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def container_status(container):
    status = {"name": container["name"], "state": {"running": {}}, "lastState": {}}
    if container.get("id"):
        status["containerID"] = container.get("runtime", "containerd") + "://" + container["id"]
    return status


def container_spec(container):
    resources = {key: container[key] for key in ("requests", "limits") if key in container}
    return {"name": container["name"], "image": "image", "resources": resources}


def full_pod(pod):
    """The pod as the Kubernetes API has it, from its short form."""
    if "metadata" in pod:
        return pod
    metadata = {
        "name": pod["name"],
        "namespace": pod.get("namespace", "default"),
        "uid": pod["uid"],
        "labels": pod.get("labels", {}),
        "annotations": pod.get("annotations", {}),
    }
    if "owner" in pod:
        kind, name = pod["owner"]
        metadata["ownerReferences"] = [{"kind": kind, "name": name, "controller": True}]
    containers = pod.get("containers", [])
    status = {"containerStatuses": [container_status(c) for c in containers]}
    if "qos" in pod:
        status["qosClass"] = pod["qos"]
    spec = {"nodeName": pod.get("node", "node"), "containers": [container_spec(c) for c in containers]}
    return {"metadata": metadata, "spec": spec, "status": status}


def pod_list(pods, next_page=""):
    metadata = {"continue": next_page} if next_page else {}
    return {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": pods}


def kubelet_answer(state):
    return pod_list([full_pod(pod) for pod in state.get("pods", [])])


def api_answer(state, query):
    """One page of those whose node is the selector's."""
    selector = query.get("fieldSelector", [""])[0]
    pods = [full_pod(pod) for pod in state.get("pods", [])]
    if selector.startswith("spec.nodeName="):
        node = selector.partition("=")[2]
        pods = [pod for pod in pods if pod.get("spec", {}).get("nodeName") == node]
    start = int(query.get("continue", ["0/"])[0].partition("/")[0])
    end = start + int(query.get("limit", [len(pods) + 1])[0])
    return pod_list(pods[start:end], f"{end}/=&+" if end < len(pods) else "")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    options = None
    log = None

    def log_message(self, format, *args):
        pass

    def answer(self, status, body, length=None):
        self.log.line(self.path, status)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def is_allowed(self):
        if not self.options.token_file:
            return True
        with open(self.options.token_file, encoding="utf-8") as file:
            return self.headers.get("Authorization") == "Bearer " + file.read().strip()

    def document(self, state):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/pods":
            return json.dumps(kubelet_answer(state)).encode()
        if url.path == "/api/v1/pods":
            return json.dumps(api_answer(state, urllib.parse.parse_qs(url.query))).encode()
        return None

    def send_endlessly(self):
        self.log.line(self.path, 200)
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(CHUNK)

    def send_huge(self):
        self.answer(200, b"", HUGE)
        for _ in range(HUGE // len(CHUNK)):
            self.wfile.write(CHUNK)

    def drip(self, body):
        self.answer(200, b"", len(body))
        for at in range(len(body)):
            self.wfile.write(body[at : at + 1])
            time.sleep(1)

    def redirect(self):
        self.log.line(self.path, 302)
        self.send_response(302)
        self.send_header("Location", "/pods")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def misbehave(self, how, body):
        self.close_connection = True
        if how == "garbage":
            self.answer(200, b"\x00\xff<html>it works</html>")
        elif how == "half":
            self.answer(200, body[: len(body) // 2], len(body))
        elif how == "cut":
            self.answer(200, body[: len(body) // 2])
        elif how == "huge":
            self.send_huge()
        elif how == "endless":
            self.send_endlessly()
        elif how == "drip":
            self.drip(body)
        elif how == "redirect":
            self.redirect()
        else:
            self.log.line(self.path, "hang")
            time.sleep(HANG)

    def do_GET(self):
        state = read_state(self.options.state)
        how = state.get("http", "ok")
        body = self.document(state)
        if isinstance(how, int):
            self.answer(how, b'{"kind":"Status"}')
        elif not self.is_allowed():
            self.answer(401, b"Unauthorized")
        elif body is None:
            self.answer(404, b"404 page not found")
        elif how == "ok":
            self.answer(200, body)
        else:
            self.misbehave(how, body)


class Server(socketserver.ThreadingTCPServer):
    """A handshake that fails, or a client that goes, is one connection's matter."""

    allow_reuse_address = True
    daemon_threads = True
    context = None

    def finish_request(self, request, client_address):
        try:
            with self.context.wrap_socket(request, server_side=True) as tls:
                super().finish_request(tls, client_address)
        except OSError:
            pass


def serve_https(options, log):
    Handler.options, Handler.log = options, log
    server = Server((options.address, options.port), Handler)
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(options.cert)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


# Protobuf by hand: the truth of a test is not to come from the code that it tests.


def varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    """A text, or a message that is bytes already."""
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def numbers(number, values):
    return field(number, b"".join(varint(value) for value in values)) if values else b""


def devices_message(resource, ids):
    topology = field(3, field(1, varint(1 << 3) + varint(1)))
    return field(1, resource) + b"".join(field(2, name) for name in ids) + topology


def container_message(entry):
    out = field(1, entry.get("container", ""))
    if entry.get("resource"):
        out += field(2, devices_message(entry["resource"], entry.get("ids", [])))
    out += numbers(3, entry.get("cpus", []))
    out += field(4, field(1, "memory") + varint(2 << 3) + varint(1 << 30))
    for driver, device in entry.get("claims", []):
        claim = field(2, driver) + field(3, "pool") + field(4, device)
        out += field(5, field(2, "claim") + field(3, "default") + field(4, claim))
    return out


def list_message(state):
    out = b""
    for entry in state.get("devices", []):
        pod = field(1, entry["pod"]) + field(2, entry.get("namespace", "default"))
        out += field(1, pod + field(3, container_message(entry)))
    return out


def allocatable_message(state):
    if "allocatable" not in state:
        return None
    devices = state["allocatable"].get("devices", {})
    out = b"".join(field(1, devices_message(name, ids)) for name, ids in devices.items())
    return out + numbers(2, state["allocatable"].get("cpus", []))


def serve_grpc(options, log):
    import grpc

    codes = {code.value[0]: code for code in grpc.StatusCode}

    def make_call(name, make_message):
        def call(request, context):
            state = read_state(options.state)
            how = state.get("grpc", "ok")
            message = make_message(state)
            if how == "hang":
                log.line(name, "hang")
                time.sleep(HANG)
            code = 12 if how == "ok" and message is None else how if isinstance(how, int) else 0
            log.line(name, code)
            if code:
                context.abort(codes[code], "as the test wants it")
            return b"\xff" * 100 if how == "garbage" else message

        return grpc.unary_unary_rpc_method_handler(call)

    handlers = {
        "List": make_call("List", list_message),
        "GetAllocatableResources": make_call("GetAllocatableResources", allocatable_message),
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("v1.PodResourcesLister", handlers)]
    )
    server.add_insecure_port("unix:" + os.path.abspath(options.socket))
    server.start()
    return server


def read_options():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--state", required=True)
    parser.add_argument("--cert")
    parser.add_argument("--token-file")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--socket")
    parser.add_argument("--log")
    parser.add_argument("--no-https", action="store_true")
    return parser.parse_args()


def wait_for_the_end():
    if not stat.S_ISFIFO(os.fstat(0).st_mode):
        signal.pause()
    sys.stdin.read()


def main():
    options = read_options()
    log = Log(options.log)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    port = 0 if options.no_https else serve_https(options, log)
    keep = serve_grpc(options, log) if options.socket else None
    sys.stdout.write(f"ready {port}\n")
    sys.stdout.flush()
    wait_for_the_end()
    del keep
    os._exit(0)


if __name__ == "__main__":
    main()

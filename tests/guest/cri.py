# SPDX-License-Identifier: Apache-2.0
"""A client of the container runtime interface: what the kubelet says to containerd, said in Python.
The messages are those of Kubernetes' own api.proto, compiled on the host into a descriptor set.
"""

import re
import subprocess
import tempfile
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

SERVICES = ("runtime.v1.RuntimeService", "runtime.v1.ImageService")


def compile_descriptors(proto: Path, to: Path) -> None:
    """From api.proto to a descriptor set. Takes out an option that an older protoc rejects."""
    text = re.sub(r"\s*\[\s*debug_redact = true\s*\]", "", proto.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "api.proto").write_text(text, encoding="utf-8")
        subprocess.run(
            ["protoc", "-I", scratch, f"--descriptor_set_out={to}", "api.proto"], check=True
        )


class Cri:
    """One connection. Requests and answers are dictionaries with the names of api.proto."""

    def __init__(self, socket: str, descriptors: "str | Path") -> None:
        pool = descriptor_pool.DescriptorPool()
        found = descriptor_pb2.FileDescriptorSet.FromString(Path(descriptors).read_bytes())
        for file in found.file:
            pool.Add(file)
        factory = message_factory.MessageFactory(pool)
        self.channel = grpc.insecure_channel(f"unix://{socket}")
        self.calls = {}
        for service in SERVICES:
            for method in pool.FindServiceByName(service).methods:
                request = factory.GetPrototype(method.input_type)
                answer = factory.GetPrototype(method.output_type)
                self.calls[method.name] = (f"/{service}/{method.name}", request, answer)

    def call(self, method: str, deadline: float = 120, **fields: object) -> dict:
        """Raises grpc.RpcError with the runtime's words if it will not, or not within `deadline`
        seconds.
        """
        path, request, answer = self.calls[method]
        send = self.channel.unary_unary(
            path,
            request_serializer=request.SerializeToString,
            response_deserializer=answer.FromString,
        )
        message = json_format.ParseDict(fields, request())
        said = send(message, timeout=deadline, wait_for_ready=True)
        return json_format.MessageToDict(said, preserving_proto_field_name=True)

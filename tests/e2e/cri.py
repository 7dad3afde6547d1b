# SPDX-License-Identifier: Apache-2.0
"""
Asks containerd what the kubelet asks it for: the calls of runtime.v1 that these tests need. Messages are dicts
from the fields' numbers in api.proto of kubernetes/cri-api to bytes, str, int, dict, or a list of these.
"""

from harness import Failure, Skip

try:
    import grpc
except ImportError:
    grpc = None

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def pack(message):
    """In protobuf's encoding."""
    out = b""
    for number, value in message.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, int):  # bool, too
                out += varint(number << 3 | VARINT) + varint(int(one))
                continue
            data = pack(one) if isinstance(one, dict) else one.encode() if isinstance(one, str) else one
            out += varint(number << 3 | BYTES) + varint(len(data)) + data
    return out


def unpack(data):
    """The last value of each field by its number: int or bytes."""
    fields, at = {}, 0

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
    while at < len(data):
        key = number()
        if key & 7 == VARINT:
            fields[key >> 3] = number()
            continue
        length = {FIXED64: 8, FIXED32: 4}.get(key & 7)
        length = number() if length is None else length
        fields[key >> 3] = data[at:at + length]
        at += length
    return fields


class Runtime:
    """The service of that name behind the socket @path."""

    def __init__(self, path):
        if not grpc:
            raise Skip("python's grpc is not installed")
        self.channel = grpc.insecure_channel(f"unix://{path}")

    def call(self, name, message, seconds=20):
        """The answer's fields."""
        method = self.channel.unary_unary(f"/runtime.v1.RuntimeService/{name}", request_serializer=pack,
                                          response_deserializer=unpack)
        try:
            return method(message, timeout=seconds)
        except grpc.RpcError as error:
            raise Failure(f"{name}: {error.code().name}: {error.details()}") from None

    def close(self):
        self.channel.close()

    def answers(self):
        """Whether it does."""
        try:
            return bool(self.call("Version", {}, 1))
        except Failure:
            return False

    def run_pod(self, config):
        return self.call("RunPodSandbox", {1: config})[1].decode()

    def create(self, pod, container, config):
        """Its id: 64 digits."""
        return self.call("CreateContainer", {1: pod, 2: container, 3: config})[1].decode()

    def start(self, container):
        self.call("StartContainer", {1: container})

    def stop(self, container, seconds):
        self.call("StopContainer", {1: container, 2: seconds})

    def status(self, container):
        """What the kubelet gets to see of it."""
        fields = unpack(self.call("ContainerStatus", {1: container})[1])
        return {"state": ["created", "running", "exited", "unknown"][fields.get(3, 0)],
                "exit_code": fields.get(7, 0), "reason": fields.get(10, b"").decode()}

    def remove_pod(self, pod):
        self.call("StopPodSandbox", {1: pod})
        self.call("RemovePodSandbox", {1: pod})

# SPDX-License-Identifier: Apache-2.0
"""Real programs, with and without: what their clients get of them."""

import contextlib
import csv
import io
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

import ways
from own_cost import as_table, row
from stats import Missing, alternate, table
from tools import BENCH, READY_S, Child, descendant, installed, own, scratch

REQUESTS = 40_000
SECONDS = 2
STARTS = 10
CLIENT_S = 120


def heldby_ways():
    """As people run it: with all the sources it takes by itself."""
    return [ways.Heldby("exact", "--malloc", "exact"),
            ways.Heldby("sampled", "--malloc", str(ways.SAMPLE_BYTES), sampled=True), ways.pages()]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until_open(port, child):
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and child.process.poll() is None:
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.02)
    raise Missing(child.last_words())


def client(*command):
    """What a client printed."""
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=True, timeout=CLIENT_S).stdout.decode("utf-8", "replace")
    except subprocess.SubprocessError as error:
        raise Missing(str(error)) from error


class Server:
    """Started, traced, asked. @comm: the name of its process; the figures are per second."""

    comm = ""
    figures = {}

    def command(self, folder, port):
        raise NotImplementedError

    def ready(self, child, port):
        until_open(port, child)

    def ask(self, child, port):
        raise NotImplementedError

    def visit(self, way):
        port = free_port()
        with scratch() as folder, Child(way.around(self.command(folder, port), folder), stop=None) as child:
            self.ready(child, port)
            pid = descendant(child.pid, self.comm)
            try:
                with way.attach(pid):
                    return self.ask(child, port)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)


class Redis(Server):
    """Its allocator is jemalloc, where Debian built it."""

    comm = "redis-server"
    figures = {name: f"redis {name}" for name in ("SET", "GET", "LPUSH")}

    def command(self, folder, port):
        return [installed("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]

    def ask(self, child, port):
        said = client(installed("redis-benchmark"), "-p", str(port), "-t", ",".join(self.figures).lower(),
                      "-n", str(REQUESTS), "-r", "10000", "--csv")
        rows = {row[0]: float(row[1]) for row in csv.reader(io.StringIO(said)) if row and row[0] in self.figures}
        if set(rows) != set(self.figures):
            raise Missing(f"redis-benchmark said {said.strip()[:80]!r}")
        return rows


class Jvm(Server):
    """Direct buffers, taken and given back."""

    comm = "java"
    figures = {"buffers": "JVM, direct buffers"}

    def command(self, folder, port):
        if not os.path.exists(own("Buffers.class")):
            raise Missing("javac is not installed")
        return [installed("java"), "-Xmx256m", "-cp", BENCH, "Buffers", "churn", str(SECONDS)]

    def ready(self, child, port):
        child.says("ready")

    def ask(self, child, port):
        child.ask()
        return {"buffers": float(child.says("churned", seconds=CLIENT_S).split()[1])}


NGINX = """daemon off; master_process off; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 256; }}
http {{ access_log off; client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
server {{ listen 127.0.0.1:{port}; root {folder}/www; }} }}
"""


class Nginx(Server):
    """One process, one small file."""

    comm = "nginx"
    figures = {"requests": "nginx under wrk"}

    def command(self, folder, port):
        os.mkdir(os.path.join(folder, "www"))
        with open(os.path.join(folder, "www", "index.html"), "w", encoding="ascii") as file:
            file.write("x" * 1024)
        with open(os.path.join(folder, "conf"), "w", encoding="utf-8") as file:
            file.write(NGINX.format(folder=folder, port=port))
        return [installed("nginx"), "-p", folder, "-c", os.path.join(folder, "conf")]

    def ask(self, child, port):
        said = client(installed("wrk"), "-t1", "-c16", f"-d{SECONDS}s", f"http://127.0.0.1:{port}/")
        found = re.search(r"Requests/sec:\s*([0-9.]+)", said)
        if not found or "Non-2xx" in said:
            raise Missing(f"wrk said {said.strip()[:80]!r}")
        return {"requests": float(found[1])}


def starts(way):
    """Processes that come and go: children are followed, or the whole node is traced."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "starts.py")
    with scratch() as folder:
        command = way.around([sys.executable, "-c", "import asyncio, json"], folder)
        command = [sys.executable, script, str(STARTS), *command]
        if isinstance(way, (ways.MemleakBcc, ways.MemleakPath)):
            raise Missing("does not follow children")
        if isinstance(way, ways.Heldby) and not isinstance(way, ways.Node):
            with Child(way.command("run", "-q", "--", *command), stop=None) as child:
                return {"ms": float(child.says("ms per start", seconds=CLIENT_S).split()[-1])}
        with way.attach(0), Child(command, stop=None) as child:
            return {"ms": float(child.says("ms per start", seconds=CLIENT_S).split()[-1])}


def settling(way):
    if not way.settled:
        raise Missing("it was not started")
    return row(way.name, [cpu for _, cpu in way.settled], wall_s=statistics.median(wall for wall, _ in way.settled))


def programs(given):
    """Throughput of servers and of a JVM; time of starts."""
    which = given.chosen([ways.nothing(), *heldby_ways(), *ways.peers(given)])
    for server in (Redis(), Jvm(), Nginx()):
        found = alternate(which, given.rounds, server.visit)
        for figure, title in server.figures.items():
            yield table(f"programs.{server.comm}.{figure.lower()}", title, "per second", found, figure, "nothing")
    found = alternate(which, given.rounds, starts)
    yield table("programs.starts", "python3 -c 'import asyncio, json'", "ms per start", found, "ms", "nothing")
    yield as_table("programs.settling", "what heldby does before: its first look at every program of the host",
                   "s of CPU", {way.name: lambda _, way=way: settling(way) for way in which
                                if isinstance(way, ways.Node)})

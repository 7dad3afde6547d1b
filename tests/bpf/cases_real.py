# SPDX-License-Identifier: Apache-2.0
"""Programs we did not write: they behave as without heldby, and their sums add up."""

import glob
import http.client
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys

from cases_namespaces import seeing
from check import SUMS, consistent, hold, sums_of
from harness import BLOCKS, Failure, Outcome, Skip, children_of, read_lines, read_text
from registry import each, test

REQUESTS = 2000    # of HTTP
OPERATIONS = 20000 # of redis, of each kind


def program(name, *folders):
    """Path of a program, or Skip."""
    path = shutil.which(name) or shutil.which(name, path=":".join(folders) or "/usr/sbin")
    if not path:
        raise Skip(f"{name} is not on this machine")
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def adds_up(document, maker=None, late=True):
    """
    What can be said of a program whose truth nobody knows: for each process image, sums that add
    up and are those of its sites; no loss but late probes; a name for every allocator in use.
    """
    wrong = consistent(seeing(document), ("missed_count",) if late else ())
    losses = document["losses"]
    explained = losses.get("detail", {}).get("late_attaches", 0) if late else 0
    if losses["missed_count"] != explained:
        wrong.append(f"missed_count is {losses['missed_count']}, explained {explained}: "
                     f"{losses.get('detail')}")
    sites = {}
    for site in document["sites"]:
        sites.setdefault((site["pid"], site.get("image", 0)), []).append(site)
    for row in document["processes"]:
        wrong += row_adds_up(row, sites.pop((row["pid"], row.get("image", 0)), []))
    wrong += [f"sites of {pid}, image {image}, without a process" for pid, image in sites]
    makers = {name for row in document["processes"] for name in row["allocators"]}
    if maker and not any(name.startswith(maker) for name in makers):
        wrong.append(f"allocators are {sorted(makers)}, expected {maker}")
    return wrong


def row_adds_up(row, sites):
    who = f"{row['comm']} {row['pid']}"
    if "cannot_see" in row:
        return [f"{who} cannot be seen: {row['cannot_see']}"]
    wrong = []
    for unit in ("bytes", "count"):
        if row[f"allocated_{unit}"] != row[f"freed_{unit}"] + row[f"outstanding_{unit}"]:
            wrong.append(f"{who}: allocated {unit} {row[f'allocated_{unit}']} is not freed "
                         f"{row[f'freed_{unit}']} + outstanding {row[f'outstanding_{unit}']}")
    of_sites = sums_of(sites)
    wrong += [f"{who}: {name} is {row[name]}, of its sites {of_sites[name]}"
              for name in SUMS if row[name] != of_sites[name]]
    if row["allocated_count"] and not row["allocators"]:
        wrong.append(f"{who} allocates and its allocator has no name")
    return wrong


def tell(document):
    """What the report is about, for whoever reads the tests' output."""
    sums = sums_of(document["sites"])
    makers = sorted({name for row in document["processes"] for name in row["allocators"]})
    print(f"   {len(document['processes'])} processes, {sums['allocated_count']:,} calls, "
          f"{sums['allocated_bytes']:,} bytes, {sums['outstanding_bytes']:,} outstanding; "
          f"{document['losses']['missed_count']} missed; {', '.join(makers)}")
    if not sums["allocated_count"]:
        raise Failure("no call was counted")


def comms(document):
    return [row["comm"] for row in document["processes"]]


def contents(patterns):
    found = {}
    for pattern in patterns:
        for path in glob.glob(pattern, recursive=True):
            with open(path, "rb") as file:
                found[path] = file.read()
    return found


def finished(case, tracer, report, status=0):
    """The report of a heldby run that has been told to end, or ends by itself."""
    got = case.wait(tracer)
    documents = read_lines(report)
    if got != status or len(documents) != 1:
        raise Failure(f"status {got} and {len(documents)} documents, expected {status} and 1",
                      *read_text(tracer.err).splitlines()[-8:])
    return Outcome(got, documents[0], [], read_text(tracer.err))


def start_traced(case, command):
    report = case.path("report.json")
    return case.start([case.place.heldby, "run", "-q", "--top", "0", "-o", f"json:{report}", *BLOCKS, "--",
                       *command]), report


def same_as_untraced(case, command, status=0, makes=(), maker="glibc"):
    """Status, output and the files it @makes are what they are without heldby."""
    bare = case.start(command)
    got = case.wait(bare)
    if got != status:
        raise Skip(f"{os.path.basename(command[0])} leaves with {got} untraced: "
                   f"{read_text(bare.err)[:200]}")
    expected = contents(makes)
    for path in expected:
        os.unlink(path)
    tracer, report = start_traced(case, command)
    outcome = finished(case, tracer, report, status)
    wrong = []
    if not read_text(tracer.out).startswith(read_text(bare.out)):
        wrong.append("its output differs from that of an untraced run")
    if outcome.talk != read_text(bare.err):
        wrong.append("stderr differs from that of an untraced run")
    if makes and (not expected or contents(makes) != expected):
        wrong.append("what it makes differs from what an untraced run makes")
    hold(wrong + adds_up(outcome.document, maker), outcome)
    tell(outcome.document)
    return outcome


@test("python3 compiles a part of its library as it does untraced and its sums add up", 120)
def compileall(case):
    source = os.path.dirname(os.__file__)
    folder = os.path.join(case.folder, "library")
    for part in ("json", "email", "logging"):
        shutil.copytree(os.path.join(source, part), os.path.join(folder, part),
                        ignore=shutil.ignore_patterns("__pycache__"))
    same_as_untraced(case, [sys.executable, "-m", "compileall", "-q", folder],
                     makes=[f"{folder}/**/*.pyc"])


NODE = """
const kept = [];
for (let i = 0; i < 20000; i++) kept.push({ name: "n" + i, rows: new Array(i % 50).fill(i) });
const buffers = Array.from({ length: 50 }, (_, i) => Buffer.alloc(100000 + i, i));
const text = JSON.stringify(kept);
const unzipped = require("zlib").gunzipSync(require("zlib").gzipSync(text));
console.log(text.length, unzipped.length, buffers.reduce((sum, one) => sum + one.length, 0));
process.exit(5);
"""


@test("node ends as it does untraced and its sums add up", 120)
def node(case):
    same_as_untraced(case, [program("node", "/usr/local/bin"), "-e", NODE], status=5)


@test("a shell that starts a hundred short commands ends as untraced and each adds up", 120)
def shell(case):
    outcome = same_as_untraced(case, [program("bash", "/bin"), "-c",
                                      "for ((i = 0; i < 100; i++)); do /bin/true $i; done; exit 3"], 3)
    started = {row["pid"] for row in outcome.document["processes"] if row["comm"] == "true"}
    if len(started) != 100:
        hold([f"{len(started)} processes called true, expected 100"], outcome)


@test("gcc makes the program it makes untraced and each process of it adds up", 120)
def compiler(case):
    source = os.path.join(case.folder, "one.c")
    with open(source, "w", encoding="ascii") as file:
        file.write("#include <stdio.h>\n#include <stdlib.h>\n"
                   "int main(void)\n{\n\treturn puts(getenv(\"HOME\")) < 0;\n}\n")
    made = os.path.join(case.folder, "one")
    outcome = same_as_untraced(case, [program("gcc"), "-O2", "-g", "-o", made, source],
                               makes=[made])
    names = {row["comm"] for row in outcome.document["processes"]}
    missing = {"gcc", "cc1", "as", "collect2", "ld"} - names
    hold([f"no process called {name}, there are {sorted(names)}" for name in sorted(missing)])


def jdks():
    found = {}
    for path in sorted(glob.glob("/usr/lib/jvm/*/bin/java")):
        found.setdefault(os.path.realpath(path), path)
    return sorted(found) or ["java"]


@each("{0} tells its version as it does untraced and its sums add up",
      [(path.replace("/usr/lib/jvm/", "").replace("/bin/java", ""), path) for path in jdks()],
      seconds=120)
def java(case, _, path):
    same_as_untraced(case, [program(path), "-version"])


def no_errors(path, *words):
    """The lines of a program's own log that tell of trouble."""
    return [f"{os.path.basename(path)}: {line}" for line in read_text(path).splitlines()
            if any(word in line for word in words)]


def serve(case, command, ready, use, end):
    """
    The server under heldby run from its start to its end: @use it when it is @ready, @end its
    process, and see it leave as it does untraced.
    """
    bare = case.start(command)
    case.until("the server", lambda: ready() or bare.poll() is not None)
    end(bare.pid)
    status = case.wait(bare)
    tracer, report = start_traced(case, command)
    case.until("the traced server", lambda: ready() or tracer.poll() is not None)
    if tracer.poll() is not None:
        raise Failure(f"heldby left with {tracer.returncode}", *read_text(tracer.err).splitlines())
    use()
    end(children_of(tracer.pid)[0])
    return finished(case, tracer, report, status)


def command_of(case, name, *words):
    """A client's output; it ends well or the test fails."""
    client = case.start([name, *words])
    status = case.wait(client)
    if status:
        raise Failure(f"{os.path.basename(name)} left with {status}",
                      *read_text(client.err).splitlines()[-5:])
    return read_text(client.out)


class Redis:
    """A redis-server's command line and its clients."""

    def __init__(self, case):
        self.case = case
        self.port = free_port()
        self.log = case.path("redis.log")
        self.server = [program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1",
                       "--save", "", "--dir", case.folder, "--logfile", self.log]
        self.where = ["-h", "127.0.0.1", "-p", str(self.port)]

    def ready(self):
        return answers(self.port)

    def loads(self, operations):
        return [program("redis-benchmark"), *self.where, "-n", str(operations), "-q", "-r", "5000",
                "-d", "300", "-t", "set,get,lpush,lpop,sadd,hset"]

    def use(self):
        command_of(self.case, *self.loads(OPERATIONS))
        size = command_of(self.case, program("redis-cli"), *self.where, "dbsize").strip()
        if not size.isdigit() or int(size) < 4000:
            raise Failure(f"the data base has {size} keys, expected over 4000")

    def end(self, _):
        command_of(self.case, program("redis-cli"), *self.where, "shutdown", "nosave")

    def complaints(self):
        return no_errors(self.log, "rror", "BUG", "crash", "signal")


def linked_maker(path):
    """Which allocator the program is linked to."""
    told = subprocess.run(["ldd", path], capture_output=True, check=False, text=True).stdout
    return "jemalloc" if "jemalloc" in told else "glibc"


@test("redis serves its benchmark from start to shutdown and its sums add up", 180)
def redis_run(case):
    redis = Redis(case)
    outcome = serve(case, redis.server, redis.ready, redis.use, redis.end)
    wrong = [] if outcome.status == 0 else [f"redis left with {outcome.status}, expected 0"]
    hold(wrong + redis.complaints() + adds_up(outcome.document, linked_maker(redis.server[0])),
         outcome)
    tell(outcome.document)


@test("redis under load does not notice top and each of three documents adds up", 180)
def redis_top(case):
    redis = Redis(case)
    maker = linked_maker(redis.server[0])
    server = case.start(redis.server)
    case.until("the server", redis.ready)
    client = case.start([*redis.loads(OPERATIONS), "-l"])
    case.sleep(0.5)
    tracer = case.top(server.pid, interval="1", count=3)
    if case.wait(tracer):
        raise Failure("heldby top did not leave with 0", *read_text(tracer.err).splitlines()[-5:])
    documents = read_lines(tracer.out)
    hold([f"{len(documents)} documents, expected 3"] if len(documents) != 3 else [])
    hold([f"the client left with {client.returncode}"] if client.poll() is not None else [])
    os.kill(client.pid, signal.SIGKILL)
    redis.use()
    redis.end(server.pid)
    calls = [sums_of(document["sites"])["allocated_count"] for document in documents]
    wrong = [f"{status} is the status of redis, expected 0" for status in [case.wait(server)]
             if status] + redis.complaints()
    if not 0 < calls[0] < calls[1] < calls[2]:
        wrong.append(f"calls are {calls}, expected to grow")
    for document in documents:
        wrong += adds_up(document, maker, late=False)
    hold(wrong, Outcome(0, documents[-1], [], read_text(tracer.err)))
    tell(documents[-1])


NGINX = """
daemon off;
master_process on;
worker_processes 2;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 64; }}
http {{
	access_log {folder}/access.log;
	client_body_temp_path {folder}/body;
	proxy_temp_path {folder}/proxy;
	fastcgi_temp_path {folder}/fastcgi;
	uwsgi_temp_path {folder}/uwsgi;
	scgi_temp_path {folder}/scgi;
	server {{
		listen 127.0.0.1:{port};
		location / {{ root {folder}/www; }}
		location /said {{ return 200 "you asked for $request_uri"; }}
	}}
}}
"""


def ask(port):
    """Half of the requests on one connection, half on their own; returns what was wrong."""
    wrong, page = [], b"0123456789" * 5000
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for number in range(REQUESTS):
        connection = kept if number % 2 else http.client.HTTPConnection("127.0.0.1", port,
                                                                        timeout=20)
        path, body = f"/said/{number}", f"you asked for /said/{number}".encode()
        if number % 3 == 0:
            path, body = "/page", page
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != 200 or answer.read() != body:
            wrong.append(f"request {number} got {answer.status} and another body")
        if connection is not kept:
            connection.close()
    kept.close()
    return wrong


@test("nginx answers two thousand requests and its sums add up", 180)
def nginx(case):
    folder, port, wrong = os.path.join(case.folder, "nginx"), free_port(), []
    os.makedirs(os.path.join(folder, "www"))
    os.chmod(case.folder, 0o711)
    with open(os.path.join(folder, "www", "page"), "wb") as file:
        file.write(b"0123456789" * 5000)
    with open(os.path.join(folder, "conf"), "w", encoding="ascii") as file:
        file.write(NGINX.format(folder=folder, port=port))
    outcome = serve(case, [program("nginx"), "-c", f"{folder}/conf", "-e", f"{folder}/error.log"],
                    lambda: answers(port), lambda: wrong.extend(ask(port)),
                    lambda pid: os.kill(pid, signal.SIGQUIT))
    lines = len(read_text(f"{folder}/access.log").splitlines())
    if outcome.status or lines != REQUESTS:
        wrong.append(f"status {outcome.status} and {lines} requests in its log, expected 0 and "
                     f"{REQUESTS}")
    if comms(outcome.document).count("nginx") != 3:
        wrong.append(f"processes are {comms(outcome.document)}, expected three called nginx")
    wrong += read_text(f"{folder}/error.log").splitlines()
    hold(wrong + adds_up(outcome.document, "glibc"), outcome)
    tell(outcome.document)


STATEMENTS = "create table things (id int primary key, name text);\n" + "".join(
    f"insert into things select n, repeat('x', n % 100) from generate_series({n}, {n + 99}) n;\n"
    f"select count(*) from things where name like '%x{n % 10}%';\n" for n in range(0, 20000, 100)
) + "select count(*) from things;\n"


class Postgres:
    """A cluster in the test's folder, run as its own user."""

    def __init__(self, case):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
        users = [user for user in pwd.getpwall() if user.pw_name == "postgres"]
        if not found or not users:
            raise Skip("postgres is not on this machine")
        self.case, self.port, self.tools = case, free_port(), os.path.dirname(found[-1])
        self.folder = os.path.join(case.folder, "postgres")
        self.log = os.path.join(self.folder, "log")
        os.mkdir(self.folder)
        os.chmod(case.folder, 0o711)
        os.chown(self.folder, users[0].pw_uid, users[0].pw_gid)
        self.user = [program("setpriv"), "--reuid", str(users[0].pw_uid), "--regid",
                     str(users[0].pw_gid), "--clear-groups"]
        self.where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        command_of(case, *self.user, f"{self.tools}/initdb", "-A", "trust", "-U", "postgres",
                   "--no-sync", "-D", f"{self.folder}/data")
        self.server = [*self.user, f"{self.tools}/postgres", "-D", f"{self.folder}/data", "-p",
                       str(self.port), "-k", self.folder, "-c", "listen_addresses=127.0.0.1",
                       "-c", "logging_collector=on", "-c", f"log_directory={self.folder}",
                       "-c", "log_filename=log", "-c", "fsync=off"]

    def ready(self):
        """As its own file says: to ask through the port leaves an error in its log."""
        return "ready" in read_text(f"{self.folder}/data/postmaster.pid")

    def use(self):
        script = self.case.path("script.sql")
        with open(script, "w", encoding="ascii") as file:
            file.write(STATEMENTS)
        text = command_of(self.case, f"{self.tools}/psql", *self.where, "-q", "-t", "-A", "-v",
                          "ON_ERROR_STOP=1", "-f", script, "postgres")
        if text.splitlines()[-1] != "20000":
            raise Failure(f"psql counted {text.splitlines()[-1]} rows, expected 20000")
        bench = f"{self.tools}/pgbench"
        if os.path.exists(bench):
            command_of(self.case, bench, *self.where, "-i", "-q", "postgres")
            text = command_of(self.case, bench, *self.where, "-c", "4", "-t", "100", "postgres")
            if "400/400" not in text:
                raise Failure("pgbench did not process 400/400 transactions", text)


@test("postgres serves psql and pgbench from start to shutdown and its sums add up", 240)
def postgres(case):
    base = Postgres(case)
    outcome = serve(case, base.server, base.ready, base.use,
                    lambda pid: os.kill(pid, signal.SIGINT))
    wrong = no_errors(base.log, "ERROR", "FATAL", "PANIC", "terminated by signal")
    if outcome.status or "database system is shut down" not in read_text(base.log):
        wrong.append(f"status is {outcome.status} and the log does not end in a shutdown")
    hold(wrong + adds_up(outcome.document, "glibc"), outcome)
    tell(outcome.document)

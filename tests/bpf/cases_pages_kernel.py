# SPDX-License-Identifier: Apache-2.0
"""What the kernel does with a program's pages by itself: swaps, collapses, populates, gives out several at once."""

import contextlib
import ctypes
import glob
import math
import os
import re
import struct
import subprocess

from cases_mmap import Obedient, more_reports
from cases_pages import HOST, MIB, PAGES, USUAL, by_function, judge, owner, start_all
from check import detail, hold
from harness import Failure, Outcome, Skip, put, read_text
from oomlog import version
from registry import each, test

SWAP = "/proc/swaps"
SWAP_BYTES = 160 * MIB
HUGE_BYTES = 2 * MIB
MEDIUM = "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled"
ENABLED = "/sys/kernel/mm/transparent_hugepage/enabled"
SHARED = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
HUGE = "/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/enabled"
HUGE_SHARED = "/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/shmem_enabled"


def resident(pid):
    """Anonymous and shared memory as the kernel counts it."""
    numbers = dict(re.findall(r"^(\w+):\s+(\d+) kB$", read_text(f"/proc/{pid}/status"), re.MULTILINE))
    return (int(numbers["RssAnon"]) + int(numbers["RssShmem"])) * 1024


def row_of(document, pid):
    return next(row for row in document["processes"] if row["pid"] == pid)


def attributed(document, pid):
    return sum(held for held, _ in by_function(document, pid).values())


def whole(case, mode, *options):
    """The last report on the program while it holds what it touched, what the kernel counts then, and its truth."""
    target = Obedient(case, [case.load("pages"), mode])
    target.answer()
    tracer = case.top(target.pid, *PAGES, *options, interval="60")
    target.do("x")
    counted = resident(target.pid)
    document, truth = case.stop_top(tracer)[-1], case.truths()[-1]
    if document["hooks"].get("pages") is None:
        raise Skip("page faults cannot be looked at here")
    return document, counted, truth


def adds_up(document, pid, counted):
    """Sites and what none is known of are what the kernel counts, as far as those are not estimated too high."""
    row, held = row_of(document, pid), attributed(document, pid)
    total = max(held, counted)
    got = held + row["pages_unattributed_bytes"]
    return [f"{held} bytes by site and {row['pages_unattributed_bytes']} unattributed are {got}, the kernel counts "
            f"{counted}"] if abs(got - total) > MIB else []


# --- swap ---

def swap_on(path):
    """A file of our own as swap, as mkswap makes it; Skip where the kernel does not take it."""
    libc = ctypes.CDLL(None, use_errno=True)
    page = os.sysconf("SC_PAGESIZE")
    head = bytearray(page)
    struct.pack_into("<III", head, 1024, 1, SWAP_BYTES // page - 1, 0)  # version, last page, bad pages
    head[page - 10:] = b"SWAPSPACE2"
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        os.posix_fallocate(file.fileno(), 0, SWAP_BYTES)
        file.write(head)
        file.flush()
        os.fsync(file.fileno())
    if libc.swapon(path.encode(), 0):
        raise Skip(f"no file can be swapped to here ({os.strerror(ctypes.get_errno())})")
    return libc


@contextlib.contextmanager
def swap():
    """Some swap: what there is, or for a while a file of our own."""
    if len(read_text(SWAP).splitlines()) > 1:
        yield
        return
    path = f"/var/tmp/heldby-test-swap.{os.getpid()}"
    if not os.path.isdir("/var/tmp"):
        raise Skip("there is no /var/tmp for a file to swap to")
    try:
        libc = swap_on(path)
        try:
            yield
        finally:
            if libc.swapoff(path.encode()):
                raise Failure(f"swapoff {path}: {os.strerror(ctypes.get_errno())}")
    finally:
        if os.path.exists(path):
            os.unlink(path)


@test("what is swapped out is told by the stacks that had touched it", alone="swap is the whole host's")
def swapped(case):
    with swap():
        document, counted, truth = whole(case, "swapped")
    pid, wrong, facts = truth["pid"], [], truth["facts"]
    wrong += adds_up(document, pid, counted)
    for function, touched in (("touch_a", 64 * MIB), ("touch_b", 32 * MIB)):
        out = facts[f"{function} swapped"]
        got = sum(site.get("swapped_bytes", 0) for site in document["sites"]
                  if site["source"] == "pages" and site["pid"] == pid and owner(site) == function)
        held = by_function(document, pid).get(function, (0, 0))[0]
        for name, one, expected in (("has swapped", got, out), ("holds", held, touched - out)):
            if abs(one - expected) > 2 * MIB:
                wrong.append(f"{function} {name} {one / MIB:.2f} MiB by our estimate, in truth {expected / MIB:.2f}")
    if facts["touch_a swapped"] < 16 * MIB or facts["touch_b swapped"] < 16 * MIB:
        wrong.append(f"the kernel swapped out no more than {facts}")
    if row_of(document, pid).get("swapped_bytes", 0) < 32 * MIB:
        wrong.append(f"the process has {row_of(document, pid).get('swapped_bytes')} bytes swapped out")
    hold(wrong, Outcome(0, document, [], ""))


# --- huge pages that nobody has asked for yet ---

# A program that asks for eight huge pages and touches them, one after the other.
HUGE_ASKED = f"""
import ctypes, mmap, sys
sys.stdin.readline()
room = mmap.mmap(-1, {9 * HUGE_BYTES}, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
room.madvise(mmap.MADV_HUGEPAGE)
at = ctypes.addressof(ctypes.c_char.from_buffer(room))
first = (at + {HUGE_BYTES - 1}) // {HUGE_BYTES} * {HUGE_BYTES}
for place in range(first, first + {8 * HUGE_BYTES}, {HUGE_BYTES}):
    ctypes.memset(place, 1, 1)
print("touched", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def setting(path, value):
    """@path holds @value, and then what it held before."""
    before = re.search(r"\[(\w+)\]", read_text(path))[1]
    put(path, value)
    try:
        yield
    finally:
        put(path, before)


@test("huge pages for those who ask are exact once somebody has asked, and what came before that is counted",
      alone="to whom huge pages are given is the whole host's")
def huge_asked(case):
    if not os.path.exists(ENABLED):
        raise Skip("this kernel has no huge pages")
    if os.uname().machine != "x86_64" or version() < (5, 11):
        raise Skip("huge pages are seen from the start here, or not at all")
    with contextlib.ExitStack() as settings:
        for path, value in [(ENABLED, "madvise"), (SHARED, "never"), (HUGE, "inherit"), (HUGE_SHARED, "inherit")]:
            if os.path.exists(path):
                settings.enter_context(setting(path, value))
        tracer = start_all(case, "-v", "--pages-rung", "raw_tracepoint")
        if "huge pages wait" not in read_text(tracer.err):
            raise Failure("heldby top does not wait for who asks", *read_text(tracer.err).splitlines())
        first = case.start(["/usr/bin/python3", "-S", "-c", HUGE_ASKED], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        first.stdin.write(b"x\n")
        first.stdin.flush()
        case.until("huge pages to be looked for", lambda: "huge pages are looked for" in read_text(tracer.err))
        first.stdout.readline() # it got so far, and goes on
        for _ in range(2): # the rows for its stacks are read when they are first needed
            target = Obedient(case, [case.load("pages"), "huge"])
            target.answer()
            target.do("x")
        document, truth = case.stop_top(tracer)[-1], case.truths()[-1]
        given = 1024 * int(re.search(r"^AnonHugePages: +(\d+)", read_text(f"/proc/{first.pid}/smaps_rollup"), re.M)[1])
    held = sum(site["outstanding_bytes"] for site in document["sites"]
               if site["pid"] == first.pid and not site["standard_error_bytes"])
    unseen = detail(document, "huge_pages_unseen") * HUGE_BYTES
    wrong = judge(document, truth)
    # What others of the host are given meanwhile is unseen, too.
    if held + unseen < given or held > given:
        wrong.append(f"of {given} bytes of huge pages {held} have stacks, {unseen} are told to be unseen")
    hold(wrong, Outcome(0, document, [], ""))


def doctor_of(case):
    return subprocess.run([case.place.heldby, "doctor", "-p", str(os.getpid())], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=False, timeout=case.left()).stdout


@test("whether huge pages are given out doctor tells by their own setting, or by that of all sizes",
      alone="to whom huge pages are given is the whole host's")
def huge_settings(case):
    if not os.path.exists(ENABLED):
        raise Skip("this kernel has no huge pages")
    cases, wrong = [("never", "always", True), ("always", "never", False)], []
    if not os.path.exists(HUGE):
        cases = [("never", None, False), ("madvise", None, True)]
    for common, own, given in cases:
        with setting(ENABLED, common), setting(HUGE, own) if own else contextlib.nullcontext():
            told = doctor_of(case)
        ladder = re.search(r"^ +(ok|NO) .* huge pages: (their allocation in a fault|faults that make one)", told, re.M)
        if given != bool(ladder) or given == ("none are given out here" in told):
            wrong.append(f"with {common} for all sizes and {own} for theirs doctor says {told}")
    hold(wrong, Outcome(0, {"sites": []}, [], ""))


# --- given back, collapsed, populated ---

@test("what is given back lazily is resident, and its toucher's, until the kernel takes it")
def lazy(case):
    document, counted, truth = whole(case, "lazy")
    wrong = judge(document, truth)
    if wrong and document["hooks"]["pages"] == "kprobe" and os.uname().machine != "x86_64":
        # A CPU that leaves dirty bits to the kernel faults again: handle_mm_fault does not tell that a page is there.
        truth["facts"].update(touch_a=48 * MIB, touch_b=16 * MIB)
        wrong = judge(document, truth)
    hold(wrong + adds_up(document, truth["pid"], counted), Outcome(0, document, [], ""))


# A program that maps more than eight of them, touches none, and says where the first can be.
HUGE_ROOM = f"""
import ctypes, mmap, sys
room = mmap.mmap(-1, {10 * HUGE_BYTES}, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
room.madvise(mmap.MADV_HUGEPAGE)
print((ctypes.addressof(ctypes.c_char.from_buffer(room)) + {HUGE_BYTES - 1}) // {HUGE_BYTES} * {HUGE_BYTES}, flush=True)
sys.stdin.read()
"""


@test("huge pages that another process makes a program have are counted as unseen", alone=HOST)
def huge_unseen(case):
    if not os.path.exists(ENABLED) or "[never]" in read_text(ENABLED):
        raise Skip("no huge pages are given out here")
    target = case.start(["/usr/bin/python3", "-S", "-c", HUGE_ROOM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    first = int(target.stdout.readline())
    tracer = case.top(target.pid, "--sources", "pages", interval="0.3")
    with open(f"/proc/{target.pid}/mem", "r+b", buffering=0) as memory:
        for number in range(8):
            memory.seek(first + number * HUGE_BYTES)
            memory.write(b"x")
    case.until("two more reports", more_reports(tracer, 2))
    document = case.stop_top(tracer)[-1]
    held = sum(site["outstanding_bytes"] for site in document["sites"] if site["pid"] == target.pid)
    left, unseen = row_of(document, target.pid)["pages_unattributed_bytes"], detail(document, "huge_pages_unseen")
    # A kprobe sees as well what gets none in the end: those of others hide as many as are not seen.
    wrong = [] if 0 < unseen <= 8 else [f"{unseen} huge pages were not seen, expected 8, or some of them"]
    if held >= HUGE_BYTES or left < 8 * HUGE_BYTES:
        wrong.append(f"{held} bytes have stacks and {left} have none, 8 huge pages are nobody's")
    hold(wrong, Outcome(0, document, [], ""))


@test("pages that become huge ones later stay with who touched them")
def collapsed(case):
    document, counted, truth = whole(case, "collapsed")
    refused = truth["facts"].pop("refused")
    if refused:
        raise Skip(f"this kernel collapses nothing when asked ({os.strerror(refused)})")
    hold(judge(document, truth) + adds_up(document, truth["pid"], counted), Outcome(0, document, [], ""))


@each("what the kernel populates by itself is {1} by {0}",
      [("raw_tracepoint", "unattributed"), ("kprobe", "its caller's")])
def populated(case, rung, _):
    try:
        document, counted, truth = whole(case, "populated", "--pages-rung", rung)
    except Failure as failure:
        if "cannot be looked at here" in str(failure.args):
            raise Skip(failure.args[-1]) from None
        raise
    if rung == "raw_tracepoint":
        truth["facts"].update(fill_by_mapping=0, fill_by_lock=0)
    wrong = judge(document, truth) + adds_up(document, truth["pid"], counted)
    left = row_of(document, truth["pid"])["pages_unattributed_bytes"]
    if (left > 90 * MIB) != (rung == "raw_tracepoint"):
        wrong.append(f"{left / MIB:.1f} MiB are unattributed")
    hold(wrong, Outcome(0, document, [], ""))


# --- several pages by one fault ---

@contextlib.contextmanager
def medium_pages():
    """Pages of 64 KiB for those who ask for huge ones."""
    if not os.path.exists(MEDIUM) or "[never]" in read_text(ENABLED):
        raise Skip("this kernel gives out no pages of 64 KiB")
    with setting(MEDIUM, "madvise"):
        yield


def medium_faults():
    """How many pages of 64 KiB were given out by faults."""
    path = os.path.dirname(MEDIUM) + "/stats/anon_fault_alloc"
    if not os.path.exists(path):
        raise Skip("this kernel does not count the pages of 64 KiB that it gives out")
    return int(read_text(path))


@test("pages between small and huge belong to who touched them, and doctor tells of them",
      alone="their sizes are the whole host's")
def medium(case):
    with medium_pages():
        before = medium_faults()
        doctor = doctor_of(case)
        document, counted, truth = whole(case, "medium")
        given = medium_faults() - before
    wrong = judge(document, truth) + adds_up(document, truth["pid"], counted)
    if given < 128 * MIB // (64 << 10):
        raise Skip(f"the kernel gave out {given} pages of 64 KiB, {128 * MIB // (64 << 10)} were wanted")
    if not re.search(r"^ +ok +pages between +up to 64.0 KiB ", doctor, re.MULTILINE):
        wrong += ["doctor does not tell of them:", *[line for line in doctor.splitlines() if "pages" in line]]
    hold(wrong, Outcome(0, document, [], ""))


@each("where pages between small and huge are sampled as one, {0} of small ones are as right as they say",
      ["contiguous", "runs", "random"], alone="their sizes are the whole host's")
def granules(case, mode):
    with medium_pages():
        document, counted, truth = whole(case, mode)
    hold(judge(document, truth) + adds_up(document, truth["pid"], counted), Outcome(0, document, [], ""))


# --- a JVM that touches its heap before anything else ---


@each("the heap that a JVM touches beforehand belongs to what touches it: {0}",
      [(os.path.basename(os.path.dirname(os.path.dirname(path))), path)
       for path in sorted(glob.glob("/usr/lib/jvm/*/bin/java")) if not os.path.islink(path.split("/bin/")[0])],
      seconds=120, alone=HOST)
def pretouched(case, _, path):
    tracer = start_all(case)
    folder = os.path.dirname(case.load("java/Direct.class"))
    target = Obedient(case, [path, "-XX:+AlwaysPreTouch", "-XX:+UseSerialGC", "-Xms192m", "-Xmx192m",
                             "-cp", folder, "Direct", "grow"])
    target.answer()
    counted = resident(target.pid)
    document = case.stop_top(tracer)[-1]
    sites = [site for site in document["sites"] if site["source"] == "pages" and site["pid"] == target.pid]
    if not sites:
        raise Failure("there is no site of it", *read_text(tracer.err).splitlines()[-5:])
    if not any("function" in frame for site in sites for frame in site["frames"]):
        raise Skip("this JVM's functions have no names")
    wrong = adds_up(document, target.pid, counted)
    heap = [site for site in sites if "pretouch" in site["frames"][0].get("function", "")]
    held = sum(site["outstanding_bytes"] for site in heap)
    bound = USUAL * math.hypot(*(site["standard_error_bytes"] for site in heap))
    if not 192 * MIB - bound < held < counted + bound:  # tables and archives among it
        wrong.append(f"{held / MIB:.1f} MiB of {counted / MIB:.1f} were touched beforehand, the heap has 192")
    row = row_of(document, target.pid)
    left = row["pages_unattributed_bytes"]
    if left > 2 * row["pages_standard_error_bytes"]:  # 20 MiB of first pages, all missed, are one and a half
        wrong.append(f"{left / MIB:.1f} of {counted / MIB:.1f} MiB are unattributed")
    print(f"   {held / MIB:.1f} MiB touched beforehand at {len(heap)} of {len(sites)} sites, {left / MIB:.1f} MiB "
          f"unattributed, {counted / MIB:.1f} resident")
    hold(wrong, Outcome(0, document, [], ""))

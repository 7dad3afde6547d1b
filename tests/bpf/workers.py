# SPDX-License-Identifier: Apache-2.0
"""Several jobs at a time, each in a process of its own that is bounded in time."""

import os
import signal
import sys
import tempfile
import time
import traceback

from harness import Failure

GRACE = 20     # seconds over its time that a job has before it is interrupted, and again before it is killed
PAUSE = 0.02   # seconds between two looks at what has ended
BROKEN = 99    # exit status of a job that raised something else than its verdict


class Job:
    """A job that runs, and the file that has what it printed."""

    def __init__(self, what, seconds, pid, output):
        self.what = what
        self.pid = pid
        self.output = output
        self.began = time.monotonic()
        self.deadline = self.began + seconds + 2 * GRACE


def interrupted(_number, _frame):
    raise Failure("it was interrupted: it waits for what does not come")


class Workers:
    """
    @work(what) is done in a child: what it returns is a small number. @ended(what, number, seconds) is told
    here when all that the job printed has been printed; number is None where the job has none.
    """

    def __init__(self, work, ended):
        self.work = work
        self.ended = ended
        self.jobs = {}

    def run(self, waiting, count):
        """All of @waiting, rows of what and its seconds, @count of them at a time."""
        waiting = list(waiting)
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        try:
            while waiting or self.jobs:
                while waiting and len(self.jobs) < count:
                    self.begin(*waiting.pop(0))
                self.look()
        finally:
            for pid in self.jobs:
                os.kill(pid, signal.SIGTERM)

    def begin(self, what, seconds):
        output = tempfile.TemporaryFile()
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            self.child(what, seconds, output)
        self.jobs[pid] = Job(what, seconds, pid, output)

    def child(self, what, seconds, output):
        """Never returns."""
        status = BROKEN
        try:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            for number in (signal.SIGALRM, signal.SIGTERM):
                signal.signal(number, interrupted)
            signal.alarm(int(seconds + GRACE))
            status = self.work(what)
        except BaseException:  # pylint: disable=broad-except
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)  # pylint: disable=protected-access

    def look(self):
        """One job that has ended, or a pause."""
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            job = self.jobs.pop(pid)
            with job.output:
                job.output.seek(0)
                sys.stdout.write(job.output.read().decode("utf-8", "replace"))
            number = os.waitstatus_to_exitcode(status)
            self.ended(job.what, number if 0 <= number < BROKEN else None, time.monotonic() - job.began)
            return
        for job in self.jobs.values():
            if time.monotonic() > job.deadline:
                os.kill(job.pid, signal.SIGKILL)
        time.sleep(PAUSE)

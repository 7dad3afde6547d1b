# SPDX-License-Identifier: Apache-2.0
"""Keeps python busy for ever: its own code, and what its library does in C."""

import functools
import hashlib
import json
import os
import random
import re
import sys
import threading
import zlib


class Node:
    def __init__(self, depth):
        self.left = Node(depth - 1) if depth else None
        self.right = Node(depth - 1) if depth else self  # a cycle for the collector

    def __lt__(self, other):
        return id(self) < id(other)


def text():
    return json.dumps([{"n": i, "s": "x" * (i % 50), "f": i / 7} for i in range(300)])


def database():
    try:
        import sqlite3
    except ImportError:
        return
    with sqlite3.connect(":memory:") as base:
        base.execute("create table t (a integer, b text)")
        base.executemany("insert into t values (?, ?)", ((i, str(i * 7)) for i in range(500)))
        base.create_function("half", 1, lambda a: a // 2)
        base.execute("select sum(half(a)), b from t group by b % 5 order by b").fetchall()


def sources():
    name = os.__file__
    with open(name, encoding="utf-8") as file:
        compile(file.read(), name, "exec")


JOBS = [
    lambda: sorted((Node(3) for _ in range(20)), key=functools.cmp_to_key(lambda a, b: (b < a) - (a < b))),
    lambda: json.loads(text()),
    lambda: re.findall(r"(?:\w+)(?=:)|\"(.*?)\"", text()),
    lambda: zlib.decompress(zlib.compress(text().encode())),
    lambda: hashlib.sha256(text().encode() * 20).hexdigest(),
    lambda: [x ** 40 % 1009 for x in range(2000)],
    lambda: list(map(str.upper, text().split(","))),
    sources,
    database,
]


def work(seed):
    chance = random.Random(seed)
    while True:
        try:
            chance.choice(JOBS)()
        except RecursionError:
            pass


for number in range(2):
    threading.Thread(target=work, args=(number,), daemon=True).start()
sys.stdout.flush()
work(2)

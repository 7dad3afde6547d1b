# SPDX-License-Identifier: Apache-2.0
"""deploy/daemonset.yaml as the API server would read it."""

import os

from harness import Failure, Skip
from place import MIB, ROOT

try:
    import yaml
except ImportError:
    yaml = None

UNITS = {"Ki": 1 << 10, "Mi": MIB, "Gi": 1 << 30}


def daemonset():
    """(the file's documents, the pod's specification)."""
    if not yaml:
        raise Skip("python's yaml is not installed")
    with open(os.path.join(ROOT, "deploy", "daemonset.yaml"), encoding="utf-8") as file:
        documents = list(yaml.safe_load_all(file))
    return documents, documents[1]["spec"]["template"]["spec"]


def one_container(pod):
    if len(pod["containers"]) != 1 or pod.get("initContainers"):
        raise Failure(f"it has {len(pod['containers'])} containers, expected 1")
    return pod["containers"][0]


def bytes_of(quantity):
    """A quantity of memory with a unit, as in "256Mi"."""
    return int(quantity[:-2]) * UNITS[quantity[-2:]]

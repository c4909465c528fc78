#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs one lint over the source tree: lint.py NAME [--root DIR] [--build DIR]. Findings go to standard output;
the exit status is 1 if there are any, 77 (skipped) where the build cannot be judged."""
import argparse
import json
import os
import subprocess
import sys

import docs_names
import files
import includes
import state
from tree import Tree

HERE = os.path.dirname(os.path.abspath(__file__))


def read(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as stream:
        return stream.read()


def sanitized(build):
    """True if the build has a sanitizer, whose own bookkeeping would fill the writable sections."""
    try:
        with open(os.path.join(build, "meson-info", "intro-buildoptions.json"), encoding="utf-8") as stream:
            return any(o["name"] == "b_sanitize" and o["value"] != "none" for o in json.load(stream))
    except OSError:
        return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("lint", choices=("layers", "cycles", "sizes", "openings", "forbidden", "docs", "state"))
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(HERE)))
    parser.add_argument("--build")
    args = parser.parse_args()
    warnings = []
    if args.lint == "state":
        if sanitized(args.build):
            print("skip: a sanitizer build adds mutable objects of its own")
            return 77
        findings = state.check_state(args.build, read("state.allow"))
    else:
        tree = Tree.load(args.root)
        if args.lint == "layers":
            findings = includes.check_layers(tree, includes.parse_layers(tree.files["docs/architecture.md"]))
        elif args.lint == "sizes":
            findings, warnings = files.check_sizes(tree)
        else:
            findings = {"cycles": includes.check_cycles, "openings": files.check_openings,
                        "forbidden": files.check_forbidden, "docs": docs_names.check_docs}[args.lint](tree)
    for line in warnings:
        print("warning:", line)
    for line in findings:
        print(line)
    return 1 if findings else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, subprocess.CalledProcessError) as err:
        sys.exit(f"lint: {err}")

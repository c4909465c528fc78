# SPDX-License-Identifier: MIT
"""Closes a test run: reads meson's testlog.json, names each skipped test with its reason and each failed
test, and prints "N passed, N failed, N skipped" as the last line. The exit status is 0 only if at least one
test ran, none failed and meson itself was content. A test skips by exit status 77 (or by a TAP skip); its
reason is the line of its output that begins with "skip", else its last line."""
import json
import sys

PASSED = {"OK", "EXPECTEDFAIL"}
SKIPPED = {"SKIP", "IGNORED"}


def skip_reason(test):
    lines = [ln.strip() for ln in (test.get("stdout", "") + "\n" + test.get("stderr", "")).splitlines()
             if ln.strip()]
    for line in lines:
        if line.lower().startswith("skip"):
            return line.split(":", 1)[-1].strip()
    return lines[-1] if lines else "no reason given"


def summarise(lines, meson_status):
    """Returns (report lines, exit status)."""
    report, counts = [], {"passed": 0, "failed": 0, "skipped": 0}
    for line in lines:
        if not line.strip():
            continue
        test = json.loads(line)
        result = test["result"]
        if result in PASSED:
            counts["passed"] += 1
        elif result in SKIPPED:
            counts["skipped"] += 1
            report.append(f"skipped: {test['name']}: {skip_reason(test)}")
        else:
            counts["failed"] += 1
            report.append(f"failed: {test['name']} ({result.lower()})")
    report.append("{passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    bad = counts["failed"] > 0 or meson_status != 0 or counts["passed"] == 0
    return report, 1 if bad else 0


def main():
    path, meson_status = sys.argv[1], int(sys.argv[2])
    try:
        with open(path, encoding="utf-8") as log:
            report, status = summarise(log, meson_status)
    except OSError:
        report, status = ["test: meson ran no test.", "0 passed, 0 failed, 0 skipped"], 1
    print("\n".join(report))
    return status


if __name__ == "__main__":
    sys.exit(main())

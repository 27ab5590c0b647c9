"""`python -m support.table FOLDER`: how the tests fared under each driver, out of the JUnit files that pytest wrote.

A file `ROW.xml` is a row; `ROW.reason` one that did not run. Ends with 1 when a test failed or a row did not run.
Never here: running tests (scripts/drivers.sh).
"""

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree


def outcome(case):
    """A test's outcome, and what there is to say about it."""
    for kind in ("failure", "error", "skipped"):
        if (found := case.find(kind)) is not None:
            return kind, (found.get("message") or kind).splitlines()[0]
    return "passed", ""


def row(path):
    """Counts of a file, reasons of what was skipped with their numbers, names of what failed."""
    counts, reasons, failed = Counter(), Counter(), []
    for case in ElementTree.parse(path).iter("testcase"):
        kind, said = outcome(case)
        counts[kind] += 1
        if kind == "skipped":
            reasons[said] += 1
        elif kind != "passed":
            failed.append(f"{case.get('classname')}::{case.get('name')}: {said}")
    return counts, reasons, failed


def main(folder):
    files = sorted([*folder.glob("*.xml"), *folder.glob("*.reason")], key=lambda path: path.stat().st_mtime)
    print(f"{'driver':28} {'passed':>7} {'failed':>7} {'not run':>8}")
    notes, bad = [], not files
    for path in files:
        if path.suffix == ".reason":
            print(f"{path.stem:28} {'-':>7} {'-':>7} {'all':>8}")
            notes.append(f"{path.stem}: not run: {path.read_text().strip()}")
            bad = True
            continue
        counts, reasons, failed = row(path)
        wrong = counts["failure"] + counts["error"]
        print(f"{path.stem:28} {counts['passed']:7} {wrong:7} {counts['skipped']:8}")
        notes += [f"{path.stem}: FAILED {name}" for name in failed]
        notes += [f"{path.stem}: not run, {count}: {said}" for said, count in reasons.most_common()]
        bad = bad or bool(wrong) or not counts["passed"]
    print("\n".join(["", *notes]))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

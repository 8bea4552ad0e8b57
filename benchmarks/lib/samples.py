# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""The samples of a benchmark's CSV file, and how figures are written."""
import csv
import math
import os
import statistics
from collections import defaultdict

COLUMNS = "time,kernel,release,part,driver,what,mode,bytes,qps,round,value,unit,load".split(",")
SIZES = {1 << 40: "TiB", 1 << 30: "GiB", 1 << 20: "MiB", 1 << 10: "KiB"}
DOORBELL = (("posts one by one", "thousand a second"), ("posts in lists of 16", "thousand a second"),
            ("doorbells of posts one by one", "for a hundred"), ("doorbells of posts in lists of 16", "for a hundred"),
            ("one write until its target sees it", "us"), ("a null system call", "us"))

FETCHED = (("cold", "not in memory"), ("warm", "from the page cache"), ("16 MiB", "server of 16 MiB"))


def size(count):
    if count == 2**64 - 1:
        return "implicit"
    for unit, name in SIZES.items():
        if count >= unit and count % unit == 0:
            return f"{count // unit} {name}"
    return f"{count} B"


def number(value):
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def spread(values):
    if not values:
        return "-"
    text = number(statistics.median(values))
    return text if len(values) == 1 else f"{text} ({number(min(values))}..{number(max(values))})"


def machine():
    with open("/proc/cpuinfo") as file:
        models = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return f"{len(models)} CPUs, {models[0]}" if models else f"{os.cpu_count()} CPUs, {os.uname().machine}"


class BadSamples(Exception):
    """A file that is not what lib/collect writes, in a sentence."""


class Samples:
    """The values and failures of a CSV file, by what was measured."""

    def __init__(self, path):
        self.values = defaultdict(dict)
        self.failures = {}
        self.loads = defaultdict(list)
        self.rounds = defaultdict(set)
        self.runs = defaultdict(set)
        self.when = defaultdict(set)
        try:
            with open(path, newline="") as file:
                self.read(file, path)
        except OSError as error:
            raise BadSamples(f"{path} cannot be read: {error.strerror}; run the benchmark first") from None

    def read(self, file, path):
        reader = csv.DictReader(file)
        try:
            if reader.fieldnames != COLUMNS:
                raise ValueError
            for row in reader:
                if None in row or None in row.values():
                    raise ValueError
                key = (row["kernel"], row["part"], row["driver"], row["what"], row["mode"], int(row["bytes"]), int(row["qps"]))
                self.runs[row["kernel"], row["release"]].add(row["time"][:10])
                self.when[row["kernel"], row["part"]].add((row["release"], row["time"][:10]))
                self.loads[row["kernel"], row["part"]].append(float(row["load"]))
                self.rounds[row["kernel"], row["part"]].add(row["round"])
                count, value = int(row["round"]), float(row["value"] or "nan")
                if math.isfinite(value):
                    self.values[key][count] = value
                else:
                    self.failures[key] = row["unit"]
        except (ValueError, csv.Error):
            raise BadSamples(f"{path}, line {max(reader.line_num, 1)}, is no sample; remove its folder and run the benchmark again") from None
        if not self.values and not self.failures:
            raise BadSamples(f"{path} has no sample; run the benchmark, and see what it says of its programs")

    def get(self, *key):
        return list(self.values.get(key, {}).values())

    def text(self, *key):
        if key in self.failures:
            return self.failures[key]
        return spread(self.get(*key))

    def ratios(self, key, other):
        """Round by round: what alternated is compared with its neighbour."""
        a, b = self.values.get(key, {}), self.values.get(other, {})
        return [a[i] / b[i] for i in sorted(a) if i in b and b[i]]

    def differences(self, key, other):
        a, b = self.values.get(key, {}), self.values.get(other, {})
        return [a[i] - b[i] for i in sorted(a) if i in b]

    def same_crc(self, kernel):
        """Whether both drivers call the same CRC, without which no ratio between them is worth anything."""
        return self.get(kernel, "setup", "rxe_odp", "same crc", "-", 0, 1) == [1]

    def versus(self, ours, stock):
        """Ours by stock rxe's, where that can be compared."""
        return self.ratios(ours, stock) if self.same_crc(ours[0]) else []

    def crc_note(self, kernel):
        return "" if self.same_crc(kernel) else "No ratio to stock rxe: the CRCs of the two drivers differ on this kernel."

    def kernels(self, part):
        return sorted({key[0] for key in list(self.values) + list(self.failures) if key[1] == part})

    def sizes(self, kernel, part):
        return sorted({key[5] for key in list(self.values) + list(self.failures) if key[0] == kernel and key[1] == part})

    def run(self, kernel, part):
        """How it was measured: where, how often, and beside what."""
        loads, count = self.loads[kernel, part], len(self.rounds[kernel, part])
        return (f"{kernel}, {count} round{'' if count == 1 else 's'}, "
                f"load {statistics.median(loads):.1f} ({min(loads):.1f}..{max(loads):.1f})")

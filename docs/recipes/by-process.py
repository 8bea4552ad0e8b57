#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Sums, for each process and RDMA device, what its on-demand regions have seen; needs iproute2's rdma."""
import collections
import json
import subprocess


def rdma(*args):
    return json.loads(subprocess.check_output(["rdma", "-j", *args]) or "[]")


def main():
    # The statistics name a region by its number, and the resources say whose it is.
    owners = {(mr["ifname"], mr["mrn"]): (mr.get("pid", 0), mr.get("comm", "?")) for mr in rdma("resource", "show", "mr")}
    sums = collections.defaultdict(collections.Counter)
    for mr in rdma("statistic", "show", "mr"):
        # A pinned region has no figures; one without an owner was made since.
        if "page_faults" not in mr or (mr["ifname"], mr["mrn"]) not in owners:
            continue
        total = sums[(*owners[mr["ifname"], mr["mrn"]], mr["ifname"])]
        total["regions"] += 1
        for name, value in mr.items():
            if name == "worst_fault_ns":
                total[name] = max(total[name], value)
            elif name not in ("ifindex", "ifname", "mrn", "worst_fault_page"):
                total[name] += value
    for (pid, comm, device), total in sorted(sums.items()):
        print(f"{comm} (pid {pid}) on {device}:", ", ".join(f"{name} {value}" for name, value in total.items()))


main()

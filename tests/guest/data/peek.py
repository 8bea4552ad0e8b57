#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""peek.py PID: reads the last page that a userfaultfd of PID watches, as a NIC would: it waits for the page, and keeps the memory of the
process alive meanwhile. Says "reading", then what it has got: an error, "zeros" or "bytes"."""
import ctypes
import os
import re
import sys

PAGE = os.sysconf('SC_PAGE_SIZE')


class Iovec(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]


pid, end, watched = int(sys.argv[1]), 0, 0
with open('/proc/%d/smaps' % pid) as smaps:
    for line in smaps:
        mapping = re.match('[0-9a-f]+-([0-9a-f]+) ', line)
        if mapping:
            end = int(mapping[1], 16)
        elif line.startswith('VmFlags:') and 'um' in line.split():
            watched = end
if not watched:
    sys.exit('peek.py: %d has no memory that a userfaultfd watches' % pid)
buffer = ctypes.create_string_buffer(PAGE)
libc = ctypes.CDLL(None, use_errno=True)
here = Iovec(ctypes.addressof(buffer), PAGE)
there = Iovec(watched - PAGE, PAGE)
print('reading', flush=True)
if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) != PAGE:
    print(os.strerror(ctypes.get_errno()))
else:
    print('bytes' if any(buffer.raw) else 'zeros')

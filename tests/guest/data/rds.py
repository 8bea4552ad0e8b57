#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""rds.py messages|cut ADDRESS ADDRESS: two RDS sockets over RDMA, one at each address.
messages: many sizes each way, more than the other end takes, RDMA to and from memory of either.
cut: what is sent while no packet passes."""
import ctypes
import errno
import itertools
import mmap
import os
import socket
import struct
import subprocess
import sys
import time

SOL_RDS, SO_RDS_TRANSPORT, RDS_TRANS_IB = socket.SOL_RDS, 8, 0
RDS_FREE_MR, RDS_INFO_CONNECTIONS, CONNECTED = 3, 10001, 4
RDMA_ARGS, RDMA_DEST, RDMA_MAP, RDMA_STATUS = 1, 2, 3, 4
READWRITE, NOTIFY_ME = 1, 0x20
SIZES = 0, 1, 4, 4095, 4096, 4097, 9000, 65535, 65536, 1 << 20
PAGE = mmap.PAGESIZE
# Length and offset in a page
SPANS = (1, 0), (8, 4092), (PAGE, 0), (100000, 77), (1 << 20, 0)


def check(true, what):
    if not true:
        sys.exit('rds.py: ' + what)


def end(address, port):
    s = socket.socket(socket.AF_RDS, socket.SOCK_SEQPACKET, 0)
    s.setsockopt(SOL_RDS, SO_RDS_TRANSPORT, struct.pack('=I', RDS_TRANS_IB))
    # Forced: what is sent at once is more than the system's bound.
    s.setsockopt(socket.SOL_SOCKET, 32, 4 << 20)
    s.bind((address, port))
    return s


def receive(s):
    """A message, its sender and the cookie that came with it."""
    data, ancillary, _, sender = s.recvmsg(2 << 20, 4096)
    cookies = [struct.unpack('=Q', value)[0] for _, kind, value in ancillary if kind == RDMA_DEST]
    return data, sender, cookies[0] if cookies else None


def messages(a, b):
    for size in SIZES:
        for sender, receiver in (a, b), (b, a):
            sent = os.urandom(size)
            sender.sendto(sent, receiver.getsockname())
            data, address, _ = receive(receiver)
            check(data == sent, 'another message of %d bytes' % size)
            check(address == sender.getsockname(), 'it comes from %s' % (address,))


def numbered(number):
    return struct.pack('=I', number) * (1 + number * 37 % 4000)


def congestion(a, b):
    """One end sends until it is refused, be its own buffer full or the other end's: nothing is lost, and all comes in order."""
    number = 0
    a.setblocking(False)
    while True:
        try:
            a.sendto(numbered(number), b.getsockname())
            number += 1
        except OSError as error:
            check(error.errno in (errno.EAGAIN, errno.ENOBUFS), 'sending: %s' % error)
            break
    a.setblocking(True)
    for received in range(number):
        check(receive(b)[0] == numbered(received), 'message %d of %d is another' % (received, number))


def is_connected(s):
    """All connections of RDS."""
    info = s.getsockopt(SOL_RDS, RDS_INFO_CONNECTIONS, 1024)
    each = struct.calcsize('=QQ4s4s16sBB')
    flags = [struct.unpack_from('=QQ4s4s16sBB', info, at)[5] for at in range(0, len(info), each)]
    return bool(flags) and all(f & CONNECTED for f in flags)


def cut(a, b):
    """What is sent while no packet passes comes once one does, on a connection that was made anew, once and in order."""
    check(is_connected(a), 'nothing is connected before the cut')
    subprocess.check_call(['nft', 'add table ip rds_cut; add chain ip rds_cut in { type filter hook input priority 0; }; '
                           'add rule ip rds_cut in udp dport 4791 drop'])
    for number in range(20):
        a.sendto(numbered(number), b.getsockname())
    while is_connected(a):
        time.sleep(0.05)
    subprocess.check_call(['nft', 'delete table ip rds_cut'])
    for number in range(20):
        check(receive(b)[0] == numbered(number), 'message %d behind the cut is another' % number)
    messages(a, b)


class Memory:
    """Anonymous memory, from an offset in its first page on."""
    def __init__(self, size, offset):
        self.map = mmap.mmap(-1, (offset + size + PAGE - 1) // PAGE * PAGE)
        self.size, self.offset = size, offset
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.map)) + offset

    def get(self):
        return self.map[self.offset:self.offset + self.size]

    def set(self, data):
        self.map[self.offset:self.offset + self.size] = data


def offer(owner, user, memory):
    """Registers it for the user, who gets the cookie in a message."""
    cookie = ctypes.c_uint64()
    args = struct.pack('=QQQQ', memory.address, memory.size, ctypes.addressof(cookie), READWRITE)
    owner.sendmsg([b'here'], [(SOL_RDS, RDMA_MAP, args)], 0, user.getsockname())
    data, _, got = receive(user)
    check(data == b'here' and got == cookie.value, 'another cookie')
    return got


def rdma(user, owner, cookie, local, size, flags):
    vector = ctypes.create_string_buffer(struct.pack('=QQ', local.address, size))
    token = next(tokens)
    user.sendmsg([b'done'], [(SOL_RDS, RDMA_ARGS, struct.pack('=QQQQQQQ', cookie, 0, size, ctypes.addressof(vector), 1,
                                                            flags | NOTIFY_ME, token))], 0, owner.getsockname())
    check(receive(owner)[0] == b'done', 'another message behind RDMA')
    _, ancillary, _, _ = user.recvmsg(0, 4096)
    notices = [struct.unpack_from('=Qi', value) for _, kind, value in ancillary if kind == RDMA_STATUS]
    check(notices == [(token, 0)], 'RDMA fails: %s' % notices)


tokens = itertools.count(7)


def remote(a, b, size, offset):
    """WRITE to memory of the other end, and READ from it."""
    there, here = Memory(size, offset), Memory(size, offset * 3 % PAGE)
    sent = os.urandom(size)
    here.set(sent)
    cookie = offer(b, a, there)
    rdma(a, b, cookie, here, size, READWRITE)
    check(there.get() == sent, 'WRITE of %d bytes' % size)
    sent = os.urandom(size)
    there.set(sent)
    rdma(a, b, cookie, here, size, 0)
    check(here.get() == sent, 'READ of %d bytes' % size)
    b.setsockopt(SOL_RDS, RDS_FREE_MR, struct.pack('=QQ', cookie, 0))


def main():
    a, b = end(sys.argv[2], 4001), end(sys.argv[3], 4002)
    messages(a, b)
    if sys.argv[1] == 'cut':
        cut(a, b)
        return
    congestion(a, b)
    congestion(b, a)
    for size, offset in SPANS:
        remote(a, b, size, offset)
        remote(b, a, size, offset)


main()

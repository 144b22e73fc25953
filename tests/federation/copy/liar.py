#!/usr/bin/env python3
"""An NBD server that breaks one promise: liar.py --socket PATH --pid-file FILE --lie LIE [--size BYTES].

Speaks fixed newstyle with structured replies and base:allocation, of a disk of bytes 0x5a. Lies: none, short-read
(a read's chunks leave out its second half), double-read (one half twice), empty-extent, far-extent (beyond the end),
no-extents (an answer without any), silent-flush (a flush is never answered), bad-flush (it failed), garbage (an answer that is none), size
(each connection sees another size)."""
import argparse
import os
import socket
import struct
import threading

CHUNK_DONE, CHUNK_NONE, CHUNK_DATA, CHUNK_STATUS = 1, 0, 1, 5
connections = 0


def exactly(peer, length):
    got = b''
    while len(got) < length:
        more = peer.recv(length - len(got))
        if not more:
            raise ConnectionError
        got += more
    return got


def option_reply(peer, option, kind, payload=b''):
    peer.sendall(struct.pack('>QIII', 0x3e889045565a9, option, kind, len(payload)) + payload)


def negotiate(peer, size, flags):
    peer.sendall(b'NBDMAGIC' + b'IHAVEOPT' + struct.pack('>H', 3))
    exactly(peer, 4)
    while True:
        _, option, length = struct.unpack('>QII', exactly(peer, 16))
        exactly(peer, length)
        if option == 8:  # structured replies
            option_reply(peer, option, 1)
        elif option == 10:  # set meta context
            option_reply(peer, option, 4, struct.pack('>I', 1) + b'base:allocation')
            option_reply(peer, option, 1)
        elif option in (6, 7):  # info, go
            option_reply(peer, option, 3, struct.pack('>HQH', 0, size, flags))
            option_reply(peer, option, 1)
            if option == 7:
                return
        else:
            option_reply(peer, option, 0x80000001)


def chunk(peer, cookie, flags, kind, payload=b''):
    peer.sendall(struct.pack('>IHHQI', 0x668e33ef, flags, kind, cookie, len(payload)) + payload)


def read(peer, lie, cookie, offset, length):
    data = b'\x5a' * length
    if lie == 'short-read':
        chunk(peer, cookie, 0, CHUNK_DATA, struct.pack('>Q', offset) + data[:length // 2])
    elif lie == 'double-read':
        for _ in range(3):
            chunk(peer, cookie, 0, CHUNK_DATA, struct.pack('>Q', offset) + data[:length // 2])
    elif lie == 'garbage':
        peer.sendall(b'nonsense' * 4)
    else:
        chunk(peer, cookie, 0, CHUNK_DATA, struct.pack('>Q', offset) + data)
    chunk(peer, cookie, CHUNK_DONE, CHUNK_NONE)


def status(peer, lie, cookie, size, offset, length):
    extents = {'empty-extent': [(0, 0), (length, 0)], 'far-extent': [(size - offset + 65536, 0)],
               'no-extents': []}.get(lie, [(length, 0)])
    payload = struct.pack('>I', 1) + b''.join(struct.pack('>II', *extent) for extent in extents)
    chunk(peer, cookie, CHUNK_DONE, CHUNK_STATUS, payload)


def serve(peer, lie, size):
    try:
        negotiate(peer, size, 1 | 4 | 256)  # flags, flush, multi-conn
        while True:
            _, _, kind, cookie, offset, length = struct.unpack('>IHHQQI', exactly(peer, 28))
            if kind == 0:
                read(peer, lie, cookie, offset, length)
            elif kind == 2:
                return
            elif kind == 7:
                status(peer, lie, cookie, size, offset, length)
            else:
                if kind == 1:
                    exactly(peer, length)
                if kind == 3 and lie == 'bad-flush':
                    peer.sendall(struct.pack('>IIQ', 0x67446698, 5, cookie))
                elif kind != 3 or lie != 'silent-flush':
                    chunk(peer, cookie, CHUNK_DONE, CHUNK_NONE)
    except OSError:
        pass
    finally:
        peer.close()


def main():
    global connections
    parser = argparse.ArgumentParser()
    for name in ('--socket', '--pid-file', '--lie'):
        parser.add_argument(name, required=True)
    parser.add_argument('--size', type=int, default=8 << 20)
    parser.add_argument('--persistent', action='store_true')
    parser.add_argument('--shared')
    options = parser.parse_args()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(options.socket)
    listener.listen(16)
    with open(options.pid_file, 'w', encoding='utf-8') as file:
        file.write(f'{os.getpid()}\n')
    while True:
        peer, _ = listener.accept()
        connections += 1
        size = options.size + (4096 * connections if options.lie == 'size' else 0)
        threading.Thread(target=serve, args=(peer, options.lie, size), daemon=True).start()


if __name__ == '__main__':
    main()

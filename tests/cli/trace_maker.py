"""Writes small .mfut files with known contents, from docs/FORMAT.md alone: the verbs' tests compare
what they print with figures chosen here."""

import struct

GEMM = (1024, 512, 256)
GEMM_FLOP = 2 * 1024 * 512 * 256
BF16, F32 = 4, 2
START_NS = 1_000_000_000
REALTIME_NS = 1_767_225_600_000_000_000  # 2026-01-01 00:00:00 UTC


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def padded(data):
    return data + b"\0" * (-len(data) % 4)


def block(kind, payload, record_bytes, prefix_bytes=0):
    head = struct.pack("<IHBBIHHI", 0x4B4C424D, kind, 1, 0, len(payload), record_bytes, prefix_bytes, 0)
    return head + struct.pack("<I", crc32c(head + b"\0\0\0\0" + payload)) + payload


def file_header(pid, version=1):
    head = struct.pack("<8sIIIIqq5I", b"mfutrace", version, 0x01020304, 64, pid, START_NS,
                       REALTIME_NS, *[0] * 5)
    return head + struct.pack("<I", crc32c(head))


def strings(*texts):
    return block(1, b"".join(padded(struct.pack("<II", i + 1, len(t)) + t.encode())
                             for i, t in enumerate(texts)), 0)


def facts(**pairs):
    return block(2, b"".join(padded(struct.pack("<II", len(k), len(v)) + k.encode() + v.encode())
                             for k, v in pairs.items()), 0)


def gemm_trace(path, calls=100, rank=0, world=2, gpu="NVIDIA H100 80GB HBM3", dropped=0, end=True,
               blocks=1, period_ns=20_000, gpu_ns=10_000):
    """`calls` bf16 GEMMs, one every `period_ns`, each `gpu_ns` long on the device."""
    names = ["cublasGemmEx", gpu, "0000:1b:00.0", "calls_dropped_ring_full"]
    data = [file_header(4000 + rank), strings(*names)]
    data.append(facts(host="node1", command_line="./train\0--steps\0" + "3", rank=str(rank),
                      rank_source="RANK", world_size=str(world), timing="events",
                      timing_reason="auto: no CUPTI", mfutrace_version="0.1.0"))
    data.append(block(3, struct.pack("<iIIIiiiiQ", 0, 2, 3, 0, 9, 0, 132, 1980000, 80 << 30), 40))
    data.append(block(4, struct.pack("<IiQII", 1, 0, 7, 4000, 0), 24))
    m, n, k = GEMM
    signature = struct.pack("<IIQQQQ12BI", 1, 1, m, n, k, 1, BF16, BF16, BF16, BF16, F32, 0, 0, 0, 1, 0,
                            0, 0, 68)
    data.append(block(7, signature, 56))
    each = calls // blocks
    for number in range(blocks):
        first = number * each
        prefix = struct.pack("<qqii", START_NS + first * period_ns, first * period_ns, 0, 0)
        records = b"".join(struct.pack("<6I", 1, 1, i * period_ns, 3000, i * period_ns, gpu_ns)
                           for i in range(each))
        data.append(block(11, prefix + records, 24, 24))
    if dropped:
        data.append(block(15, struct.pack("<IiQqqBB6x", 1, 0, dropped, START_NS,
                                          START_NS + calls * period_ns, 0, 0), 40))
        data.append(block(16, struct.pack("<IIQ", 4, 0, dropped), 16))
    if end:
        data.append(block(19, struct.pack("<qQB7x", START_NS + calls * period_ns, calls + dropped, 0),
                          24))
    path.write_bytes(b"".join(data))
    return path

"""Reads .mfut files, written against docs/FORMAT.md and trace/format.h alone.

Independent of the project's own reader on purpose: the end-to-end tests compare what libmfutrace.so
wrote with what the simulated node logged, and neither with code that could share a mistake.
"""

import struct
from collections import namedtuple

MAGIC = b"mfutrace"
SYNC = 0x4B4C424D
FILE_HEADER = struct.Struct("<8sIIIIqq5II")
BLOCK_HEADER = struct.Struct("<IHBBIHHII")
PREFIX = struct.Struct("<qqii")

(STRINGS, FACTS, DEVICES, LANES, THREADS, COMMUNICATORS, GEMM_SIGNATURES, COLLECTIVE_SIGNATURES,
 OPAQUE_SIGNATURES, CALLS, TIMED_CALLS, COLLECTIVES, TIMED_COLLECTIVES, WIDE_CALLS, COUNTS, COUNTERS,
 HOST_CLOCK, CLOCK_SAMPLES, END, MATRIX_SIGNATURES, ATTENTION_SIGNATURES, CONVOLUTION_SIGNATURES,
 RNN_SIGNATURES, COMPOUND_SIGNATURES, COMPOUND_MEMBERS, SEQUENCE_LENGTHS) = range(1, 27)
FOREIGN_KERNELS, FOREIGN_RUNS, FOREIGN_EACH, KERNEL_LAUNCHES, TIMING_CHANGES = range(40, 45)

WINDOWS, WINDOW_SEQUENCES = 30, 31
CAPTURED, GROUPED = 1, 2
DTYPE_BYTES = {1: 8, 2: 4, 3: 2, 4: 2, 5: 1, 6: 1, 11: 8, 12: 4, 13: 2, 14: 1, 16: 8, 17: 4, 18: 2,
               19: 1, 21: 16, 22: 8, 23: 4, 24: 4}
COMPLEX = {21, 22, 23, 24, 25}
COLLECTIVE_KINDS = {1: "AllReduce", 2: "AllGather", 3: "ReduceScatter", 4: "Broadcast", 5: "Reduce",
                    6: "Send", 7: "Recv", 8: "AlltoAll", 9: "Gather", 10: "Scatter"}

Device = namedtuple("Device", "ordinal name bus_id uuid major minor sms clock_khz memory_bytes")
Lane = namedtuple("Lane", "id device stream thread")
Communicator = namedtuple("Communicator", "index rank id parent_id size device split_color "
                                          "split_index name creation event")
Gemm = namedtuple("Gemm", "id entry m n k batch a b c d accumulate math op_a op_b beta flags "
                          "provenance compute_code scale_a scale_b scale_d bias aux epilogue")
Matrix = namedtuple("Matrix", "id entry m n k batch dtype result accumulate math routine side beta "
                              "flags provenance compute_code")
Attention = namedtuple("Attention", "id entry batch heads_q heads_kv seq_q seq_k head_dim_qk head_dim_v "
                                    "window_left window_right dtype mask direction flags provenance "
                                    "lengths")
Convolution = namedtuple("Convolution", "id entry batch c_in c_out groups x w y dtype direction flags "
                                        "provenance")
Rnn = namedtuple("Rnn", "id entry steps input_size hidden_size projection_size layers directions dtype "
                        "cell direction flags provenance")
Compound = namedtuple("Compound", "id entry member_count label members")
Collective = namedtuple("Collective", "id entry count communicator peer kind dtype reduction "
                                      "provenance")
Call = namedtuple("Call", "signature lane flags host_begin host_end gpu_begin gpu_end sequence "
                          "is_collective")
Counted = namedtuple("Counted", "signature device calls host_begin host_end reason flags")
Window = namedtuple("Window", "number event reason monotonic calls length sequences")
Foreign = namedtuple("Foreign", "name device kernels busy host_begin host_end family")
ForeignRun = namedtuple("ForeignRun", "device stream begin end busy kernels family")
ForeignEach = namedtuple("ForeignEach", "name device begin end stream family")
ClockSample = namedtuple("ClockSample", "device gpu host_min host_max")
End = namedtuple("End", "monotonic calls reason")


def _crc_table():
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_TABLE = _crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


class Trace:
    """All of one file. `damage` says why the read ended before the end of the file, if it did."""

    def __init__(self, path, check_crc=True):
        self.path = str(path)
        self.facts, self.strings, self.devices, self.lanes, self.threads = {}, {0: ""}, {}, {}, {}
        self.communicators, self.communicator_ends = {}, []
        self.gemms, self.collectives, self.opaque = {}, {}, {}
        self.matrices, self.compounds = {}, {}
        self.conditions = {}  # (compound, signature): 1 at most once, 2 any number of times
        self.attentions, self.convolutions, self.rnns, self.lengths = {}, {}, {}, {}
        self.calls, self.counted, self.counters = [], [], {}
        self.foreign, self.foreign_runs, self.foreign_each = [], [], []
        self.launches_by_string, self.timing_changes = {}, []
        self.host_clock, self.clock_samples = [], []
        self.windows = []
        self.end = None
        self.damage = ""
        self.unknown_blocks = 0
        with open(path, "rb") as file:
            data = file.read()
        self.file_bytes = len(data)
        self._read(data, check_crc)

    def _read(self, data, check_crc):
        fields = FILE_HEADER.unpack_from(data)
        (magic, self.version, mark, header_bytes, self.pid, self.start_monotonic,
         self.start_realtime) = fields[:7]
        assert magic == MAGIC, f"{self.path}: not a trace"
        assert mark == 0x01020304 and self.version == 1
        assert fields[-1] == crc32c(data[:FILE_HEADER.size - 4]), "checksum of the file header"
        at = header_bytes
        while at < len(data):
            if at + BLOCK_HEADER.size > len(data):
                self.damage = "ends in a block header"
                return
            (sync, kind, _, flags, payload_bytes, record_bytes, prefix_bytes, _,
             crc) = BLOCK_HEADER.unpack_from(data, at)
            if sync != SYNC:
                self.damage = "no block where one should be"
                return
            body = at + BLOCK_HEADER.size
            if body + payload_bytes > len(data):
                self.damage = "ends in the middle of a block"
                return
            payload = data[body:body + payload_bytes]
            if check_crc:
                header = bytearray(data[at:body])
                header[-4:] = bytes(4)
                if crc32c(bytes(header) + payload) != crc:
                    self.damage = "checksum of a block"
                    return
            self._block(kind, record_bytes, payload[:prefix_bytes], payload[prefix_bytes:])
            at = body + payload_bytes

    def _variable(self, kind, payload):
        at = 0
        while at + 8 <= len(payload):
            first, second = struct.unpack_from("<II", payload, at)
            at += 8
            if kind == STRINGS:
                self.strings[first] = payload[at:at + second].decode()
                length = second
            else:
                key = payload[at:at + first].decode()
                self.facts[key] = payload[at + first:at + first + second].decode()
                length = first + second
            at += length + 3 & ~3

    def _block(self, kind, record_bytes, prefix, payload):
        if kind in (STRINGS, FACTS):
            self._variable(kind, payload)
            return
        assert record_bytes > 0 and len(payload) % record_bytes == 0

        def records(layout):
            unpack = struct.Struct(layout)
            assert unpack.size <= record_bytes
            for at in range(0, len(payload), record_bytes):
                yield unpack.unpack_from(payload, at)

        text = self.strings.get
        if kind == DEVICES:
            for r in records("<iIIIiiiiQ"):
                self.devices[r[0]] = Device(r[0], text(r[1]), text(r[2]), text(r[3]), *r[4:])
        elif kind == LANES:
            for r in records("<IiQII"):
                self.lanes[r[0]] = Lane(*r[:4])
        elif kind == THREADS:
            for thread, name in records("<II"):
                self.threads[thread] = text(name)
        elif kind == COMMUNICATORS:
            for r in records("<IiQQiiiIIIB7x"):
                communicator = Communicator(*r[:8], text(r[8]), *r[9:])
                if communicator.event == 0:
                    self.communicators[communicator.index] = communicator
                else:
                    self.communicator_ends.append(communicator)
        elif kind == GEMM_SIGNATURES:
            for r in records("<IIQQQQ11BxI5BxH"):
                self.gemms[r[0]] = Gemm(r[0], text(r[1]), *r[2:])
        elif kind == COLLECTIVE_SIGNATURES:
            for r in records("<IIQIiBBBB4x"):
                self.collectives[r[0]] = Collective(r[0], text(r[1]), *r[2:])
        elif kind == MATRIX_SIGNATURES:
            for r in records("<IIQQQQ9B3xI"):
                self.matrices[r[0]] = Matrix(r[0], text(r[1]), *r[2:])
        elif kind == SEQUENCE_LENGTHS:
            for number, *run in records("<IIII"):
                self.lengths.setdefault(number, []).append(tuple(run))
        elif kind == ATTENTION_SIGNATURES:
            for r in records("<IIIIIIIIIii5B3xI"):
                self.attentions[r[0]] = Attention(r[0], text(r[1]), *r[2:-1], self.lengths.get(r[-1], []))
        elif kind == CONVOLUTION_SIGNATURES:
            for r in records("<15I4B"):
                self.convolutions[r[0]] = Convolution(r[0], text(r[1]), *r[2:6], r[6:9], r[9:12], r[12:15],
                                                      *r[15:])
        elif kind == RNN_SIGNATURES:
            for r in records("<IIQIIIII5B7x"):
                self.rnns[r[0]] = Rnn(r[0], text(r[1]), *r[2:])
        elif kind == COMPOUND_SIGNATURES:
            for r in records("<IIIIQQ"):
                self.compounds[r[0]] = Compound(r[0], text(r[1]), r[2], text(r[3]), [])
        elif kind == COMPOUND_MEMBERS:
            for compound, signature, count, condition in records("<IIQI4x"):
                self.compounds[compound].members.append((signature, count))
                if condition != 0:
                    self.conditions[compound, signature] = condition
        elif kind == OPAQUE_SIGNATURES:
            for r in records("<IIII"):
                self.opaque[r[0]] = (text(r[1]), text(r[2]))
        elif kind in (CALLS, TIMED_CALLS, COLLECTIVES, TIMED_COLLECTIVES):
            self._calls(kind, records, PREFIX.unpack(prefix[:PREFIX.size]))
        elif kind == WIDE_CALLS:
            for r in records("<IIqqqqIB3x"):
                timed = r[7] != 0
                self.calls.append(Call(r[0], r[1] & 0xFFFFFF, r[1] >> 24, r[2], r[3],
                                       r[4] if timed else None, r[5] if timed else None, r[6],
                                       r[0] in self.collectives))
        elif kind == COUNTS:
            for r in records("<IiQqqBB6x"):
                self.counted.append(Counted(*r))
        elif kind == COUNTERS:
            for name, _, value in records("<IIQ"):
                self.counters[text(name)] = value
        elif kind == HOST_CLOCK:
            self.host_clock.extend(records("<qqq"))
        elif kind == WINDOWS:
            for number, event, reason, at, calls, length in records("<IBB2xqQq"):
                self.windows.append(Window(number, event, reason, at, calls, length, {}))
        elif kind == WINDOW_SEQUENCES:
            for window, communicator, sequence in records("<III4x"):
                assert self.windows[-1].number == window and communicator in self.communicators
                self.windows[-1].sequences[communicator] = sequence
        elif kind == CLOCK_SAMPLES:
            for r in records("<iIqqq"):
                self.clock_samples.append(ClockSample(r[0], *r[2:]))
        elif kind == FOREIGN_KERNELS:
            for r in records("<IiQqqqB7x"):
                self.foreign.append(Foreign(text(r[0]), *r[1:]))
        elif kind == FOREIGN_RUNS:
            for r in records("<iIqqqIB3x"):
                self.foreign_runs.append(ForeignRun(*r))
        elif kind == FOREIGN_EACH:
            for r in records("<IiqqIB3x"):
                self.foreign_each.append(ForeignEach(text(r[0]), *r[1:]))
        elif kind == KERNEL_LAUNCHES:
            for name, _, launches in records("<IIQ"):
                self.launches_by_string[name] = (text(name), launches)
        elif kind == TIMING_CHANGES:
            for at, backend, reason in records("<qII"):
                self.timing_changes.append((at, text(backend), text(reason)))
        elif kind == END:
            self.end = End(*list(records("<qQB7x"))[0])
        else:
            self.unknown_blocks += 1

    def _calls(self, kind, records, prefix):
        host_base, gpu_base, _, _ = prefix
        layout = {CALLS: "<IIII", TIMED_CALLS: "<IIIIII", COLLECTIVES: "<IIIII",
                  TIMED_COLLECTIVES: "<IIIIIII"}[kind]
        timed = kind in (TIMED_CALLS, TIMED_COLLECTIVES)
        has_sequence = kind in (COLLECTIVES, TIMED_COLLECTIVES)
        for r in records(layout):
            begin = host_base + r[2]
            gpu_begin = gpu_base + r[4] if timed else None
            gpu_end = gpu_begin + r[5] if timed else None
            self.calls.append(Call(r[0], r[1] & 0xFFFFFF, r[1] >> 24, begin, begin + r[3],
                                   gpu_begin, gpu_end, r[-1] if has_sequence else 0,
                                   r[0] in self.collectives))

    # What tests ask.

    @property
    def rank(self):
        return int(self.facts["rank"]) if "rank" in self.facts else None

    def total_calls(self):
        return len(self.calls) + sum(c.calls for c in self.counted)

    def times_executed(self):
        """{signature id: calls that ran}, dropped and uncounted ones included, captured ones not."""
        times = {}
        for call in self.calls:
            if not call.flags & CAPTURED:
                times[call.signature] = times.get(call.signature, 0) + 1
        for counted in self.counted:
            if not counted.flags & CAPTURED:
                times[counted.signature] = times.get(counted.signature, 0) + counted.calls
        return times

    def kernel_launches(self):
        """Launches past the intercepted libraries, by kernel name."""
        counts = {}
        for name, launches in self.launches_by_string.values():
            counts[name] = counts.get(name, 0) + launches
        return counts

    def launches(self):
        """Calls that are launches of CUDA graphs."""
        return [call for call in self.calls if call.signature in self.compounds
                and self.compounds[call.signature].entry.startswith("cuGraphLaunch")]

    def gemm_flop_of(self, signature):
        """Of one call of a product, or of a compound of products."""
        if signature in self.gemms:
            return gemm_flop(self.gemms[signature])
        return sum(self.gemm_flop_of(member) * count
                   for member, count in self.compounds[signature].members)

    def launched_gemm_flop(self):
        """Products that launches of CUDA graphs ran, counted ones included."""
        return sum(self.gemm_flop_of(signature) * times
                   for signature, times in self.times_executed().items()
                   if signature in self.compounds
                   and self.compounds[signature].entry.startswith("cuGraphLaunch"))

    def gemm_flop(self):
        return sum(gemm_flop(self.gemms[signature]) * times
                   for signature, times in self.times_executed().items() if signature in self.gemms)


def gemm_flop(gemm):
    per_product = 2
    if gemm.a in COMPLEX:
        per_product = 6 if gemm.flags & 1 else 8
    return per_product * gemm.m * gemm.n * gemm.k * gemm.batch

"""Pairs each call of a trace with the operation that the simulator logged for it.

Calls and operations of one stream come in the same order on both sides; a pair whose shapes differ is
an error, so nothing can be matched by luck. The simulator also logs every timing event: the last one
before an operation and the first one after it are the two that bracketed the call.
"""

from collections import defaultdict, namedtuple

import mfut
import truth

# `is_queued`: the closing event was in its stream before the operation had ended, so nothing but the
# operation lies between the two events if the operation itself waited for earlier work.
Pair = namedtuple("Pair", "call op opened_ns closed_ns is_queued")


def _by_stream(trace, log):
    calls, ops = defaultdict(list), defaultdict(list)
    for call in trace.calls:
        lane = trace.lanes[call.lane]
        if not call.flags & mfut.CAPTURED:
            calls[lane.device, lane.stream].append(call)
    for op in log:
        if op.pid == trace.pid and op.kind in ("gemm", "collective", "event") and not op.graph:
            ops[op.device, op.stream].append(op)
    for stream in calls.values():
        stream.sort(key=lambda call: call.host_begin)
    for stream in ops.values():
        stream.sort(key=lambda op: op.seq)
    return calls, ops


def _same(trace, call, op):
    dims = truth.numbers(op)
    if call.is_collective:
        signature = trace.collectives[call.signature]
        return signature.entry == op.function and signature.count == dims["count"]
    signature = trace.gemms[call.signature]
    return (signature.m, signature.n, signature.k, signature.batch) == (
        dims["m"], dims["n"], dims["k"], dims.get("batch", 1))


def pairs(trace, log):
    """All pairs of a process; raises AssertionError if a call or an operation is left over."""
    calls, ops = _by_stream(trace, log)
    found = []
    for stream, its_calls in calls.items():
        its_ops = ops.pop(stream, [])
        work = [i for i, op in enumerate(its_ops) if op.kind != "event"]
        assert len(work) == len(its_calls), (
            f"stream {stream}: {len(its_calls)} calls, {len(work)} operations")
        for call, at in zip(its_calls, work):
            op = its_ops[at]
            assert _same(trace, call, op), f"{call} is not {op}"
            before = after = at
            while before >= 0 and its_ops[before].kind != "event":
                before -= 1
            while after < len(its_ops) and its_ops[after].kind != "event":
                after += 1
            opened = its_ops[before] if before >= 0 else None
            closed = its_ops[after] if after < len(its_ops) else None
            found.append(Pair(call, op, opened and opened.end_ns, closed and closed.end_ns,
                              bool(closed and closed.queued)))
    left = [op for stream in ops.values() for op in stream if op.kind != "event"]
    assert not left, f"{len(left)} operations without a call, first {left[0]}"
    return found


def epochs(pairs_of_trace, trace):
    """{device: host nanoseconds of the device's epoch}: the median over all begins of its calls."""
    offsets = defaultdict(list)
    for pair in pairs_of_trace:
        if pair.call.gpu_begin is not None:
            offsets[trace.lanes[pair.call.lane].device].append(
                pair.opened_ns - pair.call.gpu_begin)
    return {device: sorted(values)[len(values) // 2] for device, values in offsets.items()}

#!/usr/bin/env python3
"""Plans that NVIDIA's cuDNN wrote, given to the simulated one: read, written again and executed.

usage: cudnn_plans_test.py FOLDER_OF_SIMULATED FOLDER_OF_REFERENCE_GRAPHS. Each json_*.json there is the operation
graph of a plan that cuDNN 9.19 made of a graph of cudnn-frontend. The FLOPs of each are known in closed form.
Status 77: no such folder.
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile

PLAN, VARIANT_PACK = 5, 16
PLAN_JSON, PACK_IDS, PACK_POINTERS = 405, 1000, 1001
INT64, VOID_PTR, CHAR = 3, 6, 24
MINUS_INFINITY = float("-inf")
LENGTHS_Q, LENGTHS_K = (1024, 1000, 7, 0), (900, 1024, 12, 0)
PAGED_LENGTHS = (1, 1000, 17, 1024)


def attention(pairs, width):
    return 2 * 16 * pairs * width


def causal(queries, keys):
    return sum(min(query + 1, keys) for query in range(queries))


CAUSAL = 4 * causal(1024, 1024)
VARLEN = sum(causal(q, k) for q, k in zip(LENGTHS_Q, LENGTHS_K))
EXPECTED = {
    "conv_fprop": 2 * 16 * 256 * 64 * 64 * 128 * 9, "conv_dgrad": 2 * 16 * 256 * 64 * 64 * 128 * 9,
    "sdpa_full": attention(4 * 1024 * 1024, 256), "sdpa_causal": attention(CAUSAL, 256),
    "sdpa_causal_swa256": attention(4 * (256 * 257 // 2 + 768 * 256), 256),
    "sdpa_causal_varlen": attention(VARLEN, 256), "sdpa_ragged": attention(VARLEN, 256),
    "sdpa_paged_decode": attention(sum(PAGED_LENGTHS), 256),
    "sdpa_bwd_causal": attention(CAUSAL, 5 * 128),
}


class Cudnn:
    def __init__(self, folder):
        self.dnn = ctypes.CDLL(os.path.join(folder, "libcudnn.so.9"))
        self.cuda = ctypes.CDLL(os.path.join(folder, "libcudart.so.13"))
        self.dnn.cudnnGetErrorString.restype = ctypes.c_char_p
        self.handle = ctypes.c_void_p()
        self.check(self.dnn.cudnnCreate(ctypes.byref(self.handle)))

    def check(self, status):
        assert status == 0, self.dnn.cudnnGetErrorString(status)

    def descriptor(self, kind):
        made = ctypes.c_void_p()
        self.check(self.dnn.cudnnBackendCreateDescriptor(kind, ctypes.byref(made)))
        return made

    def set(self, descriptor, name, kind, values):
        self.check(self.dnn.cudnnBackendSetAttribute(descriptor, name, kind, ctypes.c_int64(len(values)), values))

    def plan(self, text):
        plan = self.descriptor(PLAN)
        self.set(plan, PLAN_JSON, CHAR, text.encode())
        self.check(self.dnn.cudnnBackendFinalize(plan))
        return plan

    def text(self, plan):
        count = ctypes.c_int64()
        self.check(self.dnn.cudnnBackendGetAttribute(plan, PLAN_JSON, CHAR, ctypes.c_int64(0), ctypes.byref(count),
                                                     None))
        room = ctypes.create_string_buffer(count.value)
        self.check(self.dnn.cudnnBackendGetAttribute(plan, PLAN_JSON, CHAR, count, ctypes.byref(count), room))
        return room.raw.decode()

    def memory(self, values=()):
        address = ctypes.c_void_p()
        self.check(self.cuda.cudaMalloc(ctypes.byref(address), ctypes.c_size_t(1 << 16)))
        if values:
            data = (ctypes.c_int32 * len(values))(*values)
            self.check(self.cuda.cudaMemcpy(address, data, ctypes.c_size_t(4 * len(values)), 1))
        return address.value

    def execute(self, plan, addresses):
        pack = self.descriptor(VARIANT_PACK)
        self.set(pack, PACK_IDS, INT64, (ctypes.c_int64 * len(addresses))(*addresses))
        self.set(pack, PACK_POINTERS, VOID_PTR, (ctypes.c_void_p * len(addresses))(*addresses.values()))
        self.check(self.dnn.cudnnBackendFinalize(pack))
        self.check(self.dnn.cudnnBackendExecute(self.handle, plan, pack))
        self.check(self.cuda.cudaDeviceSynchronize())


def scalars_of(graph):
    """What a job passes by value: masked scores are minus infinity, the window is 256 keys wide."""
    values = {tensor["name"]: 0.5 for tensor in graph["tensors"] if tensor["isByValue"]}
    for node in graph["nodes"]:
        if node.get("pointwiseMode") == "CUDNN_POINTWISE_BINARY_SELECT":
            values[node["B"]] = MINUS_INFINITY
        elif node.get("pointwiseMode") == "CUDNN_POINTWISE_ADD" and node["B"] in values:
            values[node["B"]] = 256.0
    return {uid: ctypes.c_float(value) for uid, value in values.items()}


def lengths_of(graph):
    for node in graph["nodes"]:
        if "seqLenQ" in node:
            return {node["seqLenQ"]: (1, 1, 1, 1), node["seqLenKV"]: PAGED_LENGTHS}
        if "mOverride" in node:
            return {node["mOverride"]: LENGTHS_Q, node["nOverride"]: LENGTHS_K}
    return {}


def canonical(graph):
    return (sorted(json.dumps(node, sort_keys=True) for node in graph["nodes"]),
            {tensor["name"]: tensor for tensor in graph["tensors"]}, graph["finalizeMode"])


def run(folder, references):
    cudnn = Cudnn(folder)
    for name in EXPECTED:
        with open(os.path.join(references, f"json_{name}.json"), encoding="utf-8") as file:
            graph = json.load(file)
        plan = cudnn.plan(json.dumps({"cudnnVersion": 91900, "schemaVersion": 4, "operationGraph": graph,
                                      "engine": {"engineId": 7}}))
        written = json.loads(cudnn.text(plan))
        assert written["engine"]["engineId"] == 7
        assert canonical(written["operationGraph"]) == canonical(graph), name
        lengths, scalars = lengths_of(graph), scalars_of(graph)
        tensors = graph["tensors"] + [offsets for tensor in graph["tensors"] for offsets in tensor.get("isRagged", [])]
        addresses = {}
        for tensor in tensors:
            uid = tensor["name"]
            if uid in scalars:
                addresses[int(uid)] = ctypes.addressof(scalars[uid])
            elif not tensor["isVirtual"]:
                addresses[int(uid)] = cudnn.memory(lengths.get(uid, ()))
        cudnn.execute(plan, addresses)


def main():
    folder, references = sys.argv[1:3]
    if len(sys.argv) > 3:
        run(folder, references)
        return 0
    if not os.path.isdir(references):
        print(f"no reference graphs: {references}")
        return 77
    with tempfile.TemporaryDirectory() as log:
        environment = dict(os.environ, LD_LIBRARY_PATH=folder, SIMGPU_LOG=log)
        subprocess.run([sys.executable, __file__, folder, references, "inside"], env=environment, check=True)
        name, = [entry for entry in os.listdir(log) if entry.startswith("truth.")]
        with open(os.path.join(log, name), encoding="utf-8") as file:
            lines = [line.split("\t") for line in file if not line.startswith("#")]
    counted = [int(line[10]) for line in lines if line[7] in ("conv", "attention")]
    for (name, expected), found in zip(EXPECTED.items(), counted, strict=True):
        print(f"{name}: {found} FLOPs, in closed form {expected}")
    return 0 if counted == list(EXPECTED.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

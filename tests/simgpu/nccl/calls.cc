// libnccl.so.2: the transfers. Checks arguments, counts bus bytes by nccl-tests' factors
// (PERFORMANCE.md of nccl-tests), and hands each call to the thread's group.
#include "nccl/exports.h"
#include "nccl/group.h"

namespace simgpu {
namespace {

// bytes * numerator / size, without overflow.
uint64_t Share(uint64_t bytes, int numerator, int size) {
  const auto top = static_cast<uint64_t>(numerator);
  const auto bottom = static_cast<uint64_t>(size);
  return bytes / bottom * top + bytes % bottom * top / bottom;
}

struct Arguments {
  const char* function;
  Transfer transfer = Transfer::kCollective;
  uint64_t count = 0;
  ncclDataType_t type = ncclInt8;
  int op = -1;
  int peer = -1;
  bool needs_peer = false;
};

// `bus` is the bytes a rank moves, from the bytes of `count` elements and the number of ranks.
template <typename Bus>
ncclResult_t Add(const Arguments& a, ncclComm_t comm, cudaStream_t stream, Bus bus) {
  const CommunicatorRef communicator = Find(comm);
  if (communicator == nullptr) return Fail(ncclInvalidArgument, "not a communicator");
  if (BytesOf(a.type) == 0) return Fail(ncclInvalidArgument, "no such data type");
  if (a.op > static_cast<int>(ncclNumOps)) return Fail(ncclInvalidArgument, "no such reduction");
  if (a.needs_peer && (a.peer < 0 || a.peer >= communicator->size)) {
    return Fail(ncclInvalidArgument, "no such rank");
  }
  if (communicator->aborted || communicator->revoked || communicator->async_error != ncclSuccess) {
    return Fail(ncclInvalidUsage, "the communicator is in an error state");
  }
  if (FindApi()->ShouldFail(a.function)) return Fail(ncclInternalError, "told to fail");
  Element element;
  element.transfer = a.transfer;
  element.function = CallerScope::Outermost(a.function);
  element.stream = stream;
  element.count = a.count;
  element.type = a.type;
  element.op = a.op;
  element.peer = a.peer;
  element.bus_bytes = bus(a.count * BytesOf(a.type), communicator->size);
  return AddCall(communicator, element);
}

uint64_t AllOfIt(uint64_t bytes, int) { return bytes; }
// `bytes` is one rank's part of a buffer of `size` parts, all but one of which travel.
uint64_t OthersParts(uint64_t bytes, int size) { return bytes * static_cast<uint64_t>(size - 1); }

}  // namespace
}  // namespace simgpu

using simgpu::Add;
using simgpu::Transfer;

SIM_NCCL(ncclResult_t, ncclAllReduce,
         (const void*, void*, size_t count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
          cudaStream_t stream)) {
  return Add({"ncclAllReduce", Transfer::kCollective, count, type, op}, comm, stream,
             [](uint64_t bytes, int size) { return simgpu::Share(bytes, 2 * (size - 1), size); });
}

SIM_NCCL(ncclResult_t, ncclAllGather,
         (const void*, void*, size_t count, ncclDataType_t type, ncclComm_t comm,
          cudaStream_t stream)) {
  return Add({"ncclAllGather", Transfer::kCollective, count, type}, comm, stream,
             simgpu::OthersParts);
}

SIM_NCCL(ncclResult_t, ncclReduceScatter,
         (const void*, void*, size_t count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
          cudaStream_t stream)) {
  return Add({"ncclReduceScatter", Transfer::kCollective, count, type, op}, comm, stream,
             simgpu::OthersParts);
}

SIM_NCCL(ncclResult_t, ncclBroadcast,
         (const void*, void*, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
          cudaStream_t stream)) {
  return Add({"ncclBroadcast", Transfer::kCollective, count, type, -1, root, true}, comm, stream,
             simgpu::AllOfIt);
}

// Calls the public name, as the real library does: a tool that sees both must not count both.
SIM_NCCL(ncclResult_t, ncclBcast,
         (void* buffer, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
          cudaStream_t stream)) {
  const simgpu::CallerScope caller("ncclBcast");
  return ncclBroadcast(buffer, buffer, count, type, root, comm, stream);
}

SIM_NCCL(ncclResult_t, ncclReduce,
         (const void*, void*, size_t count, ncclDataType_t type, ncclRedOp_t op, int root,
          ncclComm_t comm, cudaStream_t stream)) {
  return Add({"ncclReduce", Transfer::kCollective, count, type, op, root, true}, comm, stream,
             simgpu::AllOfIt);
}

SIM_NCCL(ncclResult_t, ncclAlltoAll,
         (const void*, void*, size_t count, ncclDataType_t type, ncclComm_t comm,
          cudaStream_t stream)) {
  return Add({"ncclAlltoAll", Transfer::kCollective, count, type}, comm, stream,
             simgpu::OthersParts);
}

SIM_NCCL(ncclResult_t, ncclGather,
         (const void*, void*, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
          cudaStream_t stream)) {
  return Add({"ncclGather", Transfer::kCollective, count, type, -1, root, true}, comm, stream,
             simgpu::OthersParts);
}

SIM_NCCL(ncclResult_t, ncclScatter,
         (const void*, void*, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
          cudaStream_t stream)) {
  return Add({"ncclScatter", Transfer::kCollective, count, type, -1, root, true}, comm, stream,
             simgpu::OthersParts);
}

SIM_NCCL(ncclResult_t, ncclSend,
         (const void*, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
          cudaStream_t stream)) {
  return Add({"ncclSend", Transfer::kSend, count, type, -1, peer, true}, comm, stream,
             simgpu::AllOfIt);
}

SIM_NCCL(ncclResult_t, ncclRecv,
         (void*, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
          cudaStream_t stream)) {
  return Add({"ncclRecv", Transfer::kReceive, count, type, -1, peer, true}, comm, stream,
             simgpu::AllOfIt);
}

SIM_NCCL(ncclResult_t, ncclGroupStart, ()) { return simgpu::BeginGroup(); }

SIM_NCCL(ncclResult_t, ncclGroupEnd, ()) { return simgpu::EndGroup(); }

// Ends the group without running it; the estimate is the latency of one collective.
SIM_NCCL(ncclResult_t, ncclGroupSimulateEnd, (ncclSimInfo_t * info)) {
  if (info != nullptr && info->magic != 0x74685283) {
    return simgpu::Fail(ncclInvalidArgument, "not made by NCCL_SIM_INFO_INITIALIZER");
  }
  const ncclResult_t status = simgpu::DropGroup();
  if (status == ncclSuccess && info != nullptr) {
    const double latency_ns = simgpu::FindApi()->settings().device.collective_latency_ns;
    info->estimatedTime = static_cast<float>(latency_ns / 1e3);
  }
  return status;
}

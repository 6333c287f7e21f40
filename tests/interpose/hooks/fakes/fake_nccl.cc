// A stand-in for libnccl.so.2, for tests of the hooks: one process, no GPU. It keeps the habits of
// NCCL that observers must cope with: handles written at the call for communicators, at the end of
// the group for splits; a warning when an unfinished communicator is asked something; ncclBcast
// calling ncclBroadcast through the PLT; handles reused after destroy.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <nccl.h>

struct ncclComm {
  int rank, size, device;
  bool is_ready, is_blocking;
};

namespace {
int g_depth = 0;
ncclComm g_pool[64];
bool g_used[64];

struct Pending {
  ncclComm_t child;
  ncclComm_t* variable;
};
Pending g_pending[64];
int g_pending_count = 0;

ncclComm_t Make(int rank, int size, bool is_blocking) {
  for (int i = 0; i < 64; ++i) {
    if (g_used[i]) continue;
    g_used[i] = true;
    g_pool[i] = {rank, size, rank, is_blocking && g_depth == 0, is_blocking};
    return &g_pool[i];
  }
  return nullptr;
}

ncclResult_t Ask(ncclComm_t comm, int value, int* result) {
  if (!comm->is_ready) {
    std::printf("fake WARN Attempt to use communicator before it is ready\n");
    return ncclInvalidArgument;
  }
  *result = value;
  return ncclSuccess;
}

ncclResult_t Collective(const char* name, size_t count, ncclComm_t comm) {
  std::printf("fake %s count=%zu\n", name, count);
  if (count == 666) return ncclInvalidArgument;
  return comm->is_blocking || g_depth > 0 ? ncclSuccess : ncclInProgress;
}
ncclResult_t Init(ncclComm_t* comm, int size, const ncclUniqueId& id, int rank,
                  const ncclConfig_t* config) {
  const bool is_blocking = config == nullptr || config->blocking != 0;
  std::printf("fake init rank=%d size=%d id=%c%c\n", rank, size, id.internal[0], id.internal[127]);
  *comm = Make(rank, size, is_blocking);
  if (g_depth > 0) g_pending[g_pending_count++] = {*comm, comm};
  return is_blocking || g_depth > 0 ? ncclSuccess : ncclInProgress;
}

ncclResult_t Free(ncclComm_t comm) {
  g_used[comm - g_pool] = false;
  return ncclSuccess;
}
}  // namespace

extern "C" {

// What a non-blocking communicator becomes some time after its creation.
void FakeMakeReady(ncclComm_t comm) { comm->is_ready = true; }
void FakeFinishSplits() {
  for (int i = 0; i < g_pending_count; ++i) {
    g_pending[i].child->is_ready = true;
    *g_pending[i].variable = g_pending[i].child;
  }
  g_pending_count = 0;
}

ncclResult_t ncclCommUserRank(const ncclComm_t comm, int* rank) {
  return Ask(comm, comm->rank, rank);
}
ncclResult_t ncclCommCount(const ncclComm_t comm, int* count) {
  return Ask(comm, comm->size, count);
}
ncclResult_t ncclCommCuDevice(const ncclComm_t comm, int* device) {
  return Ask(comm, comm->device, device);
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  return Init(comm, size, id, rank, config);
}

ncclResult_t ncclCommInitRank(ncclComm_t* comm, int size, ncclUniqueId id, int rank) {
  return Init(comm, size, id, rank, nullptr);
}

ncclResult_t ncclCommInitRankScalable(ncclComm_t* comm, int size, int rank, int, ncclUniqueId* ids,
                                      ncclConfig_t* config) {
  return Init(comm, size, ids[0], rank, config);
}

ncclResult_t ncclCommInitAll(ncclComm_t* comms, int count, const int* devices) {
  for (int i = 0; i < count; ++i) {
    comms[i] = Make(i, count, true);
    if (devices != nullptr) comms[i]->device = devices[i];
  }
  return ncclSuccess;
}

ncclResult_t ncclCommSplit(ncclComm_t parent, int color, int key, ncclComm_t* child,
                           ncclConfig_t*) {
  *child = nullptr;
  if (color == NCCL_SPLIT_NOCOLOR) return ncclSuccess;
  ncclComm_t made = Make(key, 2, parent->is_blocking);
  if (g_depth > 0 || !parent->is_blocking) {
    g_pending[g_pending_count++] = {made, child};
    return g_depth > 0 ? ncclSuccess : ncclInProgress;
  }
  *child = made;
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t) { return ncclSuccess; }
ncclResult_t ncclCommDestroy(ncclComm_t comm) { return Free(comm); }
ncclResult_t ncclCommAbort(ncclComm_t comm) { return Free(comm); }

ncclResult_t ncclGroupStart() {
  ++g_depth;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  std::printf("fake group end depth=%d\n", g_depth);
  if (--g_depth > 0) return ncclSuccess;
  FakeFinishSplits();
  return std::getenv("FAKE_GROUP_FAILS") != nullptr ? ncclSystemError : ncclSuccess;
}

ncclResult_t ncclGroupSimulateEnd(ncclSimInfo_t*) {
  std::printf("fake simulated end depth=%d\n", g_depth);
  --g_depth;
  return ncclSuccess;
}
ncclResult_t ncclCommShrink(ncclComm_t parent, int*, int excluded, ncclComm_t* child, ncclConfig_t*,
                            int) {
  *child = Make(parent->rank, parent->size - excluded, true);
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void*, void*, size_t count, ncclDataType_t, ncclRedOp_t,
                           ncclComm_t comm, cudaStream_t) {
  return Collective("ncclAllReduce", count, comm);
}
ncclResult_t ncclReduce(const void*, void*, size_t count, ncclDataType_t, ncclRedOp_t, int,
                        ncclComm_t comm, cudaStream_t) {
  return Collective("ncclReduce", count, comm);
}
ncclResult_t ncclAllGather(const void*, void*, size_t count, ncclDataType_t, ncclComm_t comm,
                           cudaStream_t) {
  return Collective("ncclAllGather", count, comm);
}
ncclResult_t ncclBroadcast(const void*, void*, size_t count, ncclDataType_t, int, ncclComm_t comm,
                           cudaStream_t) {
  return Collective("ncclBroadcast", count, comm);
}
ncclResult_t ncclBcast(void* buffer, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                       cudaStream_t stream) {
  return ncclBroadcast(buffer, buffer, count, type, root, comm, stream);
}
ncclResult_t ncclSend(const void*, size_t count, ncclDataType_t, int, ncclComm_t comm,
                      cudaStream_t) {
  return Collective("ncclSend", count, comm);
}
ncclResult_t ncclRecv(void*, size_t count, ncclDataType_t, int, ncclComm_t comm, cudaStream_t) {
  return Collective("ncclRecv", count, comm);
}

}  // extern "C"

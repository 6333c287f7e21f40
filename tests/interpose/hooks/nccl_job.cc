// What jobs do with NCCL communicators and groups, one way a run: nccl_job CASE. Linked to the
// fake.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include <nccl.h>

extern "C" void FakeMakeReady(ncclComm_t comm);
extern "C" void FakeFinishSplits();

namespace {

cudaStream_t Stream(uintptr_t number) { return reinterpret_cast<cudaStream_t>(number); }

ncclUniqueId Id(char first, char last) {
  ncclUniqueId id = {};
  id.internal[0] = first;
  id.internal[127] = last;
  return id;
}

void Say(const char* what, int status) { std::printf("%s -> %d\n", what, status); }

ncclComm_t Init(char first, char last, int size, int rank) {
  ncclComm_t comm = nullptr;
  Say("init", ncclCommInitRank(&comm, size, Id(first, last), rank));
  return comm;
}

void AllReduce(ncclComm_t comm, size_t count, uintptr_t stream) {
  Say("allreduce",
      ncclAllReduce(nullptr, nullptr, count, ncclBfloat16, ncclSum, comm, Stream(stream)));
}

// The same id gives the same communicator on every rank, another id another one.
void Identity() {
  ncclComm_t first = Init('a', 'z', 2, 0);
  ncclComm_t second = Init('a', 'z', 2, 1);
  ncclComm_t other = Init('a', 'y', 2, 0);
  AllReduce(first, 10, 0x10);
  AllReduce(first, 11, 0x10);
  AllReduce(second, 12, 0x20);
  Say("bcast", ncclBcast(nullptr, 13, ncclFloat32, 1, other, Stream(0x10)));
  Say("reduce", ncclReduce(nullptr, nullptr, 14, ncclInt64, ncclMax, 1, other, Stream(0x10)));
  Say("allgather", ncclAllGather(nullptr, nullptr, 15, ncclFloat8e5m2, other, Stream(0x10)));
  AllReduce(other, 666, 0x10);
  Say("finalize", ncclCommFinalize(first));
  Say("destroy", ncclCommDestroy(first));
  Say("abort", ncclCommAbort(second));
  ncclComm_t reused = Init('b', 'b', 4, 3);
  std::printf("handle reused: %d\n", reused == first);
  AllReduce(reused, 16, 0x10);
}

void Groups() {
  ncclComm_t comm = Init('a', 'z', 2, 0);
  ncclGroupStart();
  AllReduce(comm, 20, 0x10);
  ncclGroupStart();
  Say("send", ncclSend(nullptr, 21, ncclInt8, 1, comm, Stream(0x20)));
  Say("recv", ncclRecv(nullptr, 22, ncclInt8, 1, comm, Stream(0x20)));
  Say("inner end", ncclGroupEnd());
  AllReduce(comm, 23, 0x10);
  Say("outer end", ncclGroupEnd());
  AllReduce(comm, 24, 0x10);
  ncclGroupStart();
  Say("empty end", ncclGroupEnd());
}

void BigGroup() {
  ncclComm_t comm = Init('a', 'z', 2, 0);
  ncclGroupStart();
  for (uintptr_t i = 0; i < 3000; ++i) {
    ncclSend(nullptr, 1, ncclInt8, 1, comm, Stream(0x100 + i % 70));
  }
  Say("end", ncclGroupEnd());
}

void Splits() {
  ncclComm_t parent = Init('p', 'p', 4, 2);
  ncclComm_t child = nullptr;
  Say("split", ncclCommSplit(parent, 1, 0, &child, nullptr));
  AllReduce(child, 30, 0x10);
  ncclComm_t none = parent;
  Say("no colour", ncclCommSplit(parent, NCCL_SPLIT_NOCOLOR, 0, &none, nullptr));
  ncclComm_t third = nullptr;
  ncclGroupStart();
  Say("split in group", ncclCommSplit(parent, 1, 1, &third, nullptr));
  Say("end", ncclGroupEnd());
  AllReduce(third, 31, 0x10);
}

void InitInGroup() {
  ncclComm_t comms[2] = {};
  ncclGroupStart();
  for (int i = 0; i < 2; ++i) ncclCommInitRank(&comms[i], 2, Id('g', 'g'), i);
  Say("end", ncclGroupEnd());
  AllReduce(comms[0], 40, 0x10);
  AllReduce(comms[1], 41, 0x20);
}

void InitAll() {
  ncclComm_t comms[2] = {};
  const int devices[2] = {3, 1};
  Say("init all", ncclCommInitAll(comms, 2, devices));
  AllReduce(comms[0], 50, 0x10);
}

void NonBlocking() {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  config.commName = "tensor_parallel";
  ncclComm_t comm = nullptr;
  Say("init", ncclCommInitRankConfig(&comm, 2, Id('n', 'n'), 1, &config));
  FakeMakeReady(comm);
  AllReduce(comm, 60, 0x10);
  ncclComm_t child = nullptr;
  Say("split", ncclCommSplit(comm, 5, 1, &child, &config));
  FakeFinishSplits();
  AllReduce(child, 61, 0x10);
}

// Estimates: an inner and an outermost one, then a group that runs.
void Simulated() {
  ncclComm_t comm = Init('a', 'z', 2, 0);
  ncclSimInfo_t estimate = NCCL_SIM_INFO_INITIALIZER;
  ncclGroupStart();
  AllReduce(comm, 71, 0x10);
  ncclGroupStart();
  AllReduce(comm, 72, 0x10);
  Say("inner", ncclGroupSimulateEnd(&estimate));
  Say("outer", ncclGroupSimulateEnd(&estimate));
  AllReduce(comm, 73, 0x10);
  ncclGroupStart();
  AllReduce(comm, 74, 0x10);
  Say("end", ncclGroupEnd());
}

// The same ranks leave, told in another order; then others.
void Shrinks() {
  int first[] = {3, 1}, again[] = {1, 3}, other[] = {2};
  for (int rank : {0, 2}) {
    ncclComm_t parent = Init('p', 'p', 4, rank);
    ncclComm_t child = nullptr;
    Say("shrink", ncclCommShrink(parent, rank == 0 ? first : again, 2, &child, nullptr, 0));
    AllReduce(child, 80, 0x10);
  }
  ncclComm_t parent = Init('p', 'p', 4, 1);
  ncclComm_t child = nullptr;
  Say("shrink", ncclCommShrink(parent, other, 1, &child, nullptr, 0));
}

// The struct of a program built against NCCL 2.14, which ends before the name.
void OldConfig() {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.size = offsetof(ncclConfig_t, netName);
  config.commName = reinterpret_cast<const char*>(0x1);
  ncclComm_t comm = nullptr;
  Say("init", ncclCommInitRankConfig(&comm, 2, Id('o', 'o'), 1, &config));
}

void Scalable() {
  ncclUniqueId ids[2] = {Id('s', 's'), Id('s', 't')};
  ncclComm_t comms[2] = {};
  Say("two ids", ncclCommInitRankScalable(&comms[0], 8, 7, 2, ids, nullptr));
  Say("one id", ncclCommInitRankScalable(&comms[1], 8, 7, 1, ids, nullptr));
  Say("destroy", ncclCommDestroy(comms[0]));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  struct {
    const char* name;
    void (*run)();
  } const cases[] = {
      {"identity", Identity},         {"groups", Groups},
      {"big_group", BigGroup},        {"splits", Splits},
      {"init_in_group", InitInGroup}, {"init_all", InitAll},
      {"non_blocking", NonBlocking},  {"old_config", OldConfig},
      {"scalable", Scalable},         {"simulated", Simulated},
      {"shrinks", Shrinks},
  };
  for (const auto& one : cases) {
    if (std::strcmp(one.name, argv[1]) != 0) continue;
    one.run();
    return 0;
  }
  return 2;
}

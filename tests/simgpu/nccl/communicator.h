// A communicator of this process, and one launch on it: what NCCL runs as one kernel.
#pragma once

#include <nccl.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/api.h"
#include "nccl/rendezvous.h"

namespace simgpu {

enum class Transfer : uint8_t { kCollective, kSend, kReceive };

// One call: a collective, a send or a receive.
struct Element {
  Transfer transfer = Transfer::kCollective;
  const char* function = "";
  cudaStream_t stream = nullptr;
  uint64_t count = 0;
  ncclDataType_t type = ncclInt8;
  int op = -1;    // reduction, -1: none
  int peer = -1;  // or root
  uint64_t bus_bytes = 0;
  uint64_t sequence = 0;  // on the communicator (collectives), or of the pair (messages); from 1
};

struct Communicator {
  static constexpr uint64_t kMagic = 0x53494d4e43434c31;
  uint64_t magic = kMagic;
  uint64_t key = 0;
  int rank = 0;
  int size = 0;
  int device = 0;
  std::string name;
  void* profiler = nullptr;  // the plugin's context
  std::unique_ptr<Rendezvous> meeting;
  uint64_t splits = 0;
  uint64_t shrinks = 0;
  std::atomic<bool> revoked{false};
  std::atomic<bool> aborted{false};
  std::atomic<ncclResult_t> async_error{ncclSuccess};  // or in progress, on a thread of ours
  bool is_blocking = true;
  // With the engine's lock held:
  OpRef last_op;
  uint64_t launches = 0;
  uint64_t collectives = 0;
  std::vector<uint64_t> sent;
  std::vector<uint64_t> received;
};
using CommunicatorRef = std::shared_ptr<Communicator>;

// Null unless `handle` is a live communicator of this process.
CommunicatorRef Find(ncclComm_t handle);
ncclComm_t Publish(const CommunicatorRef& communicator);
void Forget(ncclComm_t handle);

// The calls of one group on one communicator: one interval on all of their streams. As given it is
// a template; Peers::Launch makes the execution.
class GroupLaunch final : public Peers {
 public:
  GroupLaunch(CommunicatorRef communicator, std::vector<Element> elements);
  std::shared_ptr<Peers> Launch(const OpRef& op, std::vector<Dependency>* dependencies) override;
  void Post(int64_t start_ns) override;
  State Check(int64_t now_ns, int64_t* end_ns) override;
  std::vector<LogEntry> Entries() const override;

 private:
  bool CheckCollectives(int64_t* end_ns, bool* mismatch) const;
  bool CheckMessages(int64_t* end_ns);
  State GiveUp(int64_t now_ns, int64_t* end_ns, const std::string& why);
  std::vector<int> Missing() const;  // ranks that have not posted what this waits for

  CommunicatorRef communicator_;
  std::vector<Element> elements_;
  std::vector<bool> message_done_;
  bool has_collectives_ = false;
  uint64_t launch_ = 0;
  uint64_t signature_ = 0;
  int64_t collective_ns_ = 0;
  int64_t message_ns_ = 0;
  int64_t messages_end_ns_ = 0;
  int64_t start_ns_ = 0;
  int64_t next_life_check_ns_ = 0;
};

uint64_t BytesOf(ncclDataType_t type);  // 0: no such type
const char* TextOf(ncclDataType_t type);
uint64_t Mix(uint64_t x);

}  // namespace simgpu

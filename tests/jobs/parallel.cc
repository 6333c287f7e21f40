// Rendezvous through a file and communicators by ncclCommInitRank and ncclCommSplit.
#include "parallel.h"

#include <cuda_runtime_api.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "check.h"

namespace jobs {
namespace {

constexpr int kPollMicroseconds = 2000;
constexpr int kPolls = 60 * 1000 * 1000 / kPollMicroseconds;

int IntFromEnvironment(const char* name, int fallback) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? fallback : std::atoi(text);
}

void WriteUniqueId(const std::string& path, const ncclUniqueId& id) {
  const std::string temporary = path + ".part";
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  if (file == nullptr || std::fwrite(&id, sizeof id, 1, file) != 1 || std::fclose(file) != 0 ||
      std::rename(temporary.c_str(), path.c_str()) != 0) {
    std::perror(path.c_str());
    std::exit(1);
  }
}

ncclUniqueId AwaitUniqueId(const std::string& path) {
  ncclUniqueId id;
  for (int poll = 0; poll < kPolls; ++poll) {
    if (std::FILE* file = std::fopen(path.c_str(), "rb"); file != nullptr) {
      const bool is_whole = std::fread(&id, sizeof id, 1, file) == 1;
      std::fclose(file);
      if (is_whole) return id;
    }
    usleep(kPollMicroseconds);
  }
  std::fprintf(stderr, "%s: rank 0 has not written the unique id within a minute\n", path.c_str());
  std::exit(1);
}

}  // namespace

Ranks RanksFromEnvironment() {
  Ranks ranks;
  ranks.rank = IntFromEnvironment("RANK", 0);
  ranks.world = IntFromEnvironment("WORLD_SIZE", 1);
  ranks.local_rank = IntFromEnvironment("LOCAL_RANK", ranks.rank);
  return ranks;
}

void UseOwnGpu(const Ranks& ranks) {
  int gpus = 0;
  Check(cudaGetDeviceCount(&gpus));
  if (gpus == 1) return;  // one rank, or a launcher that shows each rank its own
  if (ranks.local_rank >= gpus) {
    std::fprintf(stderr, "rank %d needs GPU %d, but this machine has %d\n", ranks.rank,
                 ranks.local_rank, gpus);
    std::exit(1);
  }
  Check(cudaSetDevice(ranks.local_rank));
}

std::string RendezvousPath(const std::string& rendezvous, const Ranks& ranks) {
  if (!rendezvous.empty() || ranks.world == 1) return rendezvous;
  if (const char* path = std::getenv("RENDEZVOUS_FILE"); path != nullptr && *path != '\0') {
    return path;
  }
  std::fprintf(stderr, "several ranks need a rendezvous: --rendezvous FILE or RENDEZVOUS_FILE\n");
  std::exit(2);
}

namespace {

ncclUniqueId SharedId(const Ranks& ranks, const std::string& rendezvous) {
  ncclUniqueId id;
  if (ranks.rank == 0) {
    Check(ncclGetUniqueId(&id));
    if (ranks.world > 1) WriteUniqueId(rendezvous, id);
  } else {
    id = AwaitUniqueId(rendezvous);
  }
  return id;
}

}  // namespace

ncclComm_t JoinWorld(const Ranks& ranks, const std::string& rendezvous) {
  const ncclUniqueId id = SharedId(ranks, rendezvous);
  ncclComm_t world = nullptr;
  Check(ncclCommInitRank(&world, ranks.world, id, ranks.rank));
  return world;
}

ncclResult_t JoinWorldWith(ncclConfig_t config, const Ranks& ranks, const std::string& rendezvous,
                           ncclComm_t* world) {
  const ncclUniqueId id = SharedId(ranks, rendezvous);
  return ncclCommInitRankConfig(world, ranks.world, id, ranks.rank, &config);
}

ncclComm_t Split(ncclComm_t parent, int color, int key, int size, const char* name) {
  if (size == 1) return nullptr;
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.commName = name;
  ncclComm_t part = nullptr;
  Check(ncclCommSplit(parent, color, key, &part, &config));
  return part;
}

}  // namespace jobs

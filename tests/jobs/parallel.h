// Who a rank is, how ranks find each other (a file with NCCL's unique id), and the communicators of
// a tensor-, data- and pipeline-parallel run.
//
// Ranks are laid out as Megatron does: tensor parallel fastest, then data parallel, then pipeline.
#pragma once

#include <nccl.h>

#include <string>

namespace jobs {

struct Ranks {
  int rank = 0;
  int world = 1;
  int local_rank = 0;
};

// RANK, WORLD_SIZE and LOCAL_RANK of the environment; a single rank without them.
Ranks RanksFromEnvironment();

// Makes the local rank's GPU current: its own of several, or the only one it is shown.
void UseOwnGpu(const Ranks& ranks);

// The world communicator. Rank 0 writes the unique id to `rendezvous` (through a rename), the
// others wait for the file for at most a minute.
ncclComm_t JoinWorld(const Ranks& ranks, const std::string& rendezvous);

// The same with a configuration; the answer is NCCL's.
ncclResult_t JoinWorldWith(ncclConfig_t config, const Ranks& ranks, const std::string& rendezvous,
                           ncclComm_t* world);

// `rendezvous` if it says something, else RENDEZVOUS_FILE of the environment, else a message and
// exit.
std::string RendezvousPath(const std::string& rendezvous, const Ranks& ranks);

// A named part of `parent`; nullptr where it would have a single member.
ncclComm_t Split(ncclComm_t parent, int color, int key, int size, const char* name);

}  // namespace jobs

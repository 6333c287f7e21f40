// See process_facts.h.
#include "interpose/process_facts.h"

#include <cstdlib>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "interpose/memory.h"
#include "interpose/text.h"
#include "trace/contract.h"
#include "trace/writer.h"

#ifndef MFUTRACE_VERSION
#define MFUTRACE_VERSION "0.1.0"
#endif

namespace mfutrace::interpose {
namespace {

namespace fact = trace::fact;

// A launcher tells rank and size by names that belong together; the first that has a rank counts.
// torchrun; Open MPI's mpirun; MPICH's and Intel's hydra (PMI); Slurm's srun.
struct Launcher {
  const char* rank;
  const char* world_size;
  const char* local_rank;
};
constexpr Launcher kLaunchers[] = {
    {"RANK", "WORLD_SIZE", "LOCAL_RANK"},
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
    {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"},
    {"SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"},
};
constexpr const char* kRestarts[] = {"TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"};
constexpr const char* kJobIds[] = {"SLURM_JOB_ID", "TORCHELASTIC_RUN_ID", "PBS_JOBID", "LSB_JOBID"};

bool IsNumber(const char* text) {
  const size_t digits = std::strspn(text, "0123456789");
  return digits != 0 && digits <= 9 && text[digits] == '\0';
}

template <size_t size>
void Keep(char (&to)[size], const char* text) {
  Text(to, size).Add(text);
}

template <size_t size>
void KeepNumber(char (&to)[size], const char* variable) {
  const char* value = getenv(variable);
  if (value != nullptr && IsNumber(value)) Keep(to, value);
}

void Write(trace::Writer& writer, std::string_view key, const char* value, size_t bytes) {
  trace::FactHeader head{};
  head.key_bytes = static_cast<uint32_t>(key.size());
  head.value_bytes = static_cast<uint32_t>(bytes);
  writer.AppendVariable(trace::BlockKind::kFacts, &head, sizeof head, key.data(), key.size(), value,
                        bytes);
}

void WriteIfKnown(trace::Writer& writer, std::string_view key, const char* value) {
  if (*value != '\0') Write(writer, key, value, std::strlen(value));
}

void WriteCommandLine(trace::Writer& writer) {
  constexpr size_t kMostBytes = 32768;
  const int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  char* buffer = static_cast<char*>(MapPages(kMostBytes));
  if (buffer != nullptr) {
    size_t size = 0;
    while (size < kMostBytes) {
      const ssize_t got = read(file, buffer + size, kMostBytes - size);
      if (got <= 0) break;
      size += static_cast<size_t>(got);
    }
    while (size != 0 && buffer[size - 1] == '\0') --size;  // NULs separate, they do not end
    if (size != 0) Write(writer, fact::kCommandLine, buffer, size);
    UnmapPages(buffer, kMostBytes);
  }
  close(file);
}

}  // namespace

void ReadProcessFacts(ProcessFacts& facts) {
  facts.pid = getpid();
  facts.parent_pid = getppid();
  utsname system{};
  if (uname(&system) == 0) Keep(facts.host, system.nodename);
  if (*facts.host == '\0') Keep(facts.host, "unknown");
  // The host is a part of the file's name.
  for (char* at = facts.host; *at != '\0'; ++at) {
    if (*at == '/') *at = '_';
  }
  for (const Launcher& launcher : kLaunchers) {
    const char* rank = getenv(launcher.rank);
    if (rank == nullptr || !IsNumber(rank)) continue;
    Keep(facts.rank, rank);
    Keep(facts.rank_source, launcher.rank);
    KeepNumber(facts.world_size, launcher.world_size);
    KeepNumber(facts.local_rank, launcher.local_rank);
    break;
  }
  for (const char* variable : kRestarts) {
    if (*facts.restart_attempt == '\0') KeepNumber(facts.restart_attempt, variable);
  }
  for (const char* variable : kJobIds) {
    const char* value = getenv(variable);
    if (value != nullptr && *facts.job_id == '\0') Keep(facts.job_id, value);
  }
  if (const char* role = getenv(trace::env::kRole)) Keep(facts.role, role);
}

void WriteProcessFacts(const ProcessFacts& facts, trace::Writer& writer) {
  char number[24];
  WriteIfKnown(writer, fact::kVersion, MFUTRACE_VERSION);
  WriteIfKnown(writer, fact::kHost, facts.host);
  WriteCommandLine(writer);
  WriteIfKnown(writer, fact::kRank, facts.rank);
  WriteIfKnown(writer, fact::kRankSource, facts.rank_source);
  WriteIfKnown(writer, fact::kWorldSize, facts.world_size);
  WriteIfKnown(writer, fact::kLocalRank, facts.local_rank);
  WriteIfKnown(writer, fact::kRole, facts.role);
  WriteIfKnown(writer, fact::kRestart, facts.restart_attempt);
  WriteIfKnown(writer, fact::kJobId, facts.job_id);
  WriteIfKnown(writer, fact::kParentPid,
               Text(number, sizeof number).Add(int64_t{facts.parent_pid}).c_str());
}

void WriteFact(trace::Writer& writer, std::string_view key, const char* value) {
  Write(writer, key, value, std::strlen(value));
}

}  // namespace mfutrace::interpose

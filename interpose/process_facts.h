// Who this process is: rank, host, command line, scheduler. Read once when the session starts, on
// the job's thread (getenv there is as safe as in the job itself); written with the file's first
// block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mfutrace::trace {
class Writer;
}

namespace mfutrace::interpose {

struct ProcessFacts {
  int32_t pid;
  int32_t parent_pid;
  char host[65];
  char rank[16];  // decimal digits; empty = unknown
  char rank_source[32];
  char world_size[16];
  char local_rank[16];
  char restart_attempt[16];
  char job_id[128];
  char role[128];
};

void ReadProcessFacts(ProcessFacts& facts);
// All of them that are known, the command line, and the library's version.
void WriteProcessFacts(const ProcessFacts& facts, trace::Writer& writer);

// One fact.
void WriteFact(trace::Writer& writer, std::string_view key, const char* value);

}  // namespace mfutrace::interpose

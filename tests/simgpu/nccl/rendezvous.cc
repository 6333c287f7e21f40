// See rendezvous.h.
#include "nccl/rendezvous.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "engine/api.h"

namespace simgpu {
namespace {

constexpr char kPrefix[] = "simgpu-";

double Seconds() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// Gone, or dead and not yet waited for by its parent.
bool Ended(int32_t pid) {
  if (kill(pid, 0) != 0) return errno == ESRCH;
  char path[40];
  std::snprintf(path, sizeof path, "/proc/%d/stat", static_cast<int>(pid));
  FILE* file = std::fopen(path, "re");
  if (file == nullptr) return false;
  char text[256] = {};
  const size_t size = std::fread(text, 1, sizeof text - 1, file);
  std::fclose(file);
  const char* name_end = size == 0 ? nullptr : std::strrchr(text, ')');
  return name_end != nullptr && name_end[1] == ' ' && name_end[2] == 'Z';
}

const std::string& Folder() { return FindApi()->settings().rendezvous_dir; }

}  // namespace

struct Rendezvous::Header {
  std::atomic<uint32_t> size;
  std::atomic<uint32_t> joined;
  Member members[kMostRanks];
  CollectiveSlot slots[kSlots][kMostRanks];
  // Followed by messages[from][to][entry], as many as the size asks for; pages appear when touched.
  Message* messages() { return reinterpret_cast<Message*>(this + 1); }
};

std::unique_ptr<Rendezvous> Rendezvous::Open(uint64_t key, int size, std::string* why) {
  std::unique_ptr<Rendezvous> made(new Rendezvous);
  char name[64];
  std::snprintf(name, sizeof name, "/%s%u-%016" PRIx64, kPrefix, static_cast<unsigned>(getuid()),
                key);
  made->path_ = Folder() + name;
  made->size_ = size;
  made->bytes_ = sizeof(Header) + sizeof(Message) * static_cast<size_t>(size) *
                                      static_cast<size_t>(size) * kPairEntries;
  const int fd = open(made->path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(made->bytes_)) != 0) {
    *why = made->path_ + ": " + std::strerror(errno);
    if (fd >= 0) close(fd);
    return nullptr;
  }
  void* at = mmap(nullptr, made->bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  close(fd);
  if (at == MAP_FAILED) {
    *why = made->path_ + ": " + std::strerror(errno);
    return nullptr;
  }
  made->header_ = static_cast<Header*>(at);
  uint32_t expected = 0;
  if (!made->header_->size.compare_exchange_strong(expected, static_cast<uint32_t>(size)) &&
      expected != static_cast<uint32_t>(size)) {
    *why = "ranks disagree about the size of the communicator: " + std::to_string(size) + " and " +
           std::to_string(expected);
    return nullptr;
  }
  return made;
}

Rendezvous::~Rendezvous() {
  if (header_ != nullptr) munmap(header_, bytes_);
}

bool Rendezvous::Join(int rank) {
  Member& me = member(rank);
  if (me.joined.exchange(1) != 0) return false;
  me.pid.store(static_cast<int32_t>(getpid()));
  header_->joined.fetch_add(1);
  return true;
}

bool Rendezvous::WaitForAll(double timeout_s) const {
  const double deadline = Seconds() + timeout_s;
  bool all = false;
  while (!(all = header_->joined.load() >= static_cast<uint32_t>(size_)) && Seconds() < deadline) {
    usleep(200);
  }
  unlink(path_.c_str());
  return all;
}

Member& Rendezvous::member(int rank) const { return header_->members[rank]; }

CollectiveSlot& Rendezvous::slot(uint64_t launch, int rank) const {
  return header_->slots[launch % kSlots][rank];
}

Message& Rendezvous::message(int from, int to, uint64_t number) const {
  const size_t pair =
      static_cast<size_t>(from) * static_cast<size_t>(size_) + static_cast<size_t>(to);
  return header_->messages()[pair * kPairEntries + number % kPairEntries];
}

bool Rendezvous::IsDead(int rank) const {
  const Member& m = member(rank);
  const int32_t pid = m.pid.load();
  return m.aborted.load() != 0 || (pid > 0 && Ended(pid));
}

void RemoveStale() {
  DIR* folder = opendir(Folder().c_str());
  if (folder == nullptr) return;
  const std::string mine = kPrefix + std::to_string(getuid()) + "-";
  const time_t now = time(nullptr);
  while (const dirent* entry = readdir(folder)) {
    if (std::strncmp(entry->d_name, mine.c_str(), mine.size()) != 0) continue;
    const std::string path = Folder() + "/" + entry->d_name;
    struct stat facts {};
    if (stat(path.c_str(), &facts) != 0) continue;
    const double age_s = static_cast<double>(now - facts.st_mtime);
    if (age_s > 2 * FindApi()->settings().timeout_s + 1) unlink(path.c_str());
  }
  closedir(folder);
}

}  // namespace simgpu

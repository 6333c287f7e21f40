// Links the vendors' libraries but never calls them, like most children of a job. Prints how many
// threads and open files it has, which a library that does nothing leaves as they are.
#include <cublas_v2.h>
#include <dirent.h>
#include <nccl.h>

#include <cstdio>

namespace {

int EntriesOf(const char* folder) {
  DIR* directory = opendir(folder);
  int entries = 0;
  while (readdir(directory) != nullptr) ++entries;
  closedir(directory);
  return entries;
}

}  // namespace

int main(int argc, char**) {
  if (argc > 100) {  // keeps the references without a call
    cublasSgemm(nullptr, CUBLAS_OP_N, CUBLAS_OP_N, 0, 0, 0, nullptr, nullptr, 0, nullptr, 0,
                nullptr, nullptr, 0);
    ncclGroupStart();
  }
  std::printf("threads %d, files %d\n", EntriesOf("/proc/self/task"), EntriesOf("/proc/self/fd"));
  return 0;
}

// FreshFolder of native_trace.h.
#include "tests/report/native_trace.h"

#include <unistd.h>

#include <filesystem>
#include <vector>

namespace mfutrace::report::test {
namespace {

// Takes the folders away when the test program ends.
struct Folders {
  ~Folders() {
    std::error_code ignored;
    for (const std::filesystem::path& path : paths) std::filesystem::remove_all(path, ignored);
  }
  std::vector<std::filesystem::path> paths;
};

}  // namespace

std::string FreshFolder() {
  const testing::TestInfo* info = testing::UnitTest::GetInstance()->current_test_info();
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("mfutrace-test-" + std::to_string(getpid()) + "-" +
                                                info->test_suite_name() + "-" + info->name());
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  static Folders folders;
  folders.paths.push_back(folder);
  return folder.string();
}

}  // namespace mfutrace::report::test

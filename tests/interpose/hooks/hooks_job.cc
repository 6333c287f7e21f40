// What a job does to reach a vendor library, one way a run: hooks_job CASE FOLDER. Prints what it
// sees; with the hooks preloaded it must see the same (tests/interpose/hooks_test.py).
#include <dlfcn.h>

#include <atomic>
#include <cerrno>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <cublas_v2.h>

namespace {

std::string g_folder;

void* Open(const std::string& file) {
  void* handle = dlopen((g_folder + "/" + file).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    std::printf("%s\n", dlerror());
    std::exit(2);
  }
  return handle;
}

template <typename Function>
Function* Find(void* handle, const char* name) {
  auto* found = reinterpret_cast<Function*>(dlsym(handle, name));
  if (found == nullptr) std::printf("no %s: %s\n", name, dlerror());
  return found;
}

const char* Home(void* address) {
  Dl_info info;
  if (dladdr(address, &info) == 0) return "?";
  const char* slash = std::strrchr(info.dli_fname, '/');
  return slash == nullptr ? info.dli_fname : slash + 1;
}

cublasHandle_t Handle(uintptr_t number) { return reinterpret_cast<cublasHandle_t>(number); }

using Sgemm = decltype(cublasSgemm_v2);
int Call(Sgemm* sgemm, int m) {
  const float beta = 0;
  errno = 5;
  const int status = sgemm(Handle(0x1000), CUBLAS_OP_N, CUBLAS_OP_N, m, 2, 3, &beta, nullptr, 1,
                           nullptr, 1, &beta, nullptr, 1);
  std::printf("status=%d errno=%d\n", status, errno);
  return status;
}

// Two majors in one process, both RTLD_LOCAL, reached through PLT and through dlsym.
void TwoVersions() {
  void* extensions[] = {Open("libext12.so"), Open("libext13.so")};
  const char* names[] = {"RunExtension12", "RunExtension13"};
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 2; ++i) {
      const int status = Find<int(void*, int)>(extensions[i], names[i])(Handle(0x2000), 10 + i);
      std::printf("%s -> %d\n", names[i], status);
    }
  }
  void* libraries[] = {Open("libcublas.so.12"), Open("libcublas.so.13")};
  for (int i = 0; i < 2; ++i) Call(Find<Sgemm>(libraries[i], "cublasSgemm_v2"), 20 + i);
  dlerror();
  std::printf("dlerror after success: %s\n", dlerror() == nullptr ? "none" : "set");
}

// More real functions than there are slots: all work, the fifth unseen.
void FiveVersions() {
  for (int version = 10; version <= 14; ++version) {
    void* library = Open("libcublas.so." + std::to_string(version));
    Call(Find<Sgemm>(library, "cublasSgemm_v2"), version);
  }
}

void DefaultLookups() {
  std::printf("not loaded: %s\n",
              dlsym(RTLD_DEFAULT, "cublasSgemm_v2") == nullptr ? "null" : "found");
  std::printf("error: %s\n", dlerror() != nullptr ? "set" : "none");
  void* local = Open("libcublas.so.12");
  std::printf("loaded locally: %s\n",
              dlsym(RTLD_DEFAULT, "cublasSgemm_v2") == nullptr ? "null" : "found");
  std::printf("by program: %s\n",
              dlsym(dlopen(nullptr, RTLD_NOW), "cublasSgemm_v2") == nullptr ? "null" : "found");
  static_cast<void>(local);
  void* global = dlopen((g_folder + "/libcublas.so.13").c_str(), RTLD_NOW | RTLD_GLOBAL);
  std::printf("global: %s\n", global != nullptr ? "loaded" : "failed");
  Call(Find<Sgemm>(RTLD_DEFAULT, "cublasSgemm_v2"), 7);
  Call(Find<Sgemm>(dlopen(nullptr, RTLD_NOW), "cublasSgemm_v2"), 8);
  std::printf("unknown name: %s\n",
              dlsym(RTLD_DEFAULT, "cublasNoSuchThing") == nullptr ? "null" : "found");
  std::printf("unrelated name: %s\n", dlsym(RTLD_DEFAULT, "strlen") != nullptr ? "found" : "null");
}

void VersionedLookups() {
  void* library = Open("libcublas.so.13");
  void* right = dlvsym(library, "cublasSgemm_v2", "libcublas.so.13");
  void* wrong = dlvsym(library, "cublasSgemm_v2", "libcublas.so.12");
  std::printf("right version: %s, wrong version: %s\n", right != nullptr ? "found" : "null",
              wrong != nullptr ? "found" : "null");
  std::printf(
      "default scope: %s\n",
      dlvsym(RTLD_DEFAULT, "cublasSgemm_v2", "libcublas.so.13") != nullptr ? "found" : "null");
  if (right != nullptr) Call(reinterpret_cast<Sgemm*>(right), 9);
}

void VendorRequester() {
  void* library = Open("libcublas.so.13");
  auto* shim = Find<void*(void*, const char*)>(Open("libnvshim.so"), "ShimLookUp");
  std::printf("shim sees %s\n", Home(shim(library, "cublasSgemm_v2")));
}

void Failure() {
  auto* sgemm = Find<Sgemm>(Open("libcublas.so.13"), "cublasSgemm_v2");
  Call(sgemm, -1);
  const float beta = 0;
  const int status = sgemm(nullptr, CUBLAS_OP_N, CUBLAS_OP_N, 1, 2, 3, &beta, nullptr, 1, nullptr,
                           1, &beta, nullptr, 1);
  std::printf("null handle: status=%d\n", status);
}

void Nested() {
  auto* gemm_ex = reinterpret_cast<cublasStatus_t (*)(
      cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int, const void*, const void*,
      cudaDataType, int, const void*, cudaDataType, int, const void*, void*, cudaDataType, int,
      cublasComputeType_t, cublasGemmAlgo_t)>(dlsym(Open("libcublas.so.13"), "cublasGemmEx"));
  const float beta = -0.0f;
  const int status = gemm_ex(Handle(0x1000), CUBLAS_OP_T, CUBLAS_OP_C, 4, 5, 6, &beta, nullptr,
                             CUDA_R_16BF, 1, nullptr, CUDA_R_8F_E4M3, 1, &beta, nullptr, CUDA_R_16F,
                             1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
  std::printf("status=%d\n", status);
}

void ManyArguments() {
  void* library = Open("libcublas.so.13");
  auto* z = Find<decltype(cublasZgemmStridedBatched)>(library, "cublasZgemmStridedBatched");
  const cuDoubleComplex beta = {0, 1};
  std::printf("status=%d\n", z(Handle(0x1000), CUBLAS_OP_N, CUBLAS_OP_N, 8, 9, 10, &beta, nullptr,
                               1, 0, nullptr, 2, 20, &beta, nullptr, 3, 0x123456789abcLL, 77));
  auto* ex = reinterpret_cast<cublasStatus_t (*)(
      cublasHandle_t, cublasOperation_t, cublasOperation_t, int64_t, int64_t, int64_t, const void*,
      const void*, cudaDataType, int64_t, long long, const void*, cudaDataType, int64_t, long long,
      const void*, void*, cudaDataType, int64_t, long long, int64_t, cublasComputeType_t,
      cublasGemmAlgo_t)>(dlsym(library, "cublasGemmStridedBatchedEx_64"));
  std::printf("status=%d\n",
              ex(Handle(0x1001), CUBLAS_OP_T, CUBLAS_OP_N, int64_t{1} << 33, 9, 10, &beta, nullptr,
                 CUDA_R_16F, 1, 30, nullptr, CUDA_R_16F, 2, 0, &beta, nullptr, CUDA_R_32F, 4, 5, 6,
                 CUBLAS_COMPUTE_32F_FAST_16F, CUBLAS_GEMM_DFALT));
  auto* s = Find<decltype(cublasSgemm_v2_64)>(library, "cublasSgemm_v2_64");
  const float one = 1;
  std::printf("status=%d\n", s(Handle(0x1002), CUBLAS_OP_N, CUBLAS_OP_N, int64_t{1} << 32, 1, 0,
                               &one, nullptr, 1, nullptr, 1, &one, nullptr, 1));
}

jmp_buf g_jump;
void Leave() { std::longjmp(g_jump, 1); }
void Throw() { throw 42; }

// Leaves a call without returning from it, twice each way; later calls must still count.
void Escapes() {
  void* library = Open("libcublas.so.13");
  auto* hgemm = Find<decltype(cublasHgemm)>(library, "cublasHgemm");
  auto* on_call = Find<void(void (*)())>(library, "FakeOnCall");
  const __half zero = {};
  const auto call = [&](int m) {
    hgemm(Handle(0x1000), CUBLAS_OP_N, CUBLAS_OP_N, m, 2, 3, &zero, nullptr, 1, nullptr, 1, &zero,
          nullptr, 1);
  };
  for (int i = 1; i <= 2; ++i) {
    on_call(Leave);
    if (setjmp(g_jump) == 0) call(i);
    on_call(nullptr);
    call(10 + i);
  }
  for (int i = 1; i <= 2; ++i) {
    on_call(Throw);
    try {
      call(20 + i);
    } catch (int value) {
      std::printf("caught %d\n", value);
    }
    on_call(nullptr);
    call(30 + i);
  }
}

// Unloads a library and loads it again: whatever was remembered of it must not be called.
void Reload() {
  const auto run = [](int m) {
    void* extension = Open("libext13.so");
    Find<int(void*, int)>(extension, "RunExtension13")(Handle(0x2000), m);
    void* library = Open("libcublas.so.13");
    Call(Find<Sgemm>(library, "cublasSgemm_v2"), m + 1);
    std::printf("closed %d %d\n", dlclose(library), dlclose(extension));
  };
  run(1);
  void* elsewhere = Open("libext12.so");  // takes the place in memory
  run(10);
  std::printf("closed %d\n", dlclose(elsewhere));
  run(20);
}

// Many threads make their first calls at once, each through PLT and dlsym, of two libraries.
void Threads() {
  void* extensions[] = {Open("libext12.so"), Open("libext13.so")};
  const char* names[] = {"RunExtension12", "RunExtension13"};
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      auto* run = Find<int(void*, int)>(extensions[i % 2], names[i % 2]);
      for (int call = 0; call < 100; ++call) failures += run(Handle(0x2000), i) != 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::printf("failures %d\n", failures.load());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  g_folder = argv[2];
  struct {
    const char* name;
    void (*run)();
  } const cases[] = {
      {"two_versions", TwoVersions},
      {"five_versions", FiveVersions},
      {"default_lookups", DefaultLookups},
      {"versioned_lookups", VersionedLookups},
      {"vendor_requester", VendorRequester},
      {"failure", Failure},
      {"nested", Nested},
      {"many_arguments", ManyArguments},
      {"escapes", Escapes},
      {"reload", Reload},
      {"threads", Threads},
  };
  for (const auto& one : cases) {
    if (std::strcmp(one.name, argv[1]) != 0) continue;
    one.run();
    return 0;
  }
  return 2;
}

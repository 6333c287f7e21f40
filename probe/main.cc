// mfutrace-probe: what must load the vendors' libraries, apart from the mfutrace program, which is
// linked statically. Started by `mfutrace`, usable by hand.
//
//   mfutrace-probe                      for `mfutrace doctor`: lines of fields between tabs
//     driver  VERSION                     or  driver  missing  WHY
//     device  ORDINAL  NAME  CAPABILITY
//     cupti   PATH  VERSION  free|taken   or  cupti   missing  WHY
//   mfutrace-probe gemm [--device N] [--seconds S] [--size N] [--rates bf16,f16]
#include <cstdio>
#include <cstring>

#include "probe/survey.h"
#ifdef MFU_CAN_MEASURE
#include "probe/gemm.h"
#endif

int main(int argc, char** argv) {
  if (argc == 1) return mfutrace::probe::Survey();
  if (std::strcmp(argv[1], "gemm") == 0) {
#ifdef MFU_CAN_MEASURE
    return mfutrace::probe::Gemm(argc - 2, argv + 2);
#else
    std::puts("{\"error\": \"this mfutrace-probe was built without CUDA's headers\"}");
    return 1;
#endif
  }
  std::fputs("usage: mfutrace-probe [gemm [--device N] [--seconds S] [--size N] [--rates LIST]]\n",
             stderr);
  return 2;
}

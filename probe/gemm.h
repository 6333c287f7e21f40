// The rates that the installed cuBLAS reaches on this machine's GPU, for `mfutrace peaks
// --measure`.
#pragma once

namespace mfutrace::probe {

// Its own command line, without the program and the verb; the exit status of the program.
int Gemm(int argc, char** argv);

}  // namespace mfutrace::probe

// One function a verb; argv[0] is the verb's own name. Each returns the exit code of the program.
#pragma once

namespace mfutrace::cli {

int RunVerb(int argc, char** argv);
int ReduceVerb(int argc, char** argv);
int ReportVerb(int argc, char** argv);
int DoctorVerb(int argc, char** argv);
int InfoVerb(int argc, char** argv);
int PeaksVerb(int argc, char** argv);
int ShapesVerb(int argc, char** argv);
int DiffVerb(int argc, char** argv);
int GateVerb(int argc, char** argv);
int EstimateVerb(int argc, char** argv);

}  // namespace mfutrace::cli

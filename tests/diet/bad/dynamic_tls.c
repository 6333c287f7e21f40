// Has a thread-local in the model of dlopen'ed libraries (tests/diet/CMakeLists.txt).
__thread int counter __attribute__((tls_model("global-dynamic")));
int* cublasHgemm(void) { return &counter; }

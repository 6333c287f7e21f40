#!/usr/bin/env bash
# Prints functions that the installed vendor libraries export, that look like work (matrix products,
# triangular solves, collectives) and that interpose/entry_points.def does not have.
# usage: list_missing_entry_points.sh [FOLDER_WITH_LIBRARIES]
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-/usr/local/cuda/lib64}
work='gemm|gemv|symm|hemm|syrk|syr2k|herk|her2k|trmm|trsm|getr[fi]|geqrf|gels|matinv|Matmul'
collectives='nccl(AllReduce|AllGather|ReduceScatter|Broadcast|Bcast|Reduce|Send|Recv|AlltoAll|Gather|Scatter|Signal|PutSignal|WaitSignal|Comm(Init|Split|Shrink|Grow|Destroy|Abort|Finalize))'
listed=$(sed -n 's/^MFU_ENTRY(\([A-Za-z0-9_]*\),.*/\1/p' interpose/entry_points.def | sort -u)
found=0
for library in libcublas.so libcublasLt.so libnccl.so; do
  path=$(find -L "$folder" -maxdepth 1 -name "$library*" | sort | head -1)
  if [[ -z $path ]]; then
    echo "list_missing_entry_points: no $library in $folder" >&2
    continue
  fi
  found=1
  readelf --dyn-syms -W "$path" | awk '$4 == "FUNC" && $7 != "UND" {sub(/@.*/, "", $8); print $8}' |
    grep -E "^(cublas[A-Z][A-Za-z0-9]*($work)|cublasLtMatmul|$collectives)" |
    grep -vE '^cublasLt(Matmul[A-Z]|[A-Z]{3}Matmul|_)|_internal$' | sort -u |
    comm -23 - <(echo "$listed") || true
done
((found)) || exit 1

#!/usr/bin/env bash
# Prints functions that the installed vendor libraries export and interpose/entry_points.def does not
# have, save those that scripts/uncounted_exports.txt leaves out with a reason. Exits with 1 if there are
# any, with 77 (skipped) if no library is installed.
# usage: list_missing_entry_points.sh [FOLDER_WITH_LIBRARIES]
set -euo pipefail
LC_ALL=C
export LC_ALL
cd "$(dirname "$0")/.."
folder=${1:-/usr/local/cuda/lib64}
[[ -d $folder ]] || folder=/usr/local/cuda/lib
listed=$(sed -n 's/^MFU_ENTRY(\([A-Za-z0-9_]*\),.*/\1/p' interpose/entry_points.def | sort -u)
patterns=$(sed 's/#.*//; s/[[:space:]]*$//; /^$/d; s/.*/^(&)(_v2)?(_64)?$/' scripts/uncounted_exports.txt)
collectives='nccl(AllReduce|AllGather|ReduceScatter|Broadcast|Bcast|Reduce|Send|Recv|AlltoAll|Gather|Scatter)'
seen=0
missing=0
for library in libcublas.so libcublasLt.so libcudnn.so libnccl.so; do
  path=$(find -L "$folder" -maxdepth 1 -name "$library*" | sort | head -1)
  if [[ -z $path ]]; then
    echo "list_missing_entry_points: no $library in $folder" >&2
    continue
  fi
  seen=1
  names=$(readelf --dyn-syms -W "$path" | awk '$4 == "FUNC" && $7 != "UND" {sub(/@.*/, "", $8); print $8}' |
    grep -E "^(cublas[A-Z]|cudnn[A-Z]|$collectives\$)" | grep -vE -f <(echo "$patterns") | sort -u)
  while read -r name; do
    [[ -n $name ]] || continue
    echo "$name is exported by $path and counted by no row"
    missing=1
  done < <(comm -23 <(echo "$names") <(echo "$listed"))
done
((seen)) || exit 77
exit $missing

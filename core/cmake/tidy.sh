#!/usr/bin/env bash
# clang-tidy over every source that CMake compiled: core/cmake/tidy.sh BUILD_FOLDER [FILE PART...]
# FILE PARTs are regular expressions; without one all files are checked.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=${1:?the build folder with compile_commands.json}
shift
tidy=$(command -v clang-tidy-14 || command -v clang-tidy) || {
  echo "tidy.sh: clang-tidy not found: install it with 'apt-get install clang-tidy'" >&2
  exit 1
}
pattern=$(IFS='|' && echo "${*:-.}")
sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' "$build/compile_commands.json" | sort -u |
  grep -v "/$build/\|/.build/" | grep -E "$pattern" |
  xargs -r -P "$(nproc)" -n 1 "$tidy" -p "$build" --quiet

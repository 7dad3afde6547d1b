#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# node: compiled JavaScript, builtins in files without unwind information, threads for zlib and crypto.
command -v node >/dev/null || { echo "skip node is not on this machine" >&3; exit; }
node "$HERE/work.js" &
printf 'attach %s\ngo\n' $! >&3
exec 3>&-
wait

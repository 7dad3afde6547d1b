#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# clang, started again and again: the dynamic linker's work, deep recursion, large files.
for clang in clang clang-14 clang-15 clang-16 clang-17 clang-18 clang-19 ""; do
	command -v "$clang" >/dev/null && break
done
[ -n "$clang" ] || { echo "skip clang is not on this machine" >&3; exit; }
"$clang" -std=c++17 -x c++ -O2 -c -o "$DIR/first.o" "$HERE/work.cc" || exit
printf 'only clang\nattach %s\ngo\n' $$ >&3
exec 3>&-
while :; do
	"$clang" -std=c++17 -x c++ -O2 -g -c -o "$DIR/work.o" "$HERE/work.cc"
	"$clang" -std=c++17 -x c++ -O0 -fsyntax-only "$HERE/work.cc"
done

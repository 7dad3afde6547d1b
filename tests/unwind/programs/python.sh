#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# python3: the interpreter, the garbage collector, and libraries that are C.
for python in /usr/bin/python3 "$(command -v python3)" ""; do
	[ -x "$python" ] && break
done
[ -n "$python" ] || { echo "skip python3 is not on this machine" >&3; exit; }
"$python" "$HERE/work.py" "$DIR" &
printf 'attach %s\ngo\n' $! >&3
exec 3>&-
wait

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# C++ that throws: also through handlers' frames, over realigned ones, on other stacks.
[ -x "$HERE/../throwing" ] || { echo "skip throwing was not built here" >&3; exit; }
"$HERE/../throwing" &
printf 'attach %s\ngo\n' $! >&3
exec 3>&-
wait

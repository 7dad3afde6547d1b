#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
version=17
. "$HERE/java.inc"

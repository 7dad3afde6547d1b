#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
version=25
. "$HERE/java.inc"

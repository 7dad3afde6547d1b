#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# redis-server under redis-benchmark, with snapshots that a forked child writes.
for name in redis-server redis-benchmark redis-cli; do
	command -v $name >/dev/null || { echo "skip $name is not on this machine" >&3; exit; }
done
redis-server --port 0 --unixsocket "$DIR/socket" --dir "$DIR" --save '1 1000' --hz 50 >/dev/null &
server=$!
until redis-cli -s "$DIR/socket" ping 2>/dev/null | grep -q PONG; do sleep 0.05; done
printf 'attach %s\ngo\n' $server >&3
exec 3>&-
lua='for i = 1, 20 do redis.call("zadd", "z", i, "m" .. i) end return redis.call("sort", "z", "alpha")'
while :; do
	redis-benchmark -s "$DIR/socket" -q -n 20000 -r 10000 -c 10 >/dev/null
	redis-benchmark -s "$DIR/socket" -q -n 2000 eval "$lua" 0 >/dev/null
done

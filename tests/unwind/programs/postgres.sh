#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# postgres under pgbench: every process of it, for the postmaster's children count.
for folder in /usr/lib/postgresql/*/bin; do PATH=$PATH:$folder; done
for name in postgres initdb pgbench setpriv; do
	command -v $name >/dev/null || { echo "skip $name is not on this machine" >&3; exit; }
done
id postgres >/dev/null 2>&1 || { echo "skip there is no user postgres" >&3; exit; }
as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
chown postgres "$DIR"
as initdb -D "$DIR/base" --no-sync >/dev/null 2>&1 || exit
# Not by as(): its process would be a shell's.
setpriv --reuid=postgres --regid=postgres --clear-groups \
	postgres -D "$DIR/base" -k "$DIR" -h '' -c fsync=off >/dev/null 2>&1 &
server=$!
until as pgbench -h "$DIR" -i -s 2 -q postgres >/dev/null 2>&1; do sleep 0.2; done
printf 'only postgres\nattach %s\ngo\n' $server >&3
exec 3>&-
cat > "$DIR/query.sql" <<'SQL'
select sum(abalance), count(*) from pgbench_accounts join pgbench_branches using (bid)
	where aid % 7 = 3 group by bid order by 1;
select regexp_replace(md5(random()::text), '[a-f]+', 'x', 'g'), jsonb_build_object('n', random());
select count(distinct x * x), string_agg(x::text, ',') from generate_series(1, 500) as x where x::numeric / 7 > 3;
SQL
as pgbench -h "$DIR" -c 2 -T 1000000 postgres >/dev/null 2>&1 &
as pgbench -h "$DIR" -c 2 -T 1000000 -f "$DIR/query.sql" postgres >/dev/null 2>&1

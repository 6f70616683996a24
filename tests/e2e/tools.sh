#!/bin/sh
# Runs in the debian guest: every tool of the image once, on the lab's own kernel. One line each, `ok NAME` or `NOT ok NAME` and why.
try() {
	name=$1
	shift
	if said=$("$@" 2>&1); then echo "ok $name"; else echo "NOT ok $name: $(echo "$said" | tail -3 | tr '\n' ' ')"; fi
}

[ -f /share/image.toml ] && echo "ok share"
touch /share/x 2>/dev/null || echo "ok share is read-only"
touch /usr/bin/x && echo "ok the root can be written to"
ps -e -o comm= | grep -E 'redis|nginx|cron|systemd|iperf' || echo "ok no service runs"

try trace-cmd sh -c 'trace-cmd record -q -e sched:sched_switch -o trace.dat sleep 0.1 && trace-cmd report trace.dat | grep -q sched_switch:'
try bpftrace sh -c "bpftrace -e 'BEGIN { printf(\"hello\n\"); exit() }' | grep hello"
try bpftool bpftool prog
try bpftool-btf sh -c 'bpftool btf dump file /sys/kernel/btf/vmlinux format c | grep -q "^struct task_struct {"'
try perf sh -c 'perf stat -x, -e task-clock true 2>&1 | grep task-clock'
try strace sh -c 'strace -c true 2>&1 | grep execve'
try gcc sh -c 'echo "int main(void){return puts(\"hi\") < 0;}" >a.c && gcc -include stdio.h a.c -o a && ./a'
try make sh -c 'printf "b: a.c\n\tgcc -static -include stdio.h -o b a.c\n" >Makefile && make -s && ./b'
try git sh -c 'git init -q r && git -C r -c user.email=a@b -c user.name=n commit -q --allow-empty -m x'
try python3 python3 -c 'import ctypes, json, socket, ssl'
try fio fio --name=x --filename=/tmp/fio --size=1M --rw=randread --bs=4k --ioengine=io_uring --minimal
try mkfs sh -c 'truncate -s 16M /tmp/disk && mkfs.ext4 -q /tmp/disk'
try mkfs.btrfs sh -c 'truncate -s 256M /tmp/btrfs && mkfs.btrfs -q /tmp/btrfs && rm /tmp/btrfs'
try cyclictest cyclictest -q -m -l 100
try redis sh -c 'redis-server --save "" --daemonize yes >/dev/null && { until redis-cli ping; do :; done; } >/dev/null 2>&1 &&
	redis-benchmark -q -n 100 -t set,get && redis-cli shutdown nosave'
try nginx sh -c 'nginx && python3 -c "import urllib.request as u; assert u.urlopen(\"http://127.0.0.1/\").status == 200" && nginx -s stop'
try ethtool ethtool -i eth0
try ip ip -br link
try tc tc qdisc
try ping ping -c1 -W5 127.0.0.1
try numactl numactl -H
try nvme nvme list
try jq sh -c 'echo "{\"a\":1}" | jq -e ".a == 1"'
try namespaces unshare --user --map-root-user --net --pid --fork true
exit 6

# What the inits of all images share; they source it once /proc, /sys and /dev are mounted. Needs mount, ip, dropbear and sleep.

failed() { # ends the boot with a reason
	echo "lab-init: $1"
	echo "failed $1" >"${port:-/dev/console}"
	while :; do sleep 1000; done
}

find_port() { # the virtio-serial port on which `init`, `ready`, `settled` or `failed <why>` are said, and nothing else
	for entry in /sys/class/virtio-ports/*; do
		read -r name <"$entry/name" && [ "$name" = lab.ready ] && port=/dev/${entry##*/}
	done
	[ -c "${port:-}" ] || failed "no virtio-serial port lab.ready"
}

mount_kernels() { # the file systems that the kernel itself fills, and those in memory
	mkdir -p /dev/pts /dev/shm
	mount -t devpts -o ptmxmode=0666 devpts /dev/pts
	mount -t tmpfs tmpfs /dev/shm
	mount -t tmpfs tmpfs /tmp
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
	mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
	mount -t bpf bpf /sys/fs/bpf 2>/dev/null
	echo 1 >/proc/sys/kernel/sysrq
	hostname lab
}

mount_share() { # the directory of the host that the lab was told to show
	for entry in /sys/bus/virtio/drivers/9pnet_virtio/virtio*/mount_tag; do
		[ -e "$entry" ] && grep -q '^share' "$entry" || continue
		mkdir -p /share
		mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=131072 share /share || failed "the share does not mount"
	done
}

start_network() {
	ip link set lo up || failed "no loopback interface"
	ip addr add 10.0.2.15/24 dev eth0 && ip link set eth0 up || failed "no network interface eth0"
	for entry in /sys/class/net/eth[1-9]; do # the private network: 52:54:00:99:N:H is 10.99.N.H
		[ -e "$entry" ] || continue
		IFS=: read -r _ _ _ _ nic host <"$entry/address"
		name=${entry##*/}
		ip addr add "10.99.$((0x$nic)).$((0x$host))/24" dev "$name" && ip link set "$name" up || failed "no address for $name"
	done
}

serve() { # never returns
	dropbear -s -j -k -r /etc/dropbear/host_key || failed "dropbear does not start"
	echo ready >"$port"

	# The first second ends with a change of the clock source; what is measured must not see it.
	until read -r clock </sys/devices/system/clocksource/clocksource0/current_clocksource && [ "$clock" != tsc-early ]; do
		sleep 0.05
	done
	echo settled >"$port"

	while :; do sleep 1000; done
}

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs kernel self-tests in a guest as tools/testing/selftests/kselftest/runner.sh does, with what a busybox has.
#
# usage: kselftest.sh KMSG FACTOR TIMEOUT COLLECTION:TEST...
#   KMSG     where to say which test is running: /dev/kmsg, so that the kernel's log names the test a complaint came in
#   FACTOR   how many times longer than on hardware a test may take
#   TIMEOUT  seconds instead of each collection's own; 0: its own
# KSELFTEST_<TEST>_ARGS holds a test's arguments, as a shell would read them; TEST in capitals, other characters as `_`.
# Its own lines begin with `## `, a test's with `# `; lab/formats/kselftest.py reads them.

DEFAULT_TIMEOUT=45 # runner.sh's own
ENDLESS=600        # for a collection that sets no limit (timeout=0)
MOST=4000000       # bytes of one test's output

kmsg=$1 factor=$2 override=$3
shift 3
base=$PWD
log=$base/.output
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
umask 022

taint() {
	cat /proc/sys/kernel/tainted
}

limit() { # COLLECTION
	seconds=$DEFAULT_TIMEOUT
	[ -r "$base/$1/settings" ] && while IFS='=' read -r field value; do
		[ "$field" = timeout ] && seconds=$value
	done <"$base/$1/settings"
	[ "$override" -gt 0 ] && seconds=$override
	[ "$seconds" -gt 0 ] || seconds=$ENDLESS
	echo $((seconds * factor))
}

interpreter() { # FILE: the program its first line names, or nothing
	[ "$(head -c 2 "$1" | tr -d '\000')" = "#!" ] || return
	head -n 1 "$1" | cut -c 3- | {
		read -r program word rest
		[ "${program##*/}" = env ] && [ "$word" = -S ] && word=${rest%% *}
		[ "${program##*/}" = env ] && program=$word
		echo "$program"
	}
}

lacks() { # FILE: what the guest does not have
	program=$(interpreter "$1")
	[ -z "$program" ] || command -v "$program" >/dev/null || echo "the guest has no $program"
}

arguments() { # NAME
	printf 'KSELFTEST_%s_ARGS' "$1" | tr -c '[:alnum:]_' _ | tr '[:lower:]' '[:upper:]' | {
		read -r variable
		eval "printf %s \"\${$variable:-}\""
	}
}

run() { # NAME SECONDS
	given=$(arguments "$1")
	if [ -x "$1" ]; then
		set -- "$2" "./$1"
	elif [ -x ./ksft_runner.sh ]; then
		set -- "$2" ./ksft_runner.sh "./$1"
	else # shellcheck disable=SC2046 # an interpreter may have an argument
		set -- "$2" $(head -n 1 "$1" | cut -c 3-) "./$1"
	fi
	eval "set -- \"\$@\" $given"
	seconds=$1
	shift
	command -v stdbuf >/dev/null && set -- stdbuf --output=L "$@"
	timeout -k 10 "$seconds" "$@" </dev/null >"$log" 2>&1
}

one() { # NUMBER COLLECTION:TEST
	collection=${2%:*} name=${2##*:}
	seconds=$(limit "$collection")
	echo "# selftests: $collection: $name"
	echo "## begin $2 limit=$seconds"
	echo "lab: begin $2" >"$kmsg"
	: >"$log"
	status=0 begun=$(date +%s)
	if ! cd "$base/$collection" 2>/dev/null || [ ! -e "$name" ]; then
		echo "# Warning: file $name is missing!"
		status=1
	elif [ ! -x "$name" ] && [ ! -x ./ksft_runner.sh ] && [ -z "$(interpreter "$name")" ]; then
		echo "# Warning: file $name is not executable"
		status=1
	elif lack=$(lacks "$name") && [ -n "$lack" ]; then
		echo "## skip $2 $lack"
		status=4
	else
		run "$name" "$seconds"
		status=$?
	fi
	ended=$(date +%s)
	cd "$base" || exit 1
	head -c $MOST "$log" | sed 's/^/# /'
	[ "$(wc -c <"$log")" -le $MOST ] || printf '\n# lab: the output is cut at %s bytes\n' $MOST
	[ -z "$(tail -c 1 "$log")" ] || echo # a last line without an end
	echo "## end $2 status=$status seconds=$((ended - begun)) taint=$(taint)"
	echo "lab: end $2" >"$kmsg"
	case $status in
	0) echo "ok $1 selftests: $collection: $name" ;;
	4) echo "ok $1 selftests: $collection: $name # SKIP" ;;
	*) echo "not ok $1 selftests: $collection: $name # exit=$status" ;;
	esac
}

# more than ten lines in five seconds would be left out
[ "$kmsg" != /dev/kmsg ] || echo on >/proc/sys/kernel/printk_devkmsg
echo "TAP version 13"
echo "1..$#"
echo "## taint $(taint)"
for test; do
	echo "## plan $test"
done
number=0
for test; do
	number=$((number + 1))
	one $number "$test"
done
echo "## done"

#!/bin/sh
# qemu-of-backports.sh DIR: the QEMU of Debian's backports unpacked into DIR, from the host's own mirror, with its keys; nothing is installed.
# It runs with the libraries that the installed one needs. Prints the directory to put first on PATH.
set -eu
place=$(realpath -- "$1")
. /etc/os-release
[ "$ID" = debian ] || { echo "no Debian, so no backports" >&2; exit 1; }
mirror=$(apt-get indextargets --format '$(CODENAME) $(ORIGIN) $(REPO_URI)' "Created-By: Packages" | sed -n "s/^$VERSION_CODENAME Debian //p" | head -n 1)
[ "$mirror" ] || { echo "apt knows no mirror of $VERSION_CODENAME" >&2; exit 1; }

mkdir -p "$place/lists/partial" "$place/cache/archives/partial" "$place/debs" "$place/root"
echo "deb $mirror $VERSION_CODENAME-backports main" >"$place/sources.list"
cat >"$place/apt.conf" <<EOF
Dir::Etc::SourceList "$place/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$place/lists";
Dir::Cache "$place/cache";
Acquire::http::Timeout "30";
APT::Sandbox::User "root";
EOF
export APT_CONFIG="$place/apt.conf"
apt-get -qq update
cd "$place/debs"
apt-get -qq download "qemu-system-x86/$VERSION_CODENAME-backports" "qemu-system-common/$VERSION_CODENAME-backports" \
	"qemu-system-data/$VERSION_CODENAME-backports"
for package in *.deb; do dpkg-deb -x "$package" "$place/root"; done
"$place/root/usr/bin/qemu-system-x86_64" --version >/dev/null
echo "$place/root/usr/bin"

"""A QEMU that boots nothing: it speaks QMP, writes a console log, says `ready`, runs SSH commands in a scratch directory.

It behaves as the word `fake=NAME[,NAME...]` of -append says, or the first line of the -kernel file when that begins with `fake=`:

    ready (default)  boots and takes commands          failed   init gives up
    warn, oops       the same, with a splat at boot    die      QEMU ends with status 1
    panic            the kernel panics at boot         reset    the guest reboots by itself
    panic-later      ... when a command holds `panic`  mute     not a byte on the console
    spin-later       ... when one holds `spin`         cutlog   the console log loses its end
    quiet            nothing on the console, as asked  nolog    ... as not asked
    spin             a CPU spins, interrupts off       blocked  init in D state; the guest sleeps
    never            init sleeps, never ready          noquit   does not obey QMP's quit
    nosshd           ready, but nobody answers         cut=N    the connection is cut N s after the first command
    gap              /dev/kmsg lost records            release=R  what uname -r says (default 6.12.0-fake)
    lost             the NVMe driver misses an interrupt

The program `inherited` of the guest lists what QEMU was given for NICs and disks.
Commands are run by the host's sh with the guest's /tmp, /root, /sys, /dev/kmsg and /proc/sys/kernel/{tainted,printk} moved
into the scratch directory.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED, cMSG_CHANNEL_SUCCESS

MOVED = re.compile(r"(?<![\w./])/(?=(?:tmp|root|sys|proc/sys/kernel/(?:tainted|printk))\b)")
TASK = """\
[   30.000000] task:{name}            state:{state} stack:0     pid:1     tgid:1     ppid:0      flags:0x00004002
[   30.000001] Call Trace:
[   30.000002]  <TASK>
[   30.000003]  __schedule+0x347/0x850
[   30.000004]  fake_wait+0x10/0x20
"""
SPLATS = {
    "lost": "nvme nvme0: I/O tag 5 (1005) QID 1 timeout, completion polled\n",
    "warn": """\
------------[ cut here ]------------
WARNING: CPU: 0 PID: 1 at kernel/fake.c:12 fake_warn+0x10/0x20
RIP: 0010:fake_warn+0x10/0x20
Call Trace:
 <TASK>
 fake_caller+0x10/0x20
 </TASK>
---[ end trace 0000000000000000 ]---
""",
    "oops": """\
BUG: kernel NULL pointer dereference, address: 0000000000000000
Oops: Oops: 0002 [#1] SMP
RIP: 0010:fake_oops+0x10/0x20
Call Trace:
 <TASK>
 fake_caller+0x10/0x20
 </TASK>
---[ end trace 0000000000000000 ]---
""",
    "panic": """\
Kernel panic - not syncing: fake panic
CPU: 0 UID: 0 PID: 1 Comm: init Not tainted 6.12.0-fake #1
Call Trace:
 <TASK>
 panic+0x2db/0x2f0
 fake_panic+0x10/0x20
 </TASK>
---[ end Kernel panic - not syncing: fake panic ]---
""",
}
REGISTERS = """\
CPU#0
RAX=0000000000000000 RSP=ffff888000000000
RIP={rip:016x} RFL={flags:08x} [-------] CPL=0 II=0 A20=1 SMM=0 HLT={halted}
"""


class Fake:
    """One fake guest."""

    def __init__(self, argv: list[str]) -> None:
        self.options = [(argv[at], argv[at + 1]) for at in range(len(argv) - 1) if argv[at].startswith("-")]
        self.kernel = Path(self.option("-kernel"))
        self.words = self._words()
        self.console_log = Path(re.findall(r"logfile=([^,]*)", self.chardev("console"))[0])
        self.root = Path(tempfile.mkdtemp(prefix="fake-guest-"))
        self.lock = threading.Lock()
        self.kmsg: list[str] = []
        self.qmp_link: socket.socket | None = None
        self.negotiated = threading.Event()
        self.port = 0
        for name in ("tmp", "root", "bin", "sys/devices/system/clocksource/clocksource0", "proc/sys/kernel"):
            (self.root / name).mkdir(parents=True)
        (self.root / "sys/devices/system/clocksource/clocksource0/current_clocksource").write_text("tsc\n")
        taint = sum(bit for word, bit in {"warn": 1 << 9, "oops": 1 << 7}.items() if word in self.words)
        (self.root / "proc/sys/kernel/tainted").write_text(f"{taint}\n")
        (self.root / "proc/sys/kernel/printk").write_text(f"{4 if 'quiet' in self.words else 7}\t4\t1\t7\n")
        self._program("uname", f"echo {self.words.get('release', '6.12.0-fake')}")
        self._program("nproc", f"echo {self.option('-smp').partition(',')[0]}")
        number = f"$(($(tail -n1 {self.root}/kmsg | cut -d, -f2) + 1))"
        self._program("to-kmsg", f'echo "13,{number},0,-;$1" >>{self.root}/kmsg')
        self._program("inherited", "\n".join(f"echo '{line}'" for line in self.inherited()))
        self._program("dmesg", f"sed 's/^[^;]*;//' {self.root}/kmsg")

    def option(self, name: str) -> str:
        """The last value of an option."""
        return [value for key, value in self.options if key == name][-1]

    def chardev(self, name: str) -> str:
        """The words of a character device."""
        return next(value for key, value in self.options if key == "-chardev" and f"id={name}" in value)

    def socket_of(self, name: str) -> socket.socket:
        """The socket it ends in."""
        return socket.socket(fileno=int(re.findall(r"fd=(\d+)", self.chardev(name))[0]))

    def inherited(self) -> list[str]:
        """What the descriptors of NICs and disks are: `tap: 8 x /dev/net/tun`."""
        netdevs = [value for key, value in self.options if key == "-netdev"]
        groups = [
            *(("tap", found.split(":")) for value in netdevs for found in re.findall(r"^tap,.*\bfds=([\d:]+)", value)),
            *(("frames", [found]) for value in netdevs for found in re.findall(r"^dgram,.*local\.str=(\d+)", value)),
            *(("disk", re.findall(r"fd=(\d+)", value)) for key, value in self.options if key == "-add-fd"),
        ]
        links = [(kind, len(fds), {str(Path(f"/proc/self/fd/{fd}").readlink()) for fd in fds}) for kind, fds in groups]
        return [f"{kind}: {count} x {' '.join(sorted(names))}" for kind, count, names in links]

    def _words(self) -> dict[str, str]:
        text = self.option("-append")
        if self.kernel.stat().st_size < 4096:
            text += " " + self.kernel.read_text(errors="replace").partition("\n")[0]
        names = [word for found in re.findall(r"(?:^|\s)fake=(\S+)", text) for word in found.split(",")]
        return {name: value for name, _, value in (word.partition("=") for word in names)}

    def _program(self, name: str, text: str) -> None:
        path = self.root / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    # -- the kernel ---------------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Kernel messages, on the console and in kmsg."""
        with self.lock, self.console_log.open("a") as log:
            for line in text.splitlines():
                stamp = time.monotonic() % 1000
                if "cutlog" not in self.words or not self.kmsg:
                    log.write(f"[{stamp:12.6f}] {line}\n")
                number = len(self.kmsg) + (5 if "gap" in self.words and len(self.kmsg) > 2 else 0)
                self.kmsg.append(f"6,{number},{int(stamp * 1e6)},-;{line}")
        (self.root / "kmsg").write_text("\n".join(self.kmsg) + "\n")

    def boot(self) -> None:
        """Everything up to ready, or what it does instead."""
        if "die" in self.words:
            sys.stderr.write("qemu-system-x86_64: fake: could not do it\n")
            self.leave(1)
        if "mute" in self.words:
            return
        if self.words.keys() & {"quiet", "nolog"}:
            self.console_log = self.root / "nowhere"
        self.say(f"Linux version {self.words.get('release', '6.12.0-fake')} (fake)\nCommand line: {self.option('-append')}")
        for name in [word for word in self.words if word in SPLATS and word != "panic"]:
            self.say(SPLATS[name])
        for name in [word for word in self.words if word in ("panic", "reset")]:
            {"panic": self.panic, "reset": self.reset}[name]()
        while "spin" in self.words:
            pass
        self.init()

    def init(self) -> None:
        """User land."""
        ready = self.socket_of("ready")
        ready.sendall(b"init\n")
        if "failed" in self.words:
            ready.sendall(b"failed fake reason\n")
        if not self.words.keys() & {"failed", "blocked", "never"}:
            ready.sendall(b"ready\nsettled\n")

    def panic(self) -> None:
        """Say so and reset."""
        self.say(SPLATS["panic"])
        self.reset()

    def reset(self) -> None:
        """-no-reboot: QEMU ends."""
        self.event("SHUTDOWN", guest=True, reason="guest-reset")
        self.leave(0)

    def leave(self, status: int) -> None:
        """End QEMU."""
        shutil.rmtree(self.root, ignore_errors=True)
        sys.stderr.flush()
        os._exit(status)

    def sysrq(self, link: socket.socket) -> None:
        """Answer keys on the console."""
        while key := link.recv(1):
            if key in b"wt":
                blocked, never = "blocked" in self.words, "never" in self.words
                with self.console_log.open("a") as log:
                    log.write(f"[   30.000000] sysrq: Show {'Blocked' if key == b'w' else ''} State\n")
                    if blocked or (never and key == b"t"):
                        log.write(TASK.format(name="init", state="D" if blocked else "S"))
            else:
                link.sendall(b"echo " + key)

    # -- QMP ----------------------------------------------------------------------------------------------------------

    def event(self, name: str, **data: Any) -> None:
        """Tell QMP's client, once it has negotiated: no real guest gets anywhere before that."""
        if self.negotiated.wait(10) and self.qmp_link is not None:
            stamp = {"seconds": int(time.time()), "microseconds": 0}
            self.qmp_link.sendall(json.dumps({"event": name, "data": data, "timestamp": stamp}).encode() + b"\r\n")

    def qmp(self) -> None:
        """The machine protocol: the commands the lab uses."""
        self.qmp_link = link = self.socket_of("qmp")
        version = {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "fake"}
        link.sendall(json.dumps({"QMP": {"version": version, "capabilities": []}}).encode() + b"\r\n")
        for message in messages(link):
            name, arguments = message["execute"], message.get("arguments", {})
            if name == "quit" and "noquit" in self.words:
                continue
            answer = {"return": self.monitor(arguments["command-line"]) if name == "human-monitor-command" else {}}
            named = {"id": message["id"]} if "id" in message else {}
            link.sendall(json.dumps({**answer, **named}).encode() + b"\r\n")
            self.negotiated.set()
            if name == "quit":
                self.event("SHUTDOWN", guest=False, reason="host-qmp-quit")
                self.leave(0)

    def monitor(self, line: str) -> str:
        """The human monitor: where the CPU is, which port is forwarded."""
        if line.startswith("info usernet"):
            return f"  TCP[HOST_FORWARD]  11       127.0.0.1 {self.port}       10.0.2.15    22     0     0\r\n"
        if line.startswith("info registers"):
            spins = "spin" in self.words
            return REGISTERS.format(rip=0xFFFFFFFF81000100, flags=0x46 if spins else 0x246, halted=0 if spins else 1)
        return ""

    # -- sshd ---------------------------------------------------------------------------------------------------------

    def listen(self) -> socket.socket:
        """The forwarded port."""
        door = socket.create_server(("127.0.0.1", 0))
        self.port = int(door.getsockname()[1])
        return door

    def serve(self, door: socket.socket) -> None:
        """Accept connections, one thread each."""
        host_key, authorized = keys_of(Path(self.option("-initrd")))
        while True:
            link, _ = door.accept()
            if "nosshd" in self.words:
                link.close()
                continue
            transport = Answering(link)
            transport.add_server_key(host_key)
            transport.start_server(server=Sshd(self, authorized), event=threading.Event())

    def run(self, command: str, channel: paramiko.Channel) -> None:
        """Run a command of the guest on the host and hand its streams over."""
        if "cut" in self.words and not command.startswith("{ :\n"):
            threading.Timer(float(self.words.pop("cut")), lambda: channel.get_transport().close()).start()
        if "panic-later" in self.words and "panic" in command:
            self.panic()
        while "spin-later" in self.words and "spin" in command:
            self.words["spin"] = ""
        moved = MOVED.sub(f"{self.root}/", command)
        moved = re.sub(r"echo '([^']*)' >/dev/kmsg", rf"{self.root}/bin/to-kmsg '\1'", moved)
        moved = moved.replace("kselftest.sh /dev/kmsg", "kselftest.sh /dev/null")  # it writes there, and a file would be cut
        moved = moved.replace("/dev/kmsg", f"{self.root}/kmsg")
        words = ["setpriv", "--pdeathsig", "KILL", "sh", "-c", moved]
        path = f"{self.root}/bin:{os.environ['PATH']}"
        pipe = subprocess.PIPE
        with subprocess.Popen(
            words, stdin=pipe, stdout=pipe, stderr=pipe, cwd=self.root / "root", env={"PATH": path}, start_new_session=True
        ) as process:
            assert process.stdin and process.stdout and process.stderr
            threads = [
                threading.Thread(target=copy, args=(process.stdout.read1, channel.sendall), daemon=True),  # type: ignore[attr-defined]
                threading.Thread(target=copy, args=(process.stderr.read1, channel.sendall_stderr), daemon=True),  # type: ignore[attr-defined]
            ]
            feeder = threading.Thread(target=feed, args=(channel, process.stdin), daemon=True)
            for thread in (*threads, feeder):
                thread.start()
            for thread in threads:
                thread.join()
            status = process.wait()
        channel.send_exit_status(status if status >= 0 else 128 - status)
        channel.close()


class Sshd(paramiko.ServerInterface):
    """The guest's sshd: one user, one key."""

    def __init__(self, fake: Fake, authorized: str) -> None:
        self.fake = fake
        self.authorized = authorized

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = username == "root" and key.get_base64() == self.authorized
        return AUTH_SUCCESSFUL if good else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        transport = channel.get_transport()
        assert isinstance(transport, Answering)
        transport.due = threading.Thread(target=self.fake.run, args=(command.decode(), channel), daemon=True)
        return True


class Answering(paramiko.Transport):
    """Starts a command once its request has been answered: to a client, one that ended before was never there."""

    due: threading.Thread | None = None

    def _send_user_message(self, data: paramiko.Message) -> None:
        super()._send_user_message(data)  # type: ignore[misc]  # the stubs leave it out
        if self.due and data.asbytes()[:1] == cMSG_CHANNEL_SUCCESS:
            due, self.due = self.due, None
            due.start()


def messages(link: socket.socket) -> Iterator[dict[str, Any]]:
    """JSON objects one after the other, with or without newlines."""
    text, decoder = "", json.JSONDecoder()
    while data := link.recv(4096):
        text += data.decode()
        while text := text.lstrip():
            try:
                message, end = decoder.raw_decode(text)
            except json.JSONDecodeError:
                break
            text = text[end:]
            yield message


def copy(read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
    """All of it."""
    try:
        while data := read(65536):
            write(data)
    except OSError:
        return


def feed(channel: paramiko.Channel, sink: io.BufferedWriter) -> None:
    """The client's input to the command."""

    def write(data: bytes) -> None:
        sink.write(data)
        sink.flush()

    copy(channel.recv, write)
    try:
        sink.close()
    except OSError:
        return


def keys_of(initrd: Path) -> tuple[paramiko.PKey, str]:
    """The image's host key and the client key it lets in, read from its archive (newc; dropbear's key format)."""
    files = read_archive(initrd.read_bytes())
    raw = files["etc/dropbear/host_key"]
    skip = 4 + struct.unpack(">I", raw[:4])[0] + 4
    private = Ed25519PrivateKey.from_private_bytes(raw[skip : skip + 32])
    text = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return paramiko.Ed25519Key.from_private_key(io.StringIO(text)), files["root/.ssh/authorized_keys"].decode().split()[1]


def read_archive(raw: bytes) -> dict[str, bytes]:
    """The members of a newc archive."""
    found: dict[str, bytes] = {}
    at = 0
    while True:
        size, length = int(raw[at + 54 : at + 62], 16), int(raw[at + 94 : at + 102], 16)
        name = raw[at + 110 : at + 109 + length].decode()
        data = at + (110 + length + 3 & ~3)
        if name == "TRAILER!!!":
            return found
        found[name] = raw[data : data + size]
        at = data + (size + 3 & ~3)


def main(argv: list[str]) -> None:
    """Be QEMU."""
    fake = Fake(argv)
    door = fake.listen()
    console = fake.socket_of("console")

    def answer_console() -> None:
        while True:
            fake.sysrq(console.accept()[0])

    for work in (fake.qmp, answer_console, lambda: fake.serve(door)):
        threading.Thread(target=work, daemon=True).start()
    fake.boot()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])

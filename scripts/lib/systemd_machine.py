# SPDX-License-Identifier: Apache-2.0
"""The packaged units on a machine that Debian's systemd boots: QEMU, without KVM, twice the same disk.

usage: systemd_machine.py BUILD RESULTS.xml

Programs and units of the folder BUILD are installed in the guest as a package does it. The tests of
tests/machine run there as a unit: test_first_boot.py, then a reboot as an operator does it, then
test_second_boot.py, which also looks at what the shutdown has left. Kernel and systemd are unpacked,
not installed; the rest of the root file system is what is installed here.
"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import unified_machine as base  # noqa: E402

ROOT, WORK, run = base.ROOT, base.WORK, base.run
GUEST_LIMIT_S = 900
PROGRAMS = """/usr/sbin/mosquitto /usr/bin/crun /usr/sbin/nft /usr/bin/python3.11 /usr/bin/mount
    /usr/bin/umount /usr/bin/kill""".split()

# As systemd-modules-load does it, which reads an index that busybox does not write.
LOAD_MODULES = f"""[Unit]
Description=what containers need of the kernel
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=-/busybox/modprobe -a {" ".join(base.MODULES)}
[Install]
WantedBy=multi-user.target
"""
MOSQUITTO = """[Unit]
Description=broker of this machine
[Service]
ExecStart=/usr/sbin/mosquitto -c /etc/mosquitto.conf
[Install]
WantedBy=multi-user.target
"""
CLOUD = """[Unit]
Description=the other side of the connection, which writes down what the twin shows
After=mosquitto.service load-modules.service
Before=davitd.service
[Service]
Type=notify
NotifyAccess=all
ExecStart=/usr/bin/python3 /davit/tests/machine/cloud.py
TimeoutStartSec=5min
[Install]
WantedBy=multi-user.target
"""
TEST = """[Unit]
Description=tests of this boot
After=davitd.service davit-monitor.service davit-shutdown.service mosquitto.service cloud.service
[Service]
Type=exec
WorkingDirectory=/davit
Environment=LC_ALL=C.UTF-8 DAVIT_E2E_SLOW=4
ExecStart=/davit/run-tests
StandardOutput=journal+console
StandardError=journal+console
[Install]
WantedBy=multi-user.target
"""
RUN_TESTS = """#!/busybox/sh
export PATH=/usr/sbin:/usr/bin:/busybox HOME=/root
results=/var/lib/machine
mkdir -p $results
boot=first
[ -e $results/first.xml ] && boot=second
python3 -m pytest -x -q -p no:cacheprovider --tb=short --junitxml=$results/$boot.xml \\
    tests/machine/test_${boot}_boot.py > $results/$boot.txt 2>&1
tail -n 3 $results/$boot.txt
journalctl -b --no-pager -o short-monotonic > $results/$boot-journal.txt
if [ $boot = first ]; then
    exec systemctl reboot
fi
cd $results && tar -cf /dev/nvme0n2 *.xml *.txt
sync
exec systemctl poweroff
"""
CONFIG = """{"log": {"log_file": "", "log_level": "DEBUG"},
 "connection": {"broker_url": "tcp://127.0.0.1:1883"}, "davit": {"runtime": "crun"}}
"""
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\nadm:x:4:\ntty:x:5:\nutmp:x:43:\nsystemd-journal:x:101:\n",
    "etc/hosts": "127.0.0.1 localhost\n", "etc/hostname": "gateway\n", "etc/resolv.conf": "",
    "etc/nsswitch.conf": "hosts: files\npasswd: files\ngroup: files\n",
    "etc/machine-id": "6f8ba1b33a1c4c6f9d0f7a0c5f2b9e11\n", "etc/os-release": "ID=debian\n",
    "etc/mosquitto.conf": "listener 1883 127.0.0.1\nallow_anonymous true\npersistence false\n"
                          "user root\nlog_dest stderr\n",
    "etc/davit/config.json": CONFIG,
    "etc/systemd/system/load-modules.service": LOAD_MODULES,
    "etc/systemd/system/mosquitto.service": MOSQUITTO,
    "etc/systemd/system/cloud.service": CLOUD,
    "etc/systemd/system/machine-test.service": TEST,
    "davit/run-tests": RUN_TESTS,
}
ENABLED = "davitd davit-monitor davit-shutdown load-modules mosquitto cloud machine-test".split()


def fetch_systemd():
    """systemd and the libraries that it needs, unpacked below WORK/systemd once."""
    folder = WORK / "systemd"
    if folder.exists():
        return folder
    depends = run("apt-cache", "depends", "--no-recommends", "--no-suggests", "--no-conflicts",
                  "--no-breaks", "--no-replaces", "--no-enhances", "systemd")
    packages = re.findall(r"^ +(?:Pre)?Depends: (lib\S+|mount)$", depends, re.MULTILINE)
    aside, debs = WORK / "systemd.new", WORK / "debs"
    for left in (aside, debs):
        shutil.rmtree(left, ignore_errors=True)
    debs.mkdir()
    run("apt-get", "-qq", "download", "systemd", *dict.fromkeys(packages), cwd=debs,
        stderr=subprocess.DEVNULL)
    for deb in debs.glob("*.deb"):
        run("dpkg-deb", "-x", deb, aside)
    shutil.rmtree(debs)
    aside.rename(folder)
    return folder


def add_systemd(tree, folder):
    """What was unpacked; in the guest, as here, /lib and /sbin are links into /usr."""
    for name in ("bin", "sbin", "lib", "usr/bin", "usr/sbin", "usr/lib"):
        source = folder / name
        if source.exists():
            shutil.copytree(source, tree.top / "usr" / name.removeprefix("usr/"), symlinks=True,
                            dirs_exist_ok=True)
    shutil.copytree(folder / "etc", tree.top / "etc", symlinks=True, dirs_exist_ok=True)


def make_root(build, version):
    tree = base.Tree(WORK / "root-systemd")
    add_systemd(tree, fetch_systemd())
    for program in PROGRAMS:
        if pathlib.Path(program).exists():
            tree.add(program)
    base.add_python(tree)
    run("cmake", "--install", build, "--prefix", "/usr",
        env={**os.environ, "DESTDIR": str(tree.top)})
    tree.add_libraries()
    base.add_busybox(tree)
    base.add_modules(tree, version)
    for folder in ("tests/e2e/harness", "tests/machine"):
        shutil.copytree(ROOT / folder, tree.top / "davit" / folder,
                        ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in FILES.items():
        path = tree.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tree.top / "davit/run-tests").chmod(0o755)
    (tree.top / "var/log/journal").mkdir(parents=True)
    units = tree.top / "etc/systemd/system"
    wants = units / "multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    for name in ENABLED:
        local = units / f"{name}.service"
        folder = "/etc" if local.exists() else "/usr/lib"
        (wants / local.name).symlink_to(f"{folder}/systemd/system/{local.name}")
    for name in ("getty.target", "getty-static.service"):
        (units / name).symlink_to("/dev/null")
    (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
    return base.make_image(tree, WORK / "root-systemd.img")


def boot(kernel, image, disk):
    """One life of the machine, to its reboot or power-off; its console on our standard output."""
    command = base.emulator(kernel, image, disk, "console=ttyS0 panic=-1 quiet loglevel=3 "
                            "root=/dev/nvme0n1 rootfstype=ext4 rw systemd.getty_auto=no "
                            "systemd.show_status=no systemd.firstboot=no "
                            "init=/lib/systemd/systemd", keeps_root=True)
    subprocess.run(command, stdin=subprocess.DEVNULL, timeout=GUEST_LIMIT_S, check=True)


def take_results(disk, results):
    merged = xml.etree.ElementTree.Element("testsuites")
    with tarfile.open(disk) as archive:
        texts = {member.name: archive.extractfile(member).read() for member in archive}
    for name in ("first", "second"):
        merged.extend(xml.etree.ElementTree.fromstring(texts[f"{name}.xml"]).iter("testsuite"))
        print(texts[f"{name}.txt"].decode(errors="replace")[-10000:])
    xml.etree.ElementTree.ElementTree(merged).write(results)
    for name, text in texts.items():
        (WORK / f"systemd-{name}").write_bytes(text)


def main():
    build, results = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    WORK.mkdir(parents=True, exist_ok=True)
    disk = WORK / "root-systemd-results.img"
    try:
        kernel, version = base.fetch_kernel()
        image = make_root(build, version)
        disk.unlink(missing_ok=True)
        run("truncate", "-s", "32M", disk)
        for number in ("first", "second"):
            start = time.monotonic()
            boot(kernel, image, disk)
            print(f"{number} boot: {time.monotonic() - start:.0f} s", flush=True)
        take_results(disk, results)
    except subprocess.CalledProcessError as error:
        print(f"{shlex.join(map(str, error.cmd))[:300]} ended with {error.returncode}")
        return 1
    except subprocess.TimeoutExpired:
        print(f"the guest was not done after {GUEST_LIMIT_S} s")
        return 1
    except (tarfile.TarError, KeyError) as error:
        print(f"the guest left no results: {error}")
        return 1
    image.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())

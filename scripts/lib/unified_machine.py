# SPDX-License-Identifier: Apache-2.0
"""End-to-end tests on a machine that has cgroup v2 alone: Debian's kernel in QEMU, without KVM.

usage: unified_machine.py PROGRAMS RESULTS.xml [RUNTIME [PYTEST ARGUMENT ...]]

The root file system is made of what is installed here: the programs and libraries that the tests
need, Python and the tests themselves. The kernel is unpacked, not installed. What the guest found
comes back through a second disk; without it the run failed, whatever QEMU says.
"""
import fcntl
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "unified"
KERNEL_PACKAGE = "linux-image-cloud-amd64"
PROGRAMS = """/usr/sbin/mosquitto /usr/bin/docker-registry /usr/sbin/runc /usr/bin/crun
    /usr/sbin/nft /usr/bin/openssl /usr/bin/python3.11 /usr/bin/ip /usr/sbin/ip /usr/bin/mount /usr/bin/umount""".split()
PYTHON_PACKAGES = """python3-pytest python3-pluggy python3-iniconfig python3-packaging python3-attr
    python3-paho-mqtt""".split()
MODULES = """overlay veth bridge br_netfilter nf_tables nft_masq nft_nat nft_chain_nat nft_ct
    nft_fib_inet nft_compat nft_redir nft_reject_inet nf_conntrack_netlink dummy""".split()
# A guest without KVM is so much slower; the tests wait that much longer.
SLOW = "10"
GUEST_LIMIT_S = 1500

INIT = r"""#!/busybox/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/busybox LC_ALL=C.UTF-8 HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control
done
for module in @MODULES@; do
    modprobe $module 2> /dev/null
done
ip link set lo up
cd /davit
export DAVIT_E2E_BIN=/davit/bin DAVIT_E2E_RUNTIME=@RUNTIME@ DAVIT_E2E_SLOW=@SLOW@ DAVIT_E2E_MACHINE=1
python3.11 -m pytest -q -p no:cacheprovider --tb=short -m "runtime or machine" --junitxml=/tmp/results.xml \
    tests/e2e @ARGUMENTS@ > /tmp/output.txt 2>&1
tail -n 5 /tmp/output.txt
cd /tmp && tar -cf /dev/nvme0n2 results.xml output.txt
sync
poweroff -f
"""


def run(*arguments, **options):
    return subprocess.run([str(a) for a in arguments], check=True, text=True,
                          stdout=subprocess.PIPE, **options).stdout


def fetch_kernel():
    """Kernel and modules, unpacked below WORK/kernel once, however many ask; (image, version)."""
    with open(WORK / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return fetch_kernel_alone()


def fetch_kernel_alone():
    depends = run("apt-cache", "depends", KERNEL_PACKAGE)
    package = re.search(r"Depends: (linux-image-\S+)", depends)[1]
    version = package.removeprefix("linux-image-")
    folder = WORK / "kernel"
    image = folder / "boot" / f"vmlinuz-{version}"
    if not image.exists():
        aside = WORK / "kernel.new"
        for left in (folder, aside):
            shutil.rmtree(left, ignore_errors=True)
        run("apt-get", "-qq", "download", package, cwd=WORK)
        deb = next(WORK.glob(f"{package}_*.deb"))
        run("dpkg-deb", "-x", deb, aside)
        deb.unlink()
        aside.rename(folder)
    return image, version


class Tree:
    """A root file system that grows by what is copied from this one."""

    def __init__(self, top):
        shutil.rmtree(top, ignore_errors=True)
        self.top = top
        for folder in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "busybox", "proc", "sys",
                       "dev", "run", "tmp", "var/tmp", "root", "etc", "davit/bin"):
            (top / folder).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (top / name).symlink_to(f"usr/{name}")
        (top / "tmp").chmod(0o1777)
        (top / "var/tmp").chmod(0o1777)

    def place(self, path):
        return self.top / str(path).lstrip("/")

    def add(self, path, target=None):
        target = self.place(target or path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy2(path, target)

    def add_folder(self, path, ignore=()):
        shutil.copytree(path, self.place(path), dirs_exist_ok=True, symlinks=True,
                        ignore=shutil.ignore_patterns(*ignore))

    def add_libraries(self):
        """What the dynamic linker wants for every program and library in the tree."""
        files = [str(path) for path in self.top.rglob("*")
                 if path.is_file() and not path.is_symlink() and is_elf(path)]
        found = subprocess.run(["ldd", *files], text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL).stdout
        for library in set(re.findall(r"(/\S+) \(0x", found)):
            if not library.startswith(str(self.top)):
                self.add(library)


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def add_python(tree):
    tree.add_folder("/usr/lib/python3.11", ("test", "idlelib", "lib2to3", "tkinter", "config-*"))
    packages = pathlib.Path("/usr/lib/python3/dist-packages")
    names = set()
    for line in run("dpkg", "-L", *PYTHON_PACKAGES).splitlines():
        path = pathlib.Path(line)
        if packages in path.parents:
            names.add(path.relative_to(packages).parts[0])
    for name in names:
        source = packages / name
        tree.add_folder(source) if source.is_dir() else tree.add(source)
    tree.place("/usr/bin/python3").symlink_to("python3.11")


def busybox():
    return next(p for p in ("/usr/bin/busybox", "/bin/busybox") if pathlib.Path(p).exists())


def add_busybox(tree):
    tree.add(busybox(), "/usr/bin/busybox")
    for applet in run(busybox(), "--list").split():
        (tree.top / "busybox" / applet).symlink_to("/usr/bin/busybox")


def add_modules(tree, version):
    modules = f"lib/modules/{version}"
    shutil.copytree(WORK / "kernel" / modules, tree.top / "usr" / modules, dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("sound", "gpu", "infiniband", "scsi", "media"))
    run(busybox(), "depmod", "-b", tree.top, version, stderr=subprocess.DEVNULL)


def make_image(tree, image):
    """The file system of the tree, which goes."""
    image.unlink(missing_ok=True)
    run("truncate", "-s", "1500M", image)
    run("mkfs.ext4", "-q", "-O", "^has_journal", "-d", tree.top, image)
    shutil.rmtree(tree.top)
    return image


def make_root(programs, runtime, version, arguments):
    tree = Tree(WORK / f"root-{runtime}")
    for program in PROGRAMS:
        if pathlib.Path(program).exists():
            tree.add(program)
    add_python(tree)
    for program in programs.iterdir():
        if program.is_file() and is_elf(program):
            tree.add(program, f"/davit/bin/{program.name}")
    tree.add_libraries()
    add_busybox(tree)
    add_modules(tree, version)
    for folder in ("tests/e2e", "tests/golden"):
        shutil.copytree(ROOT / folder, tree.top / "davit" / folder,
                        ignore=shutil.ignore_patterns("__pycache__"))
    # Read by the tests.
    (tree.top / "davit" / "base").mkdir()
    shutil.copy2(ROOT / "base" / "fault.def", tree.top / "davit" / "base")
    for name, text in {
            "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n",
            "etc/hosts": "127.0.0.1 localhost\n", "etc/hostname": "unified\n",
            "etc/resolv.conf": "", "etc/nsswitch.conf": "hosts: files\npasswd: files\n",
            "init": INIT.replace("@MODULES@", " ".join(MODULES)).replace("@SLOW@", SLOW)
                        .replace("@RUNTIME@", runtime)
                        .replace("@ARGUMENTS@", shlex.join(arguments))}.items():
        (tree.top / name).write_text(text)
    (tree.top / "init").chmod(0o755)
    return make_image(tree, WORK / f"root-{runtime}.img")


def emulator(kernel, image, disk, options, keeps_root=False):
    """The command of QEMU; what is written to the root disk is kept only if told."""
    return [
        "qemu-system-x86_64", "-accel", "tcg,tb-size=256", "-machine", "q35",
        "-cpu", "qemu64,+rdrand", "-smp", "2", "-m", "1024", "-nodefaults", "-no-user-config",
        "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", str(kernel),
        "-device", "nvme,id=nv,serial=unified",
        "-drive", f"file={image},format=raw,if=none,id=root,snapshot={'off' if keeps_root else 'on'}",
        "-device", "nvme-ns,drive=root,bus=nv,nsid=1",
        "-drive", f"file={disk},format=raw,if=none,id=results",
        "-device", "nvme-ns,drive=results,bus=nv,nsid=2",
        "-append", options]


def boot(kernel, image, results):
    """True if the guest came to its end; its console on our standard output."""
    disk = image.with_name(f"{image.stem}-results.img")
    disk.unlink(missing_ok=True)
    run("truncate", "-s", "32M", disk)
    command = emulator(kernel, image, disk, "console=ttyS0 panic=-1 quiet loglevel=1 "
                       "root=/dev/nvme0n1 rootfstype=ext4 rw init=/init")
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, timeout=GUEST_LIMIT_S)
    except subprocess.TimeoutExpired:
        print(f"the guest was not done after {GUEST_LIMIT_S} s")
        return False
    try:
        with tarfile.open(disk) as archive:
            results.write_bytes(archive.extractfile("results.xml").read())
            print(archive.extractfile("output.txt").read().decode(errors="replace")[-20000:])
    except (tarfile.TarError, KeyError) as error:
        print(f"the guest left no results: {error}")
        return False
    return True


def main():
    programs, results = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    runtime = sys.argv[3] if len(sys.argv) > 3 else "crun"
    WORK.mkdir(parents=True, exist_ok=True)
    try:
        kernel, version = fetch_kernel()
        image = make_root(programs, runtime, version, sys.argv[4:])
    except subprocess.CalledProcessError as error:
        print(f"the machine could not be made: {shlex.join(error.cmd)[:300]} ended with "
              f"{error.returncode}")
        return 1
    done = boot(kernel, image, results)
    image.unlink()
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())

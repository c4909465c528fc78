# SPDX-License-Identifier: MIT
"""Fetches Debian packages of another architecture without touching the system's package database.

apt runs with an architecture, a state folder and a cache of its own below `.cache/apt/`, and with the
system's sources and keyrings, so that mirrors, proxies and signatures are those the machine already has; a
suite other than the system's is looked for on the same mirror. Nothing is installed and nothing needs root:
packages are downloaded and unpacked by dpkg-deb. Raises Failure with one sentence for the user."""
import glob
import os
import re
import shutil
import subprocess


SUITE_SOURCE = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {} {} main\n"


class Failure(Exception):
    """What went wrong, as a sentence for the user."""


def _run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **more)


def system_mirror():
    """Where the system's apt finds Debian itself, as opposed to its security updates or others' packages."""
    result = _run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"])
    found = [uri for uri in result.stdout.split() if re.search(r"/debian/?$", uri)]
    if not found:
        raise Failure("the system's apt sources name no mirror of Debian.")
    return found[0]


class PrivateApt:
    def __init__(self, cache_dir, architecture, suite=None):
        self.dir = os.path.join(cache_dir, "apt", f"{architecture}-{suite}" if suite else architecture)
        self.architecture = architecture
        for tool in ("apt-get", "apt-cache", "dpkg-deb"):
            if not shutil.which(tool):
                raise Failure(f"{tool} is missing: guest images are made from Debian packages, on a Debian host.")
        for sub in ("lists/partial", "archives/partial"):
            os.makedirs(os.path.join(self.dir, sub), exist_ok=True)
        self.status = os.path.join(self.dir, "status")
        with open(self.status, "a", encoding="ascii"):
            pass
        settings = {
            "APT::Architecture": architecture, "APT::Architectures": architecture, "APT::Sandbox::User": "root",
            "Dir::State": self.dir, "Dir::State::status": self.status, "Dir::State::lists": self.dir + "/lists",
            "Dir::Cache": self.dir, "Dir::Cache::archives": self.dir + "/archives",
            "Acquire::Languages": "none", "APT::Update::Post-Invoke::": "", "Dir::Log": self.dir,
        }
        if suite:
            source = os.path.join(self.dir, "sources.list")
            with open(source, "w", encoding="ascii") as stream:
                stream.write(SUITE_SOURCE.format(system_mirror(), suite))
            # a mirror that lags may show a release file of a moving suite past its validity date
            settings.update({"Dir::Etc::sourcelist": source, "Dir::Etc::sourceparts": "/dev/null",
                             "Acquire::Check-Valid-Until": "false"})
        self.options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]

        self.complaint = ""

    def update(self):
        """Brings the lists; a source that fails is no error as long as the packages are found."""
        result = _run(["apt-get", "-q", *self.options, "update"])
        self.complaint = next((ln for ln in result.stderr.splitlines() if ln.startswith(("E:", "W:"))), "")

    def _show(self, package):
        result = _run(["apt-cache", *self.options, "--no-all-versions", "show", package])
        fields = dict(re.findall(r"^([\w-]+): (.*)$", result.stdout, re.M))
        return fields if result.returncode == 0 and "Version" in fields else None

    def resolve(self, package, follow=None):
        """(name, version) of the package, or of the dependency of it whose name matches `follow`."""
        fields = self._show(package)
        if fields is None:
            hint = f"; apt said: {self.complaint.strip()}" if self.complaint else "."
            raise Failure(f"the system's apt sources offer no package {package} for {self.architecture}{hint}")
        if follow is None:
            return package, fields["Version"]
        for depends in re.split(r"[,|]\s*", fields.get("Depends", "")):
            name = depends.split()[0] if depends.split() else ""
            if re.fullmatch(follow, name):
                return self.resolve(name)
        raise Failure(f"{package} depends on no package like {follow}.")

    def download(self, name, version, folder, architecture=None):
        """Path of the .deb in `folder`; apt checks its size and hash against the signed lists. architecture: "all" of a
        package for every one."""
        result = _run(["apt-get", "-q", *self.options, "download", f"{name}={version}"], cwd=folder)
        suffix = f"_{architecture or self.architecture}.deb"
        found = [f for f in os.listdir(folder) if f.startswith(f"{name}_") and f.endswith(suffix)]
        if result.returncode != 0 or not found:
            lines = [ln for ln in result.stderr.splitlines() if ln.startswith("E:")]
            raise Failure(f"apt could not download {name} {version} ({(lines or ['no reason given'])[0]}).")
        return os.path.join(folder, found[0])

    def download_closure(self, packages):
        """Paths of the packages' .debs and of all they depend on, whatever the system has installed. Essential
        packages come only where something names them."""
        archives = os.path.join(self.dir, "archives")
        for name in os.listdir(archives):
            if name.endswith(".deb"):
                os.unlink(os.path.join(archives, name))
        result = _run(["apt-get", "-q", "-y", *self.options, "-o", "Debug::NoLocking=1", "--no-install-recommends",
                       "--download-only", "install", *packages])
        found = sorted(os.path.join(archives, f) for f in os.listdir(archives) if f.endswith(".deb"))
        if result.returncode != 0 or not found:
            lines = [ln for ln in result.stderr.splitlines() if ln.startswith("E:")]
            why = (lines or [self.complaint or "no reason given"])[0]
            raise Failure(f"apt could not bring {' '.join(packages)} ({why}).")
        return found


def unpack(deb, folder):
    result = _run(["dpkg-deb", "-x", deb, folder])
    if result.returncode != 0:
        raise Failure(f"dpkg-deb could not unpack {os.path.basename(deb)} ({result.stderr.strip()}).")


def make_tree(folder, apt, packages, trim=()):
    """Unpacks the packages and what they need into `folder`, complete or not at all, without what the patterns in
    `trim` name; folder + ".packages" then lists the .debs, which is how the caller tells that the tree is there."""
    scratch = folder + ".new"
    shutil.rmtree(scratch, ignore_errors=True)
    apt.update()
    debs = apt.download_closure(packages)
    os.makedirs(scratch)
    for deb in debs:
        unpack(deb, scratch)
        os.unlink(deb)
    for pattern in trim:
        for path in glob.glob(os.path.join(scratch, pattern)):
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(scratch, folder)
    with open(folder + ".packages", "w", encoding="utf-8") as stream:
        stream.writelines(os.path.basename(deb)[:-len(".deb")].replace("%3a", ":") + "\n" for deb in debs)

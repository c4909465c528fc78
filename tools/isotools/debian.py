# SPDX-License-Identifier: MIT
"""Fetches Debian packages of another architecture without touching the system's package database.

apt runs with an architecture, a state folder and a cache of its own below `.cache/apt/`, and with the system's
sources and keyrings, so that mirrors, proxies and signatures are those the machine already has. Nothing is
installed: a package is downloaded and unpacked by dpkg-deb. Raises Failure with one sentence for the user."""
import os
import re
import shutil
import subprocess


class Failure(Exception):
    """What went wrong, as a sentence for the user."""


def _run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **more)


class PrivateApt:
    def __init__(self, cache_dir, architecture):
        self.dir = os.path.join(cache_dir, "apt", architecture)
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

    def download(self, name, version, folder):
        """Path of the .deb in `folder`; apt checks its size and hash against the signed lists."""
        result = _run(["apt-get", "-q", *self.options, "download", f"{name}={version}"], cwd=folder)
        suffix = f"_{self.architecture}.deb"
        found = [f for f in os.listdir(folder) if f.startswith(f"{name}_") and f.endswith(suffix)]
        if result.returncode != 0 or not found:
            lines = [ln for ln in result.stderr.splitlines() if ln.startswith("E:")]
            raise Failure(f"apt could not download {name} {version} ({(lines or ['no reason given'])[0]}).")
        return os.path.join(folder, found[0])


def unpack(deb, folder):
    result = _run(["dpkg-deb", "-x", deb, folder])
    if result.returncode != 0:
        raise Failure(f"dpkg-deb could not unpack {os.path.basename(deb)} ({result.stderr.strip()}).")

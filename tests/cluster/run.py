"""The smoke DAG through a real SLURM of one node, and its bytes against those of a local run.

    python tests/cluster/run.py            # as root, on Debian or Ubuntu; prints what was compared

Installs slurm-wlm and munge where they are missing, puts a configuration in SLURM's standard place, starts
munged, slurmctld and slurmd on loopback without accounting (status comes from squeue), and at the end, also
after Ctrl-C, stops what it started and removes the configuration; the packages stay. It refuses to run where
SLURM is configured or running.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/reliability"))
from determinism import clone, differing, run, write_counts  # noqa: E402

CONFIGURATION = Path("/etc/slurm/slurm.conf")
PACKAGES = {"munged": "munge", "slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "squeue": "slurm-wlm"}


def require(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(f"cluster: error: {message}")


def install() -> None:
    missing = sorted({package for tool, package in PACKAGES.items() if not shutil.which(tool)})
    if missing:
        require(bool(shutil.which("apt-get")), f"install {' and '.join(missing)} first")
        quiet = {
            "check": True,
            "stdout": subprocess.DEVNULL,
            "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        }
        subprocess.run(["apt-get", "update", "-qq"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], **quiet)
        for name in ("slurmctld", "slurmd"):  # what the installation may have started
            subprocess.run(["pkill", "-x", name], check=False)


@contextmanager
def daemon(command: list[str]) -> Iterator[None]:
    """A daemon in the foreground, terminated at the end."""
    none = subprocess.DEVNULL  # what they say goes to their logs
    process = subprocess.Popen(command, start_new_session=True, stdin=none, stdout=none, stderr=none)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()


def node_memory() -> int:
    """Megabytes that jobs may have."""
    return int(psutil.virtual_memory().total / 2**20 * 0.9)


@contextmanager
def cluster(state: Path) -> Iterator[None]:
    """A running SLURM of this machine."""
    host = socket.gethostname().split(".")[0]
    for name in ("controller", "node"):
        (state / name).mkdir(parents=True)
    values = {"host": host, "cpus": os.cpu_count(), "memory": node_memory(), "state": state}
    text = (ROOT / "tests/cluster/slurm.conf").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    CONFIGURATION.parent.mkdir(exist_ok=True)
    CONFIGURATION.write_text("\n".join(lines).format(**values) + "\n", encoding="utf-8")
    with ExitStack() as stack:
        stack.callback(CONFIGURATION.unlink)
        if subprocess.run(["pgrep", "-x", "munged"], stdout=subprocess.DEVNULL).returncode:
            Path("/run/munge").mkdir(exist_ok=True)
            shutil.chown("/run/munge", "munge", "munge")
            as_munge = ["setpriv", "--reuid=munge", "--regid=munge", "--clear-groups"]
            stack.enter_context(daemon([*as_munge, "munged", "--foreground"]))
        time.sleep(1)
        stack.enter_context(daemon(["slurmctld", "-D", "-c"]))
        stack.enter_context(daemon(["slurmd", "-D", "-c"]))
        wait_for_node(state)
        stack.callback(subprocess.run, ["scancel", "--user", "root"], check=False)
        yield


def wait_for_node(state: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = subprocess.run(["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True)
        if found.stdout.strip() == "idle":
            return
        time.sleep(1)
    logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in state.glob("*.log"))
    sys.exit(f"cluster: error: the node did not come up in a minute\n{found.stdout}{found.stderr}{logs}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="configs/smoke.yaml", help="configuration of both runs")
    parser.add_argument("--local", type=Path, help="checkout with a finished local run of the same commit")
    parser.add_argument("--out", type=Path, help="CSV of the counts to write")
    args = parser.parse_args()
    require(os.geteuid() == 0, "starting SLURM needs root")
    require(not CONFIGURATION.exists(), f"{CONFIGURATION} exists: this machine has a SLURM of its own")
    daemons = [p.name() for p in psutil.process_iter() if p.name() in ("slurmctld", "slurmd")]
    require(not daemons, "a SLURM runs on this machine")
    install()
    with tempfile.TemporaryDirectory() as folder:
        local = args.local
        if local is None:
            local = clone(Path(folder) / "local")
            run(local, args.config, "--cores", "all")
        remote = clone(Path(folder) / "remote")
        began = time.monotonic()
        with cluster(Path(folder) / "slurm"):
            options = ["--profile", "profiles/slurm", "--slurm-status-command", "squeue"]
            options += ["--slurm-no-account", "--slurm-init-seconds-before-status-checks", "5"]
            # A group must fit into the node.
            options += ["--cores", str(os.cpu_count()), "--resources", f"mem_mb={node_memory()}"]
            run(remote, args.config, *options)
            jobs = subprocess.run(["squeue", "--states=all", "--noheader"], capture_output=True, text=True)
        took = time.monotonic() - began
        count, wrong = differing(local, remote)
    for name in wrong:
        print(f"differs: {name}")
    states = len(jobs.stdout.splitlines())
    if args.out:
        write_counts(
            [("files of a run through SLURM and of a local one", count, count - len(wrong))], args.out
        )
    print(f"cluster: {states} SLURM jobs in {took:.0f} s, {count} files compared, {len(wrong)} differ")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

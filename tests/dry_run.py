"""What Snakemake would do: the jobs of a dry run, as it resolves them."""

import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Job:
    """One job: `fields` are the lines that a dry run prints of it, by their names."""

    rule: str
    fields: dict[str, str]
    command: str

    def files(self, name: str) -> list[str]:
        return self.fields[name].split(", ") if name in self.fields else []

    def resources(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for pair in self.fields["resources"].split(", "))

    def threads(self) -> int:
        return int(self.fields.get("threads", 1))


def snakemake(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def jobs(*arguments: str, folder: Path = ROOT) -> list[Job]:
    """Jobs of a dry run, `all` left out; none where nothing is to be done."""
    done = snakemake("-n", "--cores", "2", "--printshellcmds", *arguments, folder=folder)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    blocks = re.split(r"^(?:local)?rule (\w+):\n", said, flags=re.MULTILINE)[1:]
    found = [_job(*pair) for pair in zip(blocks[::2], blocks[1::2], strict=True)]
    assert found or "Nothing to be done" in said
    return [job for job in found if job.rule != "all"]


def _job(rule: str, block: str) -> Job:
    command = re.search(r"^Shell command: (.*)$", block, re.MULTILINE)
    fields = re.findall(r"^    (\w+): (.*)$", block.split("\n\n")[0], re.MULTILINE)
    return Job(rule, dict(fields), command[1] if command else "")


def planned(*arguments: str, folder: Path = ROOT) -> dict[str, int]:
    """How many jobs of each rule a dry run lists."""
    return dict(Counter(job.rule for job in jobs(*arguments, folder=folder)))

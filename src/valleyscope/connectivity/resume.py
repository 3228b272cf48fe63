"""The state of a path search in a file, from which an interrupted one goes on."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from valleyscope.artifacts import write_atomically
from valleyscope.connectivity.finders import Search
from valleyscope.errors import InputError


@dataclass(frozen=True)
class SearchFile:
    """One file, whole or absent: cycles, history and key stand in its header beside the points.

    `key` fixes the settings and inputs of a search; a state with another one is not taken up.
    """

    path: Path
    key: str
    device: str = "cpu"

    def read(self) -> Search | None:
        """The search that an interrupted call left, if any."""
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt", device=self.device) as file:
                about = file.metadata() or {}
                if about.get("key") != self.key:
                    return None
                return Search(int(about["cycle"]), file.get_tensor("points"), json.loads(about["history"]))
        except SafetensorError as error:
            raise InputError(f"{self.path}: damaged ({error}); delete it and rerun") from None

    def write(self, search: Search) -> None:
        """Keep where a search stands."""
        about = {"key": self.key, "cycle": str(search.cycle), "history": json.dumps(search.history)}
        with write_atomically(self.path) as temporary:
            temporary.write_bytes(save({"points": search.points.contiguous()}, metadata=about))

    def remove(self) -> None:
        """The search has ended."""
        self.path.unlink(missing_ok=True)

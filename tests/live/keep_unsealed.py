"""`python keep_unsealed.py FOLDER run ...`: the real command, which keeps its results in FOLDER as they lie
before the run is sealed, with the manifest of that moment."""

import shutil
import sys
from pathlib import Path

from observatory.cli.main import main
from observatory.core.run import Manifest
from observatory.core.workspace import Workspace
from observatory.runner import finish
from observatory.store.folder.manifest import write_manifest


def keep(folder: Path) -> None:
    """Copy the results of each run before it is finished."""
    finish_run = finish.finish_run

    def copy_first(
        workspace: Workspace, run: Path, manifest: Manifest, samples: Path | None
    ) -> finish.FinishedRun:
        write_manifest(run, manifest)
        shutil.copytree(workspace.results, folder, dirs_exist_ok=True)
        return finish_run(workspace, run, manifest, samples)

    finish.finish_run = copy_first


if __name__ == "__main__":
    keep(Path(sys.argv.pop(1)))
    main()
